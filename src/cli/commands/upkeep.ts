import { readNumber } from '../../core/values.js';
import { type CommandContext, defineCommand, parseAge } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';
import { ConsoleError } from '../../db/errors.js';
import { defaultStuckAfter, readCutoff, stuckCutoff } from '../../maintenance/close-stuck.js';
import type { EndBackendInput } from '../../maintenance/end-backend.js';
import type { ReindexInput } from '../../maintenance/reindex/reindex.js';

export const analyzeCommand = defineCommand({
  name: 'analyze',
  summary: 'update planner statistics (ANALYZE)',
  usage: '[TABLE…] [--dry-run] [--yes] [--json]',
  description: [
    'ANALYZE, table by table: those that are named, or all of the schema and its archives.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 100,
  examples: ['trace-console analyze --yes', 'trace-console analyze success_patterns'],
  run: (context) =>
    runActionCommand('analyze', context, context.input.length > 0 ? { tables: context.input } : {}),
});

export const vacuumCommand = defineCommand({
  name: 'vacuum',
  summary: 'reclaim dead rows (VACUUM)',
  usage: '[TABLE…] [--dry-run] [--yes] [--json]',
  description: [
    'VACUUM, table by table: those that are named, or all of the schema and its archives. Readers and',
    'writers go on. The files seldom shrink.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 100,
  examples: ['trace-console vacuum --yes', 'trace-console vacuum success_patterns'],
  run: (context) =>
    runActionCommand('vacuum', context, context.input.length > 0 ? { tables: context.input } : {}),
});

export const closeStuckCommand = defineCommand({
  name: 'close-stuck',
  summary: 'close traces whose writer died: in progress for too long',
  usage: '[--older-than AGE | --started-before TIME] [--dry-run] [--yes]',
  description: [
    'They get the status timeout and end at their last sign of life. Without --older-than exactly those',
    'that doctor reports: in progress for more than 30 minutes. What becomes stuck after the preview is',
    'left alone. With --json: {"closed", "remaining"}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    olderThan: { type: 'string', value: 'AGE', description: 'default 30m' },
    startedBefore: {
      type: 'string',
      value: 'TIME',
      description: 'those that doctor reported then: 2026-11-27T03:30:00Z',
    },
  },
  examples: [
    'trace-console close-stuck --dry-run',
    'trace-console close-stuck --older-than 1d --yes',
  ],
  async run(context) {
    const { olderThan, startedBefore } = context.flags;
    if (olderThan !== undefined && startedBefore !== undefined) {
      throw new ConsoleError('usage', 'Either --older-than or --started-before.');
    }
    if (startedBefore !== undefined && readCutoff(startedBefore) === undefined) {
      throw new ConsoleError('usage', `--started-before: "${startedBefore}" is no moment.`, {
        hint: 'As doctor prints it, in UTC: 2026-11-27T03:30:00Z',
      });
    }
    const age =
      olderThan === undefined ? defaultStuckAfter : parseAge(olderThan, '--older-than').interval;
    const database = await context.openDatabase();
    const cutoff = () => database.transaction({ readOnly: true }, (tx) => stuckCutoff(tx, age));
    return runActionCommand(
      'close-stuck',
      context,
      startedBefore === undefined
        ? { olderThan: age, startedBefore: await cutoff() }
        : { startedBefore },
    );
  },
});

const endFlags = {
  ...actionFlags,
  started: {
    type: 'string',
    value: 'TIME',
    description:
      'only the backend that started then, as status shows it: process ids are used again',
  },
} as const;

export const cancelQueryCommand = defineCommand({
  name: 'backend cancel',
  summary: 'cancel the query that a PostgreSQL backend runs',
  usage: 'PID [--started TIME] [--dry-run] [--yes] [--json]',
  description: [
    'The statement ends with an error, the connection stays. Only the statement that the',
    'preview shows is cancelled. trace-console status --pane postgresql lists who blocks whom.',
    'With --json: {"ended", "gone", "remaining"}, process ids.',
  ].join('\n'),
  flags: endFlags,
  inputs: 1,
  examples: ['trace-console backend cancel 4711 --dry-run'],
  run: async (context) => runActionCommand('cancel-query', context, await chosenBackend(context)),
});

export const terminateBackendCommand = defineCommand({
  name: 'backend terminate',
  summary: 'close the connection of a PostgreSQL backend, whose transaction is rolled back',
  usage: 'PID [--started TIME] [--dry-run] [--yes] [--json]',
  description: [
    'Its transaction is rolled back and its locks are given back. Needs the same role,',
    'or pg_signal_backend. With --json: {"ended", "gone", "remaining"}, process ids.',
  ].join('\n'),
  flags: endFlags,
  inputs: 1,
  examples: ['trace-console backend terminate 4711 --dry-run'],
  run: async (context) =>
    runActionCommand('terminate-backend', context, await chosenBackend(context)),
});

/** @throws ConsoleError `usage`, `not_found` */
async function chosenBackend({
  input: [text = ''],
  flags: { started },
  openDatabase,
}: Pick<
  CommandContext<typeof endFlags>,
  'input' | 'flags' | 'openDatabase'
>): Promise<EndBackendInput> {
  if (!/^\d{1,9}$/.test(text)) {
    throw new ConsoleError('usage', `A backend has a process id, not "${text}".`, {
      hint: 'trace-console status --pane postgresql lists them.',
    });
  }
  const database = await openDatabase();
  const [row] = await database.read<{ backend_start: Date | null; query_start: Date | null }>(
    'SELECT backend_start, query_start FROM pg_stat_activity WHERE pid = $1 AND datname = current_database()',
    [readNumber(text)],
  );
  const startedAt = row?.backend_start?.toISOString();
  const wanted =
    started === undefined ? startedAt : new Date(Date.parse(started) || 0).toISOString();
  if (startedAt === undefined || startedAt !== wanted) {
    throw new ConsoleError(
      'not_found',
      `No backend of this database with pid ${text}${started === undefined ? '' : ' started then'}.`,
      {
        hint: 'It may have ended: trace-console status --pane postgresql lists those that are at work.',
      },
    );
  }
  const query = row?.query_start?.toISOString();
  const backend = {
    pid: readNumber(text),
    startedAt,
    ...(query === undefined ? {} : { queryStartedAt: query }),
  };
  return { backends: [backend] };
}

export const pruneCommand = defineCommand({
  name: 'prune',
  summary: 'delete old usage logs, and patterns that proved of little value',
  usage:
    '[--usage-older-than AGE] [--min-uses N] [--min-success SHARE] [--unused-for AGE] [--dry-run] [--yes]',
  description: [
    'A pattern goes when it has fewer than --min-uses uses, a success rate under --min-success, and no use',
    'for --unused-for; a usage log goes by its age alone. --dry-run counts them and lists the patterns.',
    'In batches; it may be interrupted at any moment and run again. With --json: {"usageLogs", "patterns",',
    '"usageLogsOfPatterns"}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    usageOlderThan: { type: 'string', value: 'AGE', description: 'default 180d' },
    minUses: { type: 'number', value: 'N', description: 'default 5' },
    minSuccess: { type: 'number', value: 'SHARE', description: '0 to 1; default 0.5' },
    unusedFor: { type: 'string', value: 'AGE', description: 'default 30d' },
  },
  examples: ['trace-console prune --dry-run', 'trace-console prune --unused-for 60d --yes --json'],
  run(context) {
    const { usageOlderThan, minUses, minSuccess, unusedFor } = context.flags;
    if (minUses !== undefined && !(Number.isInteger(minUses) && minUses >= 0)) {
      throw new ConsoleError('usage', '--min-uses is a whole number, 0 or more.');
    }
    if (minSuccess !== undefined && !(minSuccess >= 0 && minSuccess <= 1)) {
      throw new ConsoleError('usage', '--min-success is a share between 0 and 1.');
    }
    return runActionCommand('prune', context, {
      ...(usageOlderThan === undefined
        ? {}
        : { usageOlderThan: parseAge(usageOlderThan, '--usage-older-than').interval }),
      ...(minUses === undefined ? {} : { minUses }),
      ...(minSuccess === undefined ? {} : { minSuccess }),
      ...(unusedFor === undefined
        ? {}
        : { unusedFor: parseAge(unusedFor, '--unused-for').interval }),
    });
  },
});

const reindexFlags = {
  ...actionFlags,
  table: { type: 'string', value: 'TABLE', description: 'all indexes of this table' },
  vectors: { type: 'boolean', description: 'all vector indexes, with lists that fit their rows' },
  lists: { type: 'number', value: 'N', description: 'ivfflat: this many lists' },
  keepLists: { type: 'boolean', description: 'ivfflat: as many lists as now' },
  method: { type: 'string', value: 'METHOD', description: 'make it ivfflat or hnsw' },
  skipRecall: { type: 'boolean', description: 'do not measure recall before and after' },
  lockTimeout: {
    type: 'string',
    value: 'AGE',
    description: 'give up when others are in the way for so long; default 10m',
  },
  cleanUp: { type: 'boolean', description: 'drop what interrupted rebuilds have left' },
  follow: { type: 'boolean', description: 'follow a rebuild that was left running' },
} as const;

export const reindexCommand = defineCommand({
  name: 'reindex',
  summary: 'rebuild indexes while readers and writers go on',
  usage: 'INDEX… | --table TABLE | --vectors | --clean-up | --follow [INDEX] [--dry-run] [--yes]',
  description: [
    'One index at a time, CONCURRENTLY, on a connection of its own. Interrupted, it drops what the',
    'rebuild left; the index stays as it was. An ivfflat index gets the number of lists that fits its',
    'rows: another index is built beside the old one and takes its name. --clean-up drops only what is',
    'named like a leftover, is invalid or marked as not in use, and is not being built. --follow shows a',
    'rebuild that goes on without a console; Ctrl-C leaves it running.',
  ].join('\n'),
  flags: reindexFlags,
  inputs: 100,
  examples: [
    'trace-console reindex idx_pattern_embedding --yes',
    'trace-console reindex --vectors --dry-run',
    'trace-console reindex idx_pattern_embedding --method hnsw',
    'trace-console reindex --clean-up',
  ],
  run(context) {
    const ways = [
      context.flags.cleanUp,
      context.flags.follow,
      context.flags.vectors,
      context.flags.table !== undefined,
      context.input.length > 0 && !context.flags.follow,
    ].filter(Boolean).length;
    if (ways > 1) {
      throw new ConsoleError(
        'usage',
        'Choose one: indexes by name, --table, --vectors, --clean-up.',
      );
    }
    if (context.flags.cleanUp) return runActionCommand('clean-up', context, {});
    if (context.flags.follow) return follow(context);
    if (ways === 0) {
      throw new ConsoleError('usage', 'Which index? Give its name, --table or --vectors.', {
        hint: 'trace-console status --pane index-usage lists them.',
      });
    }
    return runActionCommand('reindex', context, inputOf(context));
  },
});

/** Following changes nothing: it needs no confirmation, and Ctrl-C ends only the following. */
function follow(context: CommandContext<typeof reindexFlags>) {
  const [index] = context.input;
  const asked = { ...context, flags: { ...context.flags, yes: true } };
  return runActionCommand('follow-build', asked, index === undefined ? {} : { index }, {
    leaveOnSignal: true,
  });
}

function inputOf({ flags, input }: CommandContext<typeof reindexFlags>): ReindexInput {
  const { table, vectors, lists, keepLists, method, skipRecall, lockTimeout } = flags;
  if (method !== undefined && method !== 'ivfflat' && method !== 'hnsw') {
    throw new ConsoleError('usage', `--method is ivfflat or hnsw, not "${method}".`);
  }
  if (lists !== undefined && (keepLists || method === 'hnsw')) {
    throw new ConsoleError('usage', '--lists goes neither with --keep-lists nor with hnsw.');
  }
  return {
    ...(input.length > 0 ? { indexes: input } : table === undefined ? { vectors } : { table }),
    ...(keepLists ? { lists: 'keep' as const } : lists === undefined ? {} : { lists }),
    ...(method === undefined ? {} : { method }),
    ...(skipRecall ? { recall: false } : {}),
    ...(lockTimeout === undefined
      ? {}
      : { lockTimeoutMs: parseAge(lockTimeout, '--lock-timeout').milliseconds }),
  };
}
