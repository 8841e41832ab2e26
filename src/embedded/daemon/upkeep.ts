import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { failureOf } from '../../db/errors.js';
import { quoteLiteral } from '../../db/quote.js';
import type { DaemonLog } from '../control.js';
import type { Reserve } from '../folder/reserve.js';
import type { Multiplexer } from '../mux/multiplexer.js';

/**
 * Where the embedded database keeps the counters that its engine loses at every close: beside each
 * counter, what stood in it when this engine started (`…_before`). The views add what the engine
 * has counted since. An engine is known by the time at which it started.
 *
 * Kept by name, because REINDEX CONCURRENTLY and a swap by rename give an index another oid.
 */
const keptTables = {
  kept_index_counters: `
CREATE TABLE IF NOT EXISTS trace_console.kept_index_counters (
  schema_name name,
  index_name name,
  engine timestamptz NOT NULL,
  taken_at timestamptz NOT NULL,
  since timestamptz NOT NULL,
  scans bigint NOT NULL,
  scans_before bigint NOT NULL,
  last_scan timestamptz,
  PRIMARY KEY (schema_name, index_name)
)`,
  kept_table_counters: `
CREATE TABLE IF NOT EXISTS trace_console.kept_table_counters (
  schema_name name,
  table_name name,
  engine timestamptz NOT NULL,
  taken_at timestamptz NOT NULL,
  since timestamptz NOT NULL,
  file oid NOT NULL,
  rows bigint NOT NULL,
  rows_before bigint NOT NULL,
  dead_rows bigint NOT NULL,
  dead_rows_before bigint NOT NULL,
  changed_since_analyze bigint NOT NULL,
  changed_before bigint NOT NULL,
  inserted_since_vacuum bigint NOT NULL,
  inserted_before bigint NOT NULL,
  last_vacuum timestamptz,
  last_analyze timestamptz,
  PRIMARY KEY (schema_name, table_name)
)`,
};

/**
 * Drops the table where its columns are those of another version. One that has them stays with its
 * rows, although the other table or a view was dropped.
 */
const dropOtherShape = ([table, sql]: [string, string]): string => {
  const columns = [...sql.matchAll(/^ {2}([a-z_]+) /gm)].map(([, column = '']) => column);
  return `
  IF (SELECT pg_catalog.array_agg(attname::text ORDER BY attnum) FROM pg_catalog.pg_attribute
      WHERE attrelid = pg_catalog.to_regclass('trace_console.${table}') AND attnum > 0 AND NOT attisdropped)
     <> ${quoteLiteral(`{${columns.join(',')}}`)}::text[] THEN
    DROP TABLE trace_console.${table};
  END IF;`;
};

