import { leftoverPattern, replacementMark } from '../../shared/index-leftovers.js';
import type { SchemaShape } from '../shape.js';

export type CounterSource = Pick<SchemaShape, 'serverVersion' | 'keepsCounters'>;

/**
 * Every index of the schema `$1` with its use, size and state; `$2`: how many at most, the largest by the
 * catalogue first. 2 ms with 70 indexes.
 *
 * pg_relation_size waits behind ACCESS EXCLUSIVE on the index (REINDEX, DROP). An index that is so locked, or
 * queued for it, is not measured but named with the process that holds the lock; everything else here comes
 * from catalogues and shared memory, which wait for nobody. (Locked between the look and the measuring: the
 * reader asks again.)
 *
 * The counters come from the functions behind pg_stat_user_indexes: the view would join the catalogue twice
 * more. The time of the last scan exists from PostgreSQL 16 on. `ids_since_table` tells how full the table was when
 * the index was last built: file ids are drawn from the same counter as the ids of out-of-line values, and
 * every embedding of 1536 dimensions is one, so no more embeddings than that had been stored.
 */
export function indexUsageStatement({ serverVersion, keepsCounters }: CounterSource): string {
  const lastScan =
    serverVersion >= 160_000 ? 'pg_stat_get_lastscan(chosen.indexrelid)' : 'NULL::timestamptz';
  return `
WITH chosen AS MATERIALIZED (
  SELECT
    i.indexrelid, i.indisvalid, i.indisready, i.indisunique, i.indisprimary,
    c.relname, c.relpages, c.reltuples, c.relfilenode, c.reloptions, am.amname,
    t.relname AS table_name, t.reltuples AS table_tuples, t.oid AS table_oid
  FROM pg_class AS t
  JOIN pg_index AS i ON i.indrelid = t.oid
  JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
  JOIN pg_am AS am ON am.oid = c.relam
  WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND t.relkind IN ('r', 'm')
  ORDER BY c.relpages DESC
  LIMIT $2
), locked AS MATERIALIZED (
  SELECT relation, min(pid) AS pid
  FROM pg_locks
  WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  GROUP BY relation
), building AS MATERIALIZED (
  SELECT index_relid FROM pg_stat_progress_create_index WHERE datname = current_database()
)
SELECT
  chosen.relname::text AS index,
  chosen.table_name::text AS table,
  chosen.indexrelid::bigint AS oid,
  chosen.amname::text AS method,
  chosen.indisprimary AS is_primary,
  chosen.indisunique AS is_unique,
  ${keepsCounters ? 'counters.scans' : 'pg_stat_get_numscans(chosen.indexrelid)'} AS scans,
  ${keepsCounters ? 'counters.last_scan' : lastScan} AS last_scan,
  locked.pid AS locked_by,
  CASE WHEN locked.pid IS NULL THEN pg_relation_size(chosen.indexrelid) END AS bytes,
  building.index_relid IS NOT NULL AS building,
  chosen.indisvalid AND chosen.indisready AS valid,
  -- A rebuild of the console's own that did not finish leaves a valid index, with its mark.
  chosen.relname ~ '${leftoverPattern}' AND starts_with(
    COALESCE(obj_description(chosen.indexrelid, 'pg_class'), ''), '${replacementMark}') AS not_in_use,
  (SELECT option_value::int FROM pg_options_to_table(chosen.reloptions)
   WHERE option_name = 'lists' AND option_value ~ '^\\d{1,6}$') AS lists,
  chosen.reltuples::float8 AS index_rows,
  CASE WHEN chosen.table_tuples < 0 THEN NULL ELSE chosen.table_tuples::float8 END AS table_rows,
  pg_stat_get_live_tuples(chosen.table_oid) AS live_rows,
  -- Rows without an embedding are not in its index.
  CASE chosen.amname WHEN 'ivfflat' THEN (
    SELECT s.null_frac::float8 FROM pg_attribute AS a
    JOIN pg_stats AS s ON s.schemaname = $1 AND s.tablename = chosen.table_name
      AND s.attname = a.attname AND NOT s.inherited
    WHERE a.attrelid = chosen.indexrelid AND a.attnum = 1) END AS share_without,
  chosen.relfilenode::bigint - chosen.table_oid::bigint AS ids_since_table
FROM chosen
LEFT JOIN locked ON locked.relation = chosen.indexrelid
LEFT JOIN building ON building.index_relid = chosen.indexrelid
${keepsCounters ? 'LEFT JOIN trace_console.index_counters AS counters ON counters.index_oid = chosen.indexrelid' : ''}`;
}

export type IndexUsageDatabaseRow = {
  index: string;
  table: string;
  oid: number;
  method: string;
  is_primary: boolean;
  is_unique: boolean;
  scans: number;
  last_scan: Date | null;
  locked_by: number | null;
  bytes: number | null;
  building: boolean;
  valid: boolean;
  not_in_use: boolean;
  lists: number | null;
  index_rows: number;
  table_rows: number | null;
  live_rows: number | null;
  share_without: number | null;
  ids_since_table: number;
};

/**
 * One index in full. `$1`: its oid. pg_get_indexdef waits behind ACCESS EXCLUSIVE on the table, so it is
 * asked on demand only.
 */
export const indexDetailStatement = ({ keepsCounters }: CounterSource): string => `
SELECT
  pg_get_indexdef(i.indexrelid) AS definition,
  obj_description(i.indexrelid, 'pg_class') AS comment,
  pg_size_pretty(pg_relation_size(i.indexrelid)) AS size,
  i.indisvalid AS valid,
  i.indisready AS ready,
  ${keepsCounters ? '(SELECT scans FROM trace_console.index_counters WHERE index_oid = i.indexrelid)' : 's.idx_scan'} AS scans,
  ${
    keepsCounters
      ? ''
      : `s.idx_tup_read AS entries_read,
  s.idx_tup_fetch AS rows_fetched,`
  }
  c.reloptions AS options,
  c.reltuples AS entries_estimate
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
LEFT JOIN pg_stat_user_indexes AS s ON s.indexrelid = i.indexrelid
WHERE i.indexrelid = $1::oid`;
