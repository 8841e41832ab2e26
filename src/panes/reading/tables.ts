import type { PaneReader, PaneResult, ReadRequest } from '../contract/pane.js';
import type { SchemaShape } from '../contract/shape.js';
import { readGrowth, type Growth } from '../../deploy/kept-sizes.js';
import { lockedRelations } from '../../db/quote.js';
import { readCountersSince, type CountersSince } from '../../maintenance/index-verdict.js';
import type { Queryable } from '../../db/queryable.js';
import { askTwice } from './windows.js';

export type TableSizeRow = {
  table: string;
  oid: number;
  /** Bytes; heap includes the free space and visibility maps. Those of before while the table is locked. */
  totalBytes: number | null;
  heapBytes: number | null;
  indexBytes: number | null;
  toastBytes: number | null;
  /** An estimate of the statistics; null before the first. */
  rows: number | null;
  /** Null: the rows lie on workers of a cluster. */
  deadRows: number | null;
  changedSinceAnalyze: number;
  /** The later of the last manual one and autovacuum's. */
  lastVacuum: Date | null;
  lastAnalyze: Date | null;
  vacuumWasAutomatic: boolean;
  analyzeWasAutomatic: boolean;
  /** Since the console began to look. */
  growthBytes: number | null;
  /** By the kept sizes: known from two days on, and the span (ms) that they are of. */
  bytesPerDay: number | null;
  grownOverMs: number | null;
  bytesIn30Days: number | null;
  /** The process that keeps others from reading it. */
  lockedBy: number | null;
};

export type TableSizesExtras = CountersSince & {
  tables: number;
  totalBytes: number;
  /** Since the console began to look; null at the first reading. */
  growthBytes: number | null;
  deadRows: number;
  /** Days whose sizes are kept, of the last 30; null: none are kept here. */
  keptDays: number | null;
  bytesPerDay: number | null;
  grownOverMs: number | null;
  bytesIn30Days: number | null;
};

const mostTables = 200;

type Sizes = Pick<TableSizeRow, 'totalBytes' | 'heapBytes' | 'indexBytes' | 'toastBytes'>;

export class TableSizesReader implements PaneReader<TableSizeRow, TableSizesExtras> {
  readonly #first = new Map<number, number>();
  readonly #last = new Map<number, Sizes>();

  async read(request: ReadRequest): Promise<PaneResult<TableSizeRow, TableSizesExtras>> {
    const { shape } = request;
    const { nowMs, since, found, growth } = await askTwice(() =>
      request.transaction(async (tx) => {
        const [{ nowMs, ...since }, { rows }, growth] = await Promise.all([
          readCountersSince(tx, shape),
          tx.query<TableSizesDatabaseRow>(tableSizesStatement(shape), [shape.schema, mostTables]),
          readGrowth(tx, shape.schema),
        ]);
        const found = shape.onWorkers.size > 0 ? await withShardSizes(tx, shape, rows) : rows;
        return { nowMs, since, found, growth };
      }),
    );
    const rows = found
      .map((row) => this.#rowOf(row, growth?.tables.get(row.table)))
      .sort((a, b) => (b.totalBytes ?? 0) - (a.totalBytes ?? 0));
    const sum = (value: (row: TableSizeRow) => number | null) =>
      rows.reduce((total, row) => total + (value(row) ?? 0), 0);
    return {
      rows,
      extras: {
        tables: rows.length,
        totalBytes: sum((row) => row.totalBytes),
        growthBytes: rows.some((row) => row.growthBytes !== null)
          ? sum((row) => row.growthBytes)
          : null,
        deadRows: sum((row) => row.deadRows),
        keptDays: growth?.days ?? null,
        ...grown(
          sum((row) => row.totalBytes),
          growth?.total,
        ),
        ...since,
      },
      asOf: new Date(nowMs),
      notes: [
        ...rows.flatMap(({ table, lockedBy }) =>
          lockedBy === null
            ? []
            : [`${table} is locked by pid ${lockedBy}: its sizes are those of before`],
        ),
        ...(shape.onWorkers.size > 0
          ? [
              'Citus: sizes are those of the shards; the workers know rows, dead rows and the last vacuum',
            ]
          : []),
        ...(rows.length === mostTables ? [`only the ${mostTables} largest tables`] : []),
      ],
    };
  }

  #rowOf(row: TableSizesDatabaseRow, growth: Growth | undefined): TableSizeRow {
    // Of the first reading there is no growth to tell yet.
    const first = this.#first.get(row.oid);
    const sizes = this.#sizesOf(row);
    return {
      table: row.table,
      oid: row.oid,
      ...sizes,
      rows: row.rows_estimate,
      deadRows: row.dead_rows,
      changedSinceAnalyze: row.changed_since_analyze,
      lastVacuum: later(row.last_vacuum, row.last_autovacuum),
      lastAnalyze: later(row.last_analyze, row.last_autoanalyze),
      vacuumWasAutomatic: isLater(row.last_autovacuum, row.last_vacuum),
      analyzeWasAutomatic: isLater(row.last_autoanalyze, row.last_analyze),
      growthBytes:
        first === undefined || sizes.totalBytes === null ? null : sizes.totalBytes - first,
      ...grown(sizes.totalBytes, growth),
      lockedBy: row.locked_by,
    };
  }

