import { ConsoleError, exitCodes } from '../../db/errors.js';
import { readRun, readRuns, whoRuns, type Run } from '../../maintenance/journal/run.js';
import { maintenanceRuns } from '../../panes/maintenance-runs.js';
import { formatDuration, formatTimestamp } from '../../core/format/time.js';
import { defineCommand } from '../command.js';
import { safeJson, safeText } from '../safe-text.js';
import { paneTable } from '../status-text.js';
import { storedAction } from '../../maintenance/registry.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const command = defineCommand({
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
  return Number(text);
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
