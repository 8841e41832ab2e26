import { coreTables } from '../../shared/tables.js';
import { formatBytes } from '../../shared/format/bytes.js';
import type { Action, ActionContext, Outcome, Progress } from '../action.js';
import { connectForMaintenance } from '../maintenance-connection.js';
import { dropLeftovers, dropStatement, findLeftovers, type Leftover } from './leftovers.js';

/** Nothing to choose: all leftovers that the preview lists. */
export type CleanUpInput = Readonly<Record<string, never>>;

export type CleanUpResult = {
  dropped: string[];
  /** Leftovers that are still there: of other owners, or not reached. */
  kept: string[];
};

/** Drops what interrupted rebuilds left, by the safe rule of leftovers.ts and by nothing else. */
export const cleanUp: Action<CleanUpInput, CleanUpResult> = {
  id: 'clean-up',
  title: 'Clean up leftovers',
  requires: ['primary', 'direct-connection', 'ownership'],
  tables: () => coreTables,
  preview: async ({ database }) => {
    const { schema } = database.capabilities;
    const found = await database.transaction({ readOnly: true }, (tx) => findLeftovers(tx, schema));
    const owned = found.filter((leftover) => leftover.owned);
    return {
      title: `Clean up ${owned.length} leftover ${owned.length === 1 ? 'index' : 'indexes'}`,
      facts: [
        { label: 'Disk', value: `${formatBytes(sumOf(owned))} come free` },
        { label: 'Locks', value: 'SHARE UPDATE EXCLUSIVE; readers and writers go on' },
      ],
      list: owned.map(lineOf),
      sql: owned.map(({ name }) => dropStatement(schema, name)),
      warnings: found
        .filter((leftover) => !leftover.owned)
        .map(({ name }) => `${name} belongs to another owner and stays.`),
      ...(owned.length === 0
        ? { nothing: 'No interrupted rebuild has left an index, or one is running.' }
        : {}),
    };
  },
  run,
};

function sumOf(leftovers: readonly Leftover[]): number {
  return leftovers.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** `idx_pattern_embedding_ccnew  12 MB, invalid, of idx_pattern_embedding` */
function lineOf({ name, bytes, valid, of }: Leftover): string {
  return `${name}  ${formatBytes(bytes)}, ${valid ? 'not in use' : 'invalid'}, of ${of}`;
}

async function* run(context: ActionContext): AsyncGenerator<Progress, Outcome<CleanUpResult>> {
  const { database, signal } = context;
  const { schema } = database.capabilities;
  const connection = await connectForMaintenance(database);
  const dropped: string[] = [];
  try {
    try {
      dropped.push(...(yield* dropLeftovers(context, connection, {})));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  } finally {
    await connection.close();
  }
  const kept = await database.transaction({ readOnly: true }, (tx) => findLeftovers(tx, schema));
  const result = { dropped, kept: kept.map(({ name }) => name) };
  const cancelled = signal.aborted && kept.length > 0;
  const parts = [
    `${cancelled ? 'Cancelled; dropped' : 'Dropped'} ${dropped.length === 0 ? 'nothing' : dropped.join(', ')}`,
    ...(kept.length > 0 ? [`still there: ${result.kept.join(', ')}`] : []),
  ];
  return { summary: `${parts.join('; ')}.`, cancelled, result };
}