  #sizesOf(row: TableSizesDatabaseRow): Sizes {
    if (row.table_bytes === null) {
      const unknown = { totalBytes: null, heapBytes: null, indexBytes: null, toastBytes: null };
      return this.#last.get(row.oid) ?? unknown;
    }
    const { table_bytes: tableBytes, index_bytes: indexBytes, onWorkers } = row;
    const totalBytes = tableBytes + (indexBytes ?? 0);
    const toastBytes = onWorkers ? null : (row.toast_bytes ?? 0);
    const heapBytes = onWorkers ? null : tableBytes - (toastBytes ?? 0);
    const sizes = { totalBytes, heapBytes, indexBytes, toastBytes };
    this.#last.set(row.oid, sizes);
    if (!this.#first.has(row.oid)) this.#first.set(row.oid, totalBytes);
    return sizes;
  }
}

function grown(bytes: number | null, growth: Growth | undefined) {
  if (!growth) return { bytesPerDay: null, grownOverMs: null, bytesIn30Days: null };
  const { bytesPerDay, spanMs } = growth;
  const bytesIn30Days = bytes === null ? null : Math.max(0, bytes + 30 * bytesPerDay);
  return { bytesPerDay, grownOverMs: spanMs, bytesIn30Days };
}

function isLater(time: Date | null, than: Date | null): boolean {
  return time !== null && (than === null || time > than);
}

function later(a: Date | null, b: Date | null): Date | null {
  return isLater(a, b) ? a : b;
}

/**
 * Every table of the schema `$1` with its sizes, rows and last maintenance; `$2`: how many at most, the
 * largest by the catalogue first. 0.7 ms with 12 tables: each size function looks at every file, so none is asked for what
 * another has counted.
 *
 * The size functions wait behind ACCESS EXCLUSIVE on the table, its TOAST table or one of its indexes. A
 * table that is so locked, or queued for it, is not measured but named with the process that holds the lock;
 * everything else comes from catalogues and shared memory, which wait for nobody. The counters come from the
 * functions behind pg_stat_user_tables, or from where the embedded database keeps them.
 */
