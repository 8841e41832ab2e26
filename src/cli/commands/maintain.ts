import { readNumber } from '../../core/values.js';
import { ConsoleError, exitCodes, type ExitCode } from '../../db/errors.js';
import { readRun, readRuns, whoRuns, type Run } from '../../maintenance/journal/run.js';
import { maintenanceRuns } from '../../panes/maintenance-runs.js';
import { formatDuration, formatTimestamp } from '../../core/format/time.js';
import { defineCommand, type CommandContext, parseAge } from '../command.js';
import { safeJson, safeText } from '../safe-text.js';
import { storedAction, previewAction, runAction } from '../../maintenance/registry.js';
import { actionFlags, runActionCommand, drain, previewLines, factLines } from '../run-action.js';
import {
  policyFacts,
  readPolicy,
  type DailyWindow,
  type SetPolicyInput,
} from '../../maintenance/retention/policy.js';
import { isCurrent, readJobs, readWantedJobs } from '../../maintenance/retention/schedule.js';
import { paneTable, plainTable } from '../plain-table.js';

const flags = {
  ...actionFlags,
  archiveAfter: { type: 'string', value: 'AGE', description: 'archive older traces; or "never"' },
  purgeAfter: {
    type: 'string',
    value: 'AGE',
    description: 'delete older archived traces for good; or "never", as it is until set',
  },
  pruneUsageAfter: {
    type: 'string',
    value: 'AGE',
    description: 'delete older usage logs; or "never"',
  },
  prunePatternsAfter: {
    type: 'string',
    value: 'AGE',
    description: 'delete poor patterns unused for so long; or "never"',
  },
  refreshAfter: {
    type: 'string',
    value: 'AGE',
    description: 'refresh older materialized views, at any time of day; or "never"',
  },
  between: {
    type: 'string',
    value: 'TIMES',
    description: 'at which time of day: 01:00-05:00; or "any"',
  },
  timeZone: { type: 'string', value: 'NAME', description: 'of these times; default UTC' },
} as const;

type Flags = CommandContext<typeof flags>['flags'];

export const maintainPolicyCommand = defineCommand({
  name: 'maintain policy',
  summary: 'show, set or clear the retention policy',
  usage: '[show | set … | clear] [--dry-run] [--yes] [--json]',
  description: [
    'The policy is stored in the database, one for each schema. "set" changes what is named and leaves',
    'the rest. With --json show prints {"policy": {…} or null}.',
  ].join('\n'),
  flags,
  inputs: 1,
  examples: [
    'trace-console maintain policy set --archive-after 90d --prune-usage-after 180d --prune-patterns-after 30d',
    'trace-console maintain policy set --between 01:00-05:00 --time-zone Europe/Berlin --yes',
  ],
  run(context) {
    const [word = 'show'] = context.input;
    switch (word) {
      case 'show':
        return showPolicy(context);
      case 'set':
        return runActionCommand('set-policy', context, inputOf(context.flags));
      case 'clear':
        return runActionCommand('clear-policy', context, {});
      default:
        throw new ConsoleError('usage', `A policy is shown, set or cleared, not "${word}".`);
    }
  },
});

async function showPolicy({
  flags: given,
  openDatabase,
  print,
  hint,
}: CommandContext<typeof flags>): Promise<ExitCode> {
  const database = await openDatabase();
  const { schema } = database.capabilities;
  const policy = await database.transaction({ readOnly: true }, (tx) => readPolicy(tx, schema));
  if (given.json) print(safeJson({ policy: policy ?? null }, 2));
  else if (!policy) {
    print(`No retention policy of the schema "${safeText(schema)}" is stored, or to be seen.`);
    print(hint('Store one: trace-console maintain policy set --archive-after 90d'));
  } else {
    for (const line of factLines(policyFacts(policy))) print(safeText(line));
    print(safeText(`Stored ${formatTimestamp(policy.changedAt)} by ${policy.changedBy}.`));
  }
  return exitCodes.good;
}

/** @throws ConsoleError `usage` */
function inputOf(given: Flags): SetPolicyInput {
  const input: SetPolicyInput = {
    ...age('archiveAfter', given.archiveAfter, '--archive-after'),
    ...age('purgeAfter', given.purgeAfter, '--purge-after'),
    ...age('pruneUsageAfter', given.pruneUsageAfter, '--prune-usage-after'),
    ...age('prunePatternsAfter', given.prunePatternsAfter, '--prune-patterns-after'),
    ...age('refreshAfter', given.refreshAfter, '--refresh-after', 'a minute'),
    ...(given.between === undefined ? {} : { window: windowOf(given.between, given.timeZone) }),
  };
  if (given.timeZone !== undefined && given.between === undefined) {
    throw new ConsoleError('usage', '--time-zone belongs to --between.');
  }
  if (Object.keys(input).length === 0) {
    throw new ConsoleError('usage', 'Which part of the policy? Name at least one.', {
      hint: 'For example --archive-after 90d; trace-console maintain policy --help lists them.',
    });
  }
  return input;
}

