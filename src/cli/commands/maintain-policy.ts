import { ConsoleError, exitCodes, type ExitCode } from '../../db/errors.js';
import { policyFacts } from '../../maintenance/retention/describe-policy.js';
import { readPolicy, type DailyWindow } from '../../maintenance/retention/policy.js';
import type { SetPolicyInput } from '../../maintenance/retention/set-policy.js';
import { formatTimestamp } from '../../shared/format/time.js';
import { defineCommand, type CommandContext } from '../command.js';
import { parseAge } from '../parse-age.js';
import { actionFlags, factLines, runActionCommand } from '../run-action.js';
import { safeJson, safeText } from '../safe-text.js';

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
  between: {
    type: 'string',
    value: 'TIMES',
    description: 'at which time of day: 01:00-05:00; or "any"',
  },
  timeZone: { type: 'string', value: 'NAME', description: 'of these times; default UTC' },
} as const;

type Flags = CommandContext<typeof flags>['flags'];

export const maintainPolicy = defineCommand({
  name: 'maintain policy',
  summary: 'show, set or clear how long what is kept',
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
        return show(context);
      case 'set':
        return runActionCommand('set-policy', context, inputOf(context.flags));
      case 'clear':
        return runActionCommand('clear-policy', context, {});
      default:
        throw new ConsoleError('usage', `A policy is shown, set or cleared, not "${word}".`);
    }
  },
});

async function show({
  flags: given,
  openDatabase,
  print,
}: CommandContext<typeof flags>): Promise<ExitCode> {
  const database = await openDatabase();
  const { schema } = database.capabilities;
  const policy = await database.transaction({ readOnly: true }, (tx) => readPolicy(tx, schema));
  if (given.json) print(safeJson({ policy: policy ?? null }, 2));
  else if (!policy) {
    print(`No retention policy of the schema "${safeText(schema)}" is stored, or to be seen.`);
    print('Store one: trace-console maintain policy set --archive-after 90d');
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
): Partial<Record<Name, string | null>> {
  if (text === undefined) return {};
  const value = text === 'never' ? null : parseAge(text, flag);
  if (value !== null && value.milliseconds < 3_600_000) {
    throw new ConsoleError('usage', `${flag} cannot be less than an hour.`);
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
