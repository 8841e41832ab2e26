import type { Queryable } from '../../db/database.js';
import { skipped } from './check.js';

export type BloatLimits = { leastBytes: number; share: number };

/** Below 64 MB bloat is not worth a thought, and what churns is a third empty at any time. */
export const usualBloat: BloatLimits = { leastBytes: 64 * 1_048_576, share: 0.5 };

export const noStatisticsSeen = skipped(
  'the role sees no statistics of the tables: it needs SELECT on them',
);

/**
 * What of a schema is at least so large, with the estimate of what is empty of it.
 *
 * @param statement takes the schema and the least bytes; its `known` is false where the role sees no statistics
 * @returns undefined when it sees those of none
 */
export async function readBloat<Row extends { known: boolean }>(
  tx: Queryable,
  statement: string,
  schema: string,
  leastBytes: number,
): Promise<Row[] | undefined> {
  const { rows } = await tx.query<Row>(statement, [schema, leastBytes]);
  const known = rows.filter((row) => row.known);
  return rows.length > 0 && known.length === 0 ? undefined : known;
}