function age<Name extends keyof SetPolicyInput>(
  name: Name,
  text: string | undefined,
  flag: string,
  least: 'a minute' | 'an hour' = 'an hour',
): Partial<Record<Name, string | null>> {
  if (text === undefined) return {};
  const value = text === 'never' ? null : parseAge(text, flag);
  if (value !== null && value.milliseconds < (least === 'a minute' ? 60_000 : 3_600_000)) {
    throw new ConsoleError('usage', `${flag} cannot be less than ${least}.`);
  }
  return { [name]: value?.interval ?? null } as Partial<Record<Name, string | null>>;
}

const timesOfDay = /^((?:[01]\d|2[0-3]):[0-5]\d)\s*-\s*((?:[01]\d|2[0-3]):[0-5]\d)$/;

function windowOf(text: string, timeZone = 'UTC'): DailyWindow | null {
  if (text === 'any') return null;
  const [, from, to] = timesOfDay.exec(text.trim()) ?? [];
  if (from === undefined || to === undefined || from === to) {
    throw new ConsoleError('usage', `--between does not understand "${text}".`, {
      hint: 'Two times of day: 01:00-05:00, also over midnight: 22:30-04:00; or "any".',
    });
  }
  return { from, to, timeZone };
}

export const command = defineCommand({
  name: 'maintain',
  summary: 'carry out the stored retention policy once, for cron',
  usage: '--once [--any-time] [--dry-run] [--json]',
  description: [
    'Archives and deletes what the stored policy says (maintain policy set), each step with its entry in',
    'the journal. It asks nothing: the policy is the consent. Outside the policy’s time of day it does',
    'nothing, and it stops when that ends. One at a time: exit code 4 while another one is at it.',
    'Exit code 0 when all was done or nothing was due, 1 when a step failed.',
    '',
    'With --json: {"ok", "steps": [{"action", "state", "summary", "result"}]};',
    'state: done, nothing, cancelled or failed.',
  ].join('\n'),
  flags: {
    once: { type: 'boolean', description: 'carry the policy out now, once' },
    anyTime: { type: 'boolean', description: 'also outside the policy’s time of day' },
    dryRun: { type: 'boolean', description: 'show what would be done, and change nothing' },
  },
  examples: [
    'trace-console maintain --once --dry-run',
    '17 2 * * *  trace-console maintain --once --env-file /etc/trace-console.env   # crontab',
  ],
  async run({ flags, openDatabase, print, progress, signal, hint }) {
    if (!flags.once) {
      throw new ConsoleError('usage', 'maintain works through the policy once: say --once.', {
        hint: 'trace-console maintain policy shows the policy; --dry-run what is due.',
      });
    }
    const context = { database: await openDatabase(), signal };
    const input = { anyTime: flags.anyTime };
    const preview = await previewAction('maintain', context, input);
    if (!flags.json) for (const line of previewLines(preview, hint)) print(safeText(line));
    if (flags.dryRun || preview.nothing !== undefined) {
      const plan = flags.dryRun ? { dryRun: true, ...preview } : { ok: true, steps: [] };
      if (flags.json) print(safeJson(plan, 2));
      return exitCodes.good;
    }
    const { summary, result } = await drain(runAction('maintain', context, input), progress);
    print(flags.json ? safeJson(result, 2) : safeText(summary));
    return result.ok ? exitCodes.good : exitCodes.notGood;
  },
});

