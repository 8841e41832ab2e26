import { ConsoleError } from '../../db/errors.js';
import type { ReindexInput } from '../../maintenance/reindex/reindex.js';
import { defineCommand, type CommandContext } from '../command.js';
import { parseAge } from '../parse-age.js';
import { actionFlags, runActionCommand } from '../run-action.js';

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

export const reindex = defineCommand({
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

/** Nothing is changed by looking on, so nobody is asked; and Ctrl-C ends only the looking on. */
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
