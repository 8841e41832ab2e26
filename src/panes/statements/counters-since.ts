import type { Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { formatAge } from '../../shared/format/duration.js';
import type { SchemaShape } from '../shape.js';

/** Since when the statistics counters of this database count. */
export type CountersSince = {
  countersSince: Date;
  /** They were reset then. Without a reset a server may have counted for longer than it is up. */
  countersReset: boolean;
  /** Kept over restarts, as the embedded database's are. */
  countersKept: boolean;
};

const statement = ({ keepsCounters }: SchemaShape): string => `
SELECT
  date_part('epoch', now()) * 1000 AS now_ms,
  stats_reset,
  ${keepsCounters ? '(SELECT min(since) FROM trace_console.index_counters)' : 'NULL::timestamptz'} AS kept_since,
  pg_postmaster_start_time() AS server_started
FROM pg_stat_database WHERE datname = current_database()`;

type Row = {
  now_ms: number;
  stats_reset: Date | null;
  kept_since: Date | null;
  server_started: Date;
};

/** @throws ConsoleError */
export async function readCountersSince(
  tx: Queryable,
  shape: SchemaShape,
): Promise<CountersSince & { nowMs: number }> {
  const [row] = (await tx.query<Row>(statement(shape))).rows;
  if (!row) throw new ConsoleError('internal', 'The server keeps no counters of this database.');
  return {
    nowMs: row.now_ms,
    countersSince: row.kept_since ?? row.stats_reset ?? row.server_started,
    countersReset: row.stats_reset !== null,
    countersKept: shape.keepsCounters,
  };
}

/** "counting for 3d": how much a counter of zero says. */
export function countersSinceText(since: CountersSince, nowMs: number): string {
  const age = formatAge(nowMs - since.countersSince.getTime());
  if (since.countersReset) return `counters reset ${age} ago`;
  return since.countersKept ? `counting for ${age}` : `counting for ${age} or longer`;
}