export const maintainScheduleCommand = defineCommand({
  name: 'maintain schedule',
  summary: 'let pg_cron carry the retention policy out',
  usage: '[show | set | clear] [--dry-run] [--yes] [--json]',
  description: [
    'Where pg_cron is in the database: "set" schedules what the stored policy says, "show" lists the jobs',
    'with their latest run, "clear" removes them. With --json show prints {"current", "jobs": [{…}]};',
    'current: the jobs are as the policy is now.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 1,
  examples: ['trace-console maintain schedule set --dry-run', 'trace-console maintain schedule'],
  run(context) {
    const [word = 'show'] = context.input;
    switch (word) {
      case 'show':
        return showSchedule(context);
      case 'set':
        return runActionCommand('schedule', context, {});
      case 'clear':
        return runActionCommand('unschedule', context, {});
      default:
        throw new ConsoleError('usage', `A schedule is shown, set or cleared, not "${word}".`);
    }
  },
});

async function showSchedule({
  flags,
  openDatabase,
  print,
}: CommandContext<typeof actionFlags>): Promise<ExitCode> {
  const database = await openDatabase();
  const { schema } = database.capabilities;
  const { jobs, wanted } = await database.transaction({ readOnly: true }, async (tx) => {
    const policy = await readPolicy(tx, schema);
    const wanted = policy ? await readWantedJobs(tx, schema, policy) : [];
    return { jobs: await readJobs(tx, schema), wanted };
  });
  const current = isCurrent(jobs, wanted);
  if (flags.json) {
    print(safeJson({ current, jobs }, 2));
    return exitCodes.good;
  }
  if (jobs.length === 0) print('No job of the console is scheduled on this schema.');
  else {
    print(
      plainTable(
        ['Job', 'Schedule', 'Role', 'Latest run', 'Result'],
        jobs.map((job) =>
          [
            job.name,
            job.active ? job.schedule : `${job.schedule} (off)`,
            job.role,
            formatTimestamp(job.lastStartedAt),
            [job.lastStatus, job.lastMessage].filter((text) => text !== null).join(': ') || '–',
          ].map((text) => safeText(text)),
        ),
      ),
    );
    for (const { command } of jobs) print(`  ${safeText(command)}`);
  }
  if (!current) print('They differ from the policy: "maintain schedule set" schedules it anew.');
  return exitCodes.good;
}

export const runsCommand = defineCommand({
  name: 'runs',
  summary: 'list the maintenance runs of every console, or show one in full',
  usage: '[RUN] [--limit N] [--json]',
  description: [
    'The journal of all maintenance actions on this schema, newest first: who ran what, from where,',
    'when, and what came of it. A run whose console died is "crashed": runs resume RUN does it again.',
    'With --json: an array of runs, or the one run; times are ISO 8601.',
  ].join('\n'),
  flags: {
    limit: { type: 'number', value: 'N', description: 'the latest so many; default 20' },
  },
  inputs: 1,
  examples: ['trace-console runs --limit 5', 'trace-console runs 12 --json'],
  async run({ flags, input, print, openDatabase }) {
    const { limit = 20 } = flags;
    if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
      throw new ConsoleError('usage', '--limit takes a whole number from 1 to 10000.');
    }
    const id = input[0] === undefined ? undefined : runNumber(input[0]);
    const database = await openDatabase();
    const { schema } = database.capabilities;
    if (id !== undefined) {
      const run = await database.transaction({ readOnly: true }, (tx) => readRun(tx, schema, id));
      if (!run) throw unknownRun(id);
      print(flags.json ? safeJson(run, 2) : safeText(runText(run)));
      return exitCodes.good;
    }
    const found = await database.transaction({ readOnly: true }, (tx) =>
      readRuns(tx, schema, limit),
    );
    if (flags.json) print(safeJson(found, 2));
    else if (found.length === 0)
      print('No maintenance was done on this schema from a console yet.');
    else print(paneTable(maintenanceRuns, found, { nowMs: Date.now() }));
    return exitCodes.good;
  },
});

/** @throws ConsoleError `usage` */
export function runNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new ConsoleError('usage', `A run has a number, not "${text}".`, {
      hint: 'trace-console runs lists them.',
    });
  }
  return readNumber(text);
}

export function unknownRun(id: number): ConsoleError {
  return new ConsoleError('not_found', `There is no run ${id} in the journal of this schema.`, {
    hint: 'trace-console runs lists them; --schema names another schema.',
  });
}

function runText(run: Run): string {
  const took = run.endedAt === null ? undefined : run.endedAt.getTime() - run.startedAt.getTime();
  const json = (value: unknown) => (value === null ? undefined : JSON.stringify(value, null, 2));
  const fields: [string, string | undefined][] = [
    ['Run', `${run.id}, ${run.state}`],
    ['Action', `${run.title} (${run.action})`],
    ['Subject', run.subject ?? undefined],
    ['Who', whoRuns(run)],
    ['With', `${run.application} ${run.consoleVersion}, process ${run.clientPid ?? '?'}`],
    ['Started', formatTimestamp(run.startedAt)],
    ['Ended', run.endedAt === null ? undefined : formatTimestamp(run.endedAt)],
    ['Took', took === undefined ? undefined : formatDuration(took)],
    ['Resumes', run.resumes === null ? undefined : `run ${run.resumes}`],
    ['Resumed by', run.resumedBy === null ? undefined : `run ${run.resumedBy}`],
    ['Summary', run.summary ?? undefined],
    ['Input', json(run.input)],
    ['Progress', json(run.progress)],
    ['Result', json(run.result)],
    ['Error', json(run.error)],
  ];
  const indent = ' '.repeat(12);
  return fields
    .flatMap(([label, value]) =>
      value === undefined ? [] : [`${label.padEnd(12)}${value.replaceAll('\n', `\n${indent}`)}`],
    )
    .join('\n');
}

export const runsResumeCommand = defineCommand({
  name: 'runs resume',
  summary: 'do a maintenance run again whose console died',
  usage: 'RUN [--dry-run] [--yes] [--json]',
  description: [
    'With the input that the journal has kept, and the preview and confirmation of its command. What',
    'the crashed run had finished is not done twice.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 1,
  examples: ['trace-console runs resume 12 --yes'],
  async run(context) {
    const [text] = context.input;
    if (text === undefined) {
      throw new ConsoleError('usage', 'Which run? Give its number.', {
        hint: 'trace-console runs lists them.',
      });
    }
    const id = runNumber(text);
    const database = await context.openDatabase();
    const { schema } = database.capabilities;
    const run = await database.transaction({ readOnly: true }, (tx) => readRun(tx, schema, id));
    if (!run) throw unknownRun(id);
    const { name, input } = storedAction(run);
    return runActionCommand(name, context, input);
  },
});
