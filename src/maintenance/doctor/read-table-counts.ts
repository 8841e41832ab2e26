import type { Queryable } from '../../db/database.js';

/** Autovacuum comes at 50 rows and a tenth (analyze) or a fifth (vacuum); the double is overdue. */
export const overdue = { rows: 1_000, changed: 0.2, dead: 0.4 };

export type TableCounts = {
  table: string;
  rows: number;
  changed: number;
  dead: number;
  /** Vacuumed or analysed at least once. */
  analyzed: boolean;
};

/** The counters of every table of a schema, from statistics in shared memory. */
export async function readTableCounts(tx: Queryable, schema: string): Promise<TableCounts[]> {
  const { rows } = await tx.query<TableCounts>(
    `SELECT c.relname::text AS table, pg_stat_get_mod_since_analyze(c.oid) AS changed,
       GREATEST(pg_stat_get_live_tuples(c.oid), c.reltuples, 0)::bigint AS rows,
       pg_stat_get_dead_tuples(c.oid) AS dead, c.reltuples >= 0 AS analyzed
     FROM pg_class AS c
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind IN ('r', 'm')
     ORDER BY c.relname`,
    [schema],
  );
  return rows;
}