export const tableSizesStatement = ({
  keepsCounters,
}: Pick<SchemaShape, 'keepsCounters'>): string => `
WITH chosen AS MATERIALIZED (
  SELECT oid, relname, relpages, reltuples, reltoastrelid
  FROM pg_class
  WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'm')
  ORDER BY relpages DESC, relname
  LIMIT $2
), ${lockedRelations}, locked_table AS MATERIALIZED (
  SELECT chosen.oid, min(locked.pid) AS pid
  FROM locked
  LEFT JOIN pg_index AS i ON i.indexrelid = locked.relation
  JOIN chosen ON chosen.oid = COALESCE(i.indrelid, locked.relation) OR chosen.reltoastrelid = COALESCE(i.indrelid, locked.relation)
  GROUP BY chosen.oid
)
SELECT
  chosen.relname::text AS table,
  chosen.oid::bigint AS oid,
  locked_table.pid AS locked_by,
  CASE WHEN locked_table.pid IS NULL THEN pg_table_size(chosen.oid) END AS table_bytes,
  CASE WHEN locked_table.pid IS NULL THEN pg_indexes_size(chosen.oid) END AS index_bytes,
  CASE WHEN locked_table.pid IS NULL AND chosen.reltoastrelid <> 0
       THEN pg_total_relation_size(chosen.reltoastrelid) END AS toast_bytes,
  ${keepsCounters ? keptCounters : serverCounters}
FROM chosen
LEFT JOIN locked_table ON locked_table.oid = chosen.oid
${keepsCounters ? 'JOIN trace_console.table_counters AS counters ON counters.table_oid = chosen.oid' : ''}`;

const serverCounters = `
  CASE WHEN pg_stat_get_live_tuples(chosen.oid) > 0 OR chosen.reltuples < 0 THEN pg_stat_get_live_tuples(chosen.oid)
       ELSE chosen.reltuples::bigint END AS rows_estimate,
  pg_stat_get_dead_tuples(chosen.oid) AS dead_rows,
  pg_stat_get_mod_since_analyze(chosen.oid) AS changed_since_analyze,
  pg_stat_get_last_vacuum_time(chosen.oid) AS last_vacuum,
  pg_stat_get_last_autovacuum_time(chosen.oid) AS last_autovacuum,
  pg_stat_get_last_analyze_time(chosen.oid) AS last_analyze,
  pg_stat_get_last_autoanalyze_time(chosen.oid) AS last_autoanalyze`;

const keptCounters = `
  counters.rows AS rows_estimate,
  counters.dead_rows,
  counters.changed_since_analyze,
  counters.last_vacuum,
  NULL::timestamptz AS last_autovacuum,
  counters.last_analyze,
  NULL::timestamptz AS last_autoanalyze`;

export type TableSizesDatabaseRow = {
  table: string;
  oid: number;
  locked_by: number | null;
  /** With its TOAST table; of shards with their indexes. */
  table_bytes: number | null;
  index_bytes: number | null;
  toast_bytes: number | null;
  rows_estimate: number | null;
  dead_rows: number | null;
  changed_since_analyze: number;
  last_vacuum: Date | null;
  last_autovacuum: Date | null;
  last_analyze: Date | null;
  last_autoanalyze: Date | null;
  /** Of the table's shards only the size is known. */
  onWorkers?: true;
};

/** Asks every worker; one that does not answer leaves its shards out, with a warning of the server. */
export const shardSizesStatement = `
SELECT c.relname::text AS "table", sum(s.shard_size)::float8 AS bytes
FROM pg_catalog.citus_shards AS s JOIN pg_class AS c ON c.oid = s.table_name
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
GROUP BY c.relname`;

export type ShardSizeRow = { table: string; bytes: number };

/** Replaces the sizes of distributed tables: what this server has of them is an empty shell. */
async function withShardSizes(
  tx: Queryable,
  { schema, onWorkers }: SchemaShape,
  rows: readonly TableSizesDatabaseRow[],
): Promise<TableSizesDatabaseRow[]> {
  const { rows: shards } = await tx.query<ShardSizeRow>(shardSizesStatement, [schema]);
  const bytes = new Map(shards.map((shard) => [shard.table, shard.bytes]));
  return rows.map((row) => {
    if (!onWorkers.has(row.table)) return row;
    const unknown = { index_bytes: null, toast_bytes: null, rows_estimate: null, dead_rows: null };
    const never = {
      last_vacuum: null,
      last_autovacuum: null,
      last_analyze: null,
      last_autoanalyze: null,
    };
    return {
      ...row,
      ...unknown,
      ...never,
      table_bytes: bytes.get(row.table) ?? null,
      onWorkers: true,
    };
  });
}