const keptCountersSchema = `
DROP VIEW IF EXISTS trace_console.index_counters, trace_console.table_counters;
DROP FUNCTION IF EXISTS trace_console.carried(boolean, bigint, bigint, bigint);

DO $kept$ BEGIN${Object.entries(keptTables).map(dropOtherShape).join('')}
END $kept$;
${Object.values(keptTables).join(';')};

-- A counter that stands lower than it was seen by this engine has begun anew: its relation did.
CREATE FUNCTION trace_console.carried(same_engine boolean, before bigint, total bigint, live bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN same_engine AND before + live >= total THEN before ELSE total END $$;

CREATE VIEW trace_console.index_counters WITH (security_invoker = true) AS
SELECT
  n.nspname AS schema_name,
  c.relname AS index_name,
  c.oid AS index_oid,
  CASE WHEN anew THEN 0 ELSE trace_console.carried(engine = started, scans_before, scans, live_scans) END
    AS scans_before,
  live_scans
    + CASE WHEN anew THEN 0 ELSE trace_console.carried(engine = started, scans_before, scans, live_scans) END
    AS scans,
  GREATEST(CASE WHEN NOT anew THEN kept.last_scan END, pg_catalog.pg_stat_get_lastscan(c.oid)) AS last_scan,
  CASE WHEN reset_at > taken_at THEN reset_at ELSE COALESCE(kept.since, started) END AS since
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN trace_console.kept_index_counters AS kept ON schema_name = nspname AND index_name = relname
CROSS JOIN LATERAL (
  SELECT
    pg_catalog.pg_stat_get_numscans(c.oid) AS live_scans,
    pg_catalog.pg_postmaster_start_time() AS started,
    pg_catalog.pg_stat_get_db_stat_reset_time(
      (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) AS reset_at
) AS live
CROSS JOIN LATERAL (SELECT kept.engine IS NULL OR COALESCE(reset_at > taken_at, false) AS anew) AS state
WHERE c.relkind = 'i' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'trace_console')
  AND c.relpersistence <> 't';

-- VACUUM and ANALYZE of this engine have counted anew what they count; another file (TRUNCATE, VACUUM
-- FULL) is another heap.
CREATE VIEW trace_console.table_counters WITH (security_invoker = true) AS
SELECT
  n.nspname AS schema_name,
  c.relname AS table_name,
  c.oid AS table_oid,
  c.relfilenode AS file,
  total.rows,
  total.rows - live.inserted + live.deleted AS rows_before,
  GREATEST(0, live.dead + dead_before) AS dead_rows,
  dead_before AS dead_rows_before,
  live.changed + changed_base AS changed_since_analyze,
  changed_base AS changed_before,
  live.ins_since_vacuum + inserted_base AS inserted_since_vacuum,
  inserted_base AS inserted_before,
  COALESCE(live.vacuumed_at, kept.last_vacuum) AS last_vacuum,
  COALESCE(live.analyzed_at, kept.last_analyze) AS last_analyze,
  CASE WHEN reset_at > taken_at THEN reset_at ELSE COALESCE(kept.since, started) END AS since
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN trace_console.kept_table_counters AS kept ON schema_name = nspname AND table_name = relname
CROSS JOIN LATERAL (
  SELECT
    pg_catalog.pg_stat_get_tuples_inserted(c.oid) AS inserted,
    pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS deleted,
    pg_catalog.pg_stat_get_live_tuples(c.oid) AS rows,
    pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead,
    pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS changed,
    pg_catalog.pg_stat_get_ins_since_vacuum(c.oid) AS ins_since_vacuum,
    GREATEST(pg_catalog.pg_stat_get_last_vacuum_time(c.oid), pg_catalog.pg_stat_get_last_autovacuum_time(c.oid))
      AS vacuumed_at,
    GREATEST(pg_catalog.pg_stat_get_last_analyze_time(c.oid), pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid))
      AS analyzed_at,
    pg_catalog.pg_postmaster_start_time() AS started,
    pg_catalog.pg_stat_get_db_stat_reset_time(
      (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) AS reset_at
) AS live
CROSS JOIN LATERAL (
  SELECT
    kept.engine IS NULL OR kept.file <> c.relfilenode OR COALESCE(reset_at > taken_at, false) AS anew,
    COALESCE(kept.engine = started, false) AS same_engine
) AS state
CROSS JOIN LATERAL (
  SELECT
    CASE WHEN anew OR vacuumed_at IS NOT NULL OR analyzed_at IS NOT NULL THEN 0
         WHEN same_engine THEN kept.dead_rows_before ELSE kept.dead_rows END AS dead_before,
    CASE WHEN anew OR analyzed_at IS NOT NULL THEN 0
         WHEN same_engine THEN kept.changed_before ELSE kept.changed_since_analyze END AS changed_base,
    CASE WHEN anew OR vacuumed_at IS NOT NULL THEN 0
         WHEN same_engine THEN kept.inserted_before ELSE kept.inserted_since_vacuum END AS inserted_base
) AS base
CROSS JOIN LATERAL (
  SELECT CASE
    WHEN vacuumed_at IS NOT NULL OR analyzed_at IS NOT NULL THEN live.rows
    WHEN anew THEN CASE WHEN live.rows > 0 THEN live.rows ELSE GREATEST(0, c.reltuples)::bigint END
    ELSE GREATEST(0, live.inserted - live.deleted + CASE WHEN same_engine THEN kept.rows_before ELSE kept.rows END)
  END AS rows
) AS total
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'trace_console')
  AND c.relpersistence <> 't'`;

/** Takes over what stands in the views. What did not change is not written: an idle database stays idle. */
const keepIndexCounters = `
INSERT INTO trace_console.kept_index_counters AS kept
  (schema_name, index_name, engine, taken_at, since, scans, scans_before, last_scan)
SELECT schema_name, index_name, pg_catalog.pg_postmaster_start_time(), pg_catalog.clock_timestamp(),
  since, scans, scans_before, last_scan
FROM trace_console.index_counters
ON CONFLICT (schema_name, index_name) DO UPDATE SET
  engine = excluded.engine, taken_at = excluded.taken_at, since = excluded.since,
  scans = excluded.scans, scans_before = excluded.scans_before, last_scan = excluded.last_scan
WHERE (kept.since, kept.scans, kept.last_scan) IS DISTINCT FROM (excluded.since, excluded.scans, excluded.last_scan);

DELETE FROM trace_console.kept_index_counters AS kept WHERE NOT EXISTS (
  SELECT FROM trace_console.index_counters AS c
  WHERE c.schema_name = kept.schema_name AND c.index_name = kept.index_name)`;

const keepTableCounters = `
INSERT INTO trace_console.kept_table_counters AS kept
  (schema_name, table_name, engine, taken_at, since, file, rows, rows_before, dead_rows, dead_rows_before,
   changed_since_analyze, changed_before, inserted_since_vacuum, inserted_before, last_vacuum, last_analyze)
SELECT schema_name, table_name, pg_catalog.pg_postmaster_start_time(), pg_catalog.clock_timestamp(),
  since, file, rows, rows_before, dead_rows, dead_rows_before, changed_since_analyze, changed_before,
  inserted_since_vacuum, inserted_before, last_vacuum, last_analyze
FROM trace_console.table_counters
ON CONFLICT (schema_name, table_name) DO UPDATE SET
  engine = excluded.engine, taken_at = excluded.taken_at, since = excluded.since, file = excluded.file,
  rows = excluded.rows, rows_before = excluded.rows_before,
  dead_rows = excluded.dead_rows, dead_rows_before = excluded.dead_rows_before,
  changed_since_analyze = excluded.changed_since_analyze, changed_before = excluded.changed_before,
  inserted_since_vacuum = excluded.inserted_since_vacuum, inserted_before = excluded.inserted_before,
  last_vacuum = excluded.last_vacuum, last_analyze = excluded.last_analyze
WHERE (kept.since, kept.file, kept.rows, kept.dead_rows, kept.changed_since_analyze, kept.inserted_since_vacuum,
       kept.last_vacuum, kept.last_analyze)
  IS DISTINCT FROM (excluded.since, excluded.file, excluded.rows, excluded.dead_rows,
       excluded.changed_since_analyze, excluded.inserted_since_vacuum, excluded.last_vacuum, excluded.last_analyze);

DELETE FROM trace_console.kept_table_counters AS kept WHERE NOT EXISTS (
  SELECT FROM trace_console.table_counters AS c
  WHERE c.schema_name = kept.schema_name AND c.table_name = kept.table_name)`;

const checksum = createHash('sha256').update(keptCountersSchema).digest('hex').slice(0, 16);

/** The comment tells by which text the tables and views were made. */
const isCurrentSql = `
SELECT pg_catalog.obj_description(pg_catalog.to_regclass('trace_console.table_counters'), 'pg_class') = '${checksum}'
  AND pg_catalog.to_regclass('trace_console.index_counters') IS NOT NULL
  AND ${Object.keys(keptTables)
    .map((table) => `pg_catalog.to_regclass('trace_console.${table}') IS NOT NULL`)
    .join(' AND ')}`;

const createSql = `
CREATE SCHEMA IF NOT EXISTS trace_console;
${keptCountersSchema};
COMMENT ON VIEW trace_console.table_counters IS ${quoteLiteral(checksum)}`;

/**
 * Keeps the statistics counters over the ends of the engine, in the views `index_counters` and
 * `table_counters` of the schema `trace_console`: taken every minute and before a close. What an
 * engine counted after the last time is lost when it is killed.
 */
export class KeptCounters {
  readonly #multiplexer: Multiplexer;

  constructor(multiplexer: Multiplexer) {
    this.#multiplexer = multiplexer;
  }

  /** Creates the tables and views where they are missing or of another version of the console. */
  async prepare(): Promise<void> {
    const rows = await this.#multiplexer.background(isCurrentSql);
    if (rows[0]?.[0] !== 't') await this.#multiplexer.background(createSql);
  }

  async take(): Promise<void> {
    await this.prepare();
    // A session tells its counters once a second at most; this says: now.
    await this.#multiplexer.background('SELECT pg_catalog.pg_stat_force_next_flush()');
    await this.#multiplexer.background(`${keepIndexCounters};${keepTableCounters}`);
  }
}

/** A checkpoint is due when the write-ahead log is larger than this. */
const walLimitBytes = 48 * 1024 * 1024;

const appliedNow = 'UPDATE trace_console.schema_files SET applied_at = pg_catalog.now()';

/** Only what kept clients waiting for so long is worth a line in the log. */
const slowMs = 1_000;

/** Tables whose dead or new rows call for it, the neediest first. Thresholds as autovacuum's. */
const needySql = `
  SELECT pg_catalog.format('%I.%I', schema_name, table_name), vacuums
  FROM trace_console.table_counters JOIN pg_catalog.pg_class ON pg_class.oid = table_oid,
    LATERAL (SELECT dead_rows > 50 + 0.2 * rows OR inserted_since_vacuum > 1000 + 0.2 * rows
      OR pg_catalog.age(relfrozenxid) > 150000000 AS vacuums) AS need
  WHERE vacuums OR changed_since_analyze > 50 + 0.1 * rows
  ORDER BY dead_rows + changed_since_analyze DESC LIMIT 20`;

/**
 * What a server's background processes do and a single-user engine does not: checkpoints, vacuum,
 * statistics, and a look whether the engine still answers.
 */
export class Upkeep {
  readonly #multiplexer: Multiplexer;
  readonly #postgresFolder: string;
  readonly #reserve: Reserve;
  readonly #log: DaemonLog;
  readonly #counters: KeptCounters;
  readonly #timers: NodeJS.Timeout[] = [];
  #checkpointLsn: string | undefined;

  constructor(multiplexer: Multiplexer, postgresFolder: string, reserve: Reserve, log: DaemonLog) {
    this.#multiplexer = multiplexer;
    this.#postgresFolder = postgresFolder;
    this.#reserve = reserve;
    this.#log = log;
    this.#counters = new KeptCounters(multiplexer);
  }

  /**
   * Before clients come: what they may read of the counters is there.
   *
   * @param isFromTemplate the database is new, and its schema came with it: it is applied now, not when the template was built
   */
  prepare(isFromTemplate = false): Promise<void> {
    return this.#quietly(async () => {
      await this.#counters.prepare();
      if (isFromTemplate) await this.#multiplexer.background(appliedNow);
    });
  }

  /** Begins the rounds. */
  begin(): void {
    const every = (ms: number, work: () => Promise<void>): void => {
      this.#timers.push(setInterval(() => void this.#quietly(work), ms));
    };
    every(10_000, async () => {
      await this.checkpointWhenLarge();
      this.#reserve.fill();
    });
    every(30_000, () => this.probe());
    every(60_000, async () => {
      await this.vacuum();
      await this.#counters.take();
    });
    every(300_000, () => this.checkpoint());
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /**
   * What is left to do before the engine closes. Its counters are lost with it. Vacuuming may take
   * a while: not when somebody has just been sent away.
   */
  async leave(unused: boolean): Promise<void> {
    if (unused) await this.#quietly(() => this.vacuum());
    await this.#quietly(() => this.#counters.take());
  }

  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#log(`upkeep: ${failureOf(error).message}`, 'warning');
    }
  }

  /** The engine must answer with a row, or it is replaced. */
  async probe(): Promise<void> {
    try {
      const rows = await this.#multiplexer.background('SELECT 1', 5_000);
      if (rows[0]?.[0] === '1') return;
    } catch (error) {
      this.#log(`health probe: ${failureOf(error).message}`, 'warning');
      return;
    }
    this.#log('health probe: the engine gave no row', 'warning');
    await this.#multiplexer.replaceEngine();
  }

  /** Bytes of the write-ahead log's files. */
  walBytes(): number {
    const folder = path.join(this.#postgresFolder, 'pg_wal');
    let bytes = 0;
    for (const name of fs.readdirSync(folder)) {
      if (!/^[0-9A-F]{24}$/.test(name)) continue;
      bytes += fs.statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
    }
    return bytes;
  }

  async checkpointWhenLarge(): Promise<void> {
    if (this.walBytes() > walLimitBytes) await this.checkpoint();
  }

  /** Writes everything to the table files, if anything was written since the last time. */
  async checkpoint(): Promise<void> {
    const lsnSql = 'SELECT pg_catalog.pg_current_wal_insert_lsn()';
    const before = (await this.#multiplexer.background(lsnSql))[0]?.[0];
    if (before === this.#checkpointLsn) return;
    await this.#multiplexer.background('CHECKPOINT');
    this.#checkpointLsn = (await this.#multiplexer.background(lsnSql))[0]?.[0] ?? undefined;
  }

  /** Vacuums and analyzes the tables that need it, one at a time between clients. */
  async vacuum(): Promise<void> {
    await this.#counters.prepare();
    for (const [table, vacuums] of await this.#multiplexer.background(needySql)) {
      if (typeof table !== 'string') continue;
      const begun = performance.now();
      const action = vacuums === 't' ? 'VACUUM (ANALYZE)' : 'ANALYZE';
      await this.#multiplexer.background(`${action} ${table}`, 120_000);
      const took = Math.round(performance.now() - begun);
      if (took > slowMs) this.#log(`${action} of one table took ${took} ms`);
    }
  }
}
