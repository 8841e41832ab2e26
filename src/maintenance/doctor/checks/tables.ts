import { analyzeCommand, vacuumCommand } from '../../statistics/maintain-tables.js';
import { quoteIdent } from '../../../db/quote.js';
import { counted, withSeparators, formatBytes } from '../../../core/format/number.js';
import { firstOf, good, type Check, exceptEmbedded, skipped } from '../check.js';
import type { Queryable } from '../../../db/queryable.js';
import { formatAge } from '../../../core/format/time.js';
import { freeSpace } from '../../reindex/reindex-preview.js';
import { readGrowth } from '../../../deploy/kept-sizes.js';

export const staleStatistics: Check = {
  id: 'stale-statistics',
  ofOwnRows: true,
  title: 'Stale statistics',
  why: 'The planner chooses its way by statistics. When they are missing or old it guesses, and a query that took milliseconds may read a whole table.',
  async run({ tx, capabilities }) {
    const rows = await readTableCounts(tx, capabilities.schema);
    const stale = rows.filter(
      (row) =>
        (!row.analyzed && row.rows >= overdue.rows) ||
        row.changed > overdue.rows + overdue.changed * row.rows,
    );
    const [first] = stale;
    if (!first) return good('The statistics of every table are up to date.');
    const lines = stale.map(({ table, rows: count, changed, analyzed }) =>
      analyzed
        ? `${table}: ${withSeparators(changed)} of about ${counted(count, 'row')} changed since`
        : `${table}: never analysed, about ${counted(count, 'row')}`,
    );
    return {
      severity: 'warning',
      evidence: `${counted(stale.length, 'table')}: ${firstOf(lines, 2)}.`,
      items: lines,
      fix: 'Analyse them; it reads a sample and blocks nobody.',
      inConsole: `:${analyzeCommand.id} does it on the pane of table sizes`,
      command: `ANALYZE ${stale.map(({ table }) => quoteIdent(capabilities.schema, table)).join(', ')};`,
    };
  },
};

export const deadRows: Check = {
  id: 'dead-rows',
  ofOwnRows: true,
  title: 'Dead rows',
  why: 'Rows that were changed or deleted stay until a vacuum removes them. Many of them make scans and index look-ups slow and the table grow.',
  async run({ tx, capabilities }) {
    const rows = await readTableCounts(tx, capabilities.schema);
    const due = rows.filter(({ dead, rows: live }) => dead > overdue.rows + overdue.dead * live);
    const [first] = due;
    if (!first) return good('No table holds more dead rows than autovacuum leaves.');
    const lines = due.map(
      ({ table, dead, rows: live }) =>
        `${table}: ${withSeparators(dead)} dead beside ${withSeparators(live)} live rows`,
    );
    return {
      severity: 'warning',
      evidence: `${counted(due.length, 'table')}: ${firstOf(lines, 2)}.`,
      items: lines,
      fix: 'Vacuum them, and look why autovacuum did not: it may be off, or an old transaction, a replication slot or a prepared transaction keeps the rows (see those checks).',
      inConsole: `:${vacuumCommand.id} does it on the pane of table sizes`,
      command: `VACUUM (ANALYZE) ${due.map(({ table }) => quoteIdent(capabilities.schema, table)).join(', ')};`,
    };
  },
};

/** Autovacuum comes at 50 rows and a tenth (analyze) or a fifth (vacuum); the double is overdue. */
const overdue = { rows: 1_000, changed: 0.2, dead: 0.4 };

export type TableCounts = {
  table: string;
  rows: number;
  changed: number;
  dead: number;
  /** Vacuumed or analysed at least once. */
  analyzed: boolean;
};

/** The counters of every table of a schema, from statistics in shared memory. */
async function readTableCounts(tx: Queryable, schema: string): Promise<TableCounts[]> {
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

type AutovacuumRow = { enabled: boolean; counting: boolean; tables: string[] };

export const autovacuum: Check = {
  id: 'autovacuum',
  title: 'Autovacuum',
  why: 'Without it nobody removes dead rows, keeps the statistics up to date, or freezes old rows before their numbers come round.',
  skip: exceptEmbedded('the console vacuums it by itself'),
  async run({ tx, capabilities: { schema } }) {
    const { rows } = await tx.query<AutovacuumRow>(
      `SELECT current_setting('autovacuum')::bool AS enabled, current_setting('track_counts')::bool AS counting,
         ARRAY(
           SELECT c.relname::text FROM pg_class AS c, pg_options_to_table(c.reloptions) AS o
           WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind IN ('r', 'm')
             AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::bool
           ORDER BY 1) AS tables`,
      [schema],
    );
    const { enabled = true, counting = true, tables = [] } = rows[0] ?? {};
    if (!enabled || !counting) {
      const name = enabled ? 'track_counts' : 'autovacuum';
      return {
        severity: 'critical',
        evidence: `${name} is off for the whole server${enabled ? ': autovacuum does not see what changed' : ''}.`,
        fix: 'Switch it on; a reload is enough.',
        command: [`ALTER SYSTEM SET ${name} = on;`, 'SELECT pg_reload_conf();'],
      };
    }
    const [first] = tables;
    if (first === undefined) return good('It is on, for every table.');
    return {
      severity: 'warning',
      evidence: `It is off for ${firstOf(tables)}.`,
      items: tables,
      fix: 'Switch it on again for the table.',
      command: `ALTER TABLE ${quoteIdent(schema, first)} RESET (autovacuum_enabled);`,
    };
  },
};

/** PostgreSQL refuses to write some 3 million transactions before 2^31; its failsafe begins at 1.6 billion. */
const dangerous = 1_200_000_000;

/**
 * Ages of the database and of its oldest tables, in transactions and multixacts, and what keeps vacuum
 * from freezing: the oldest of transactions, prepared ones and slots.
 */
const agesStatement = `
SELECT
  age(datfrozenxid) AS xid_age, mxid_age(datminmxid) AS mxid_age,
  current_setting('autovacuum_freeze_max_age')::int AS xid_limit,
  current_setting('autovacuum_multixact_freeze_max_age')::int AS mxid_limit,
  ARRAY(SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relkind IN ('r', 'm', 't') AND c.relfrozenxid <> '0'
        ORDER BY age(c.relfrozenxid) DESC, c.oid LIMIT 3) AS oldest
FROM pg_database WHERE datname = current_database()`;

type AgeRow = {
  xid_age: number;
  mxid_age: number;
  xid_limit: number;
  mxid_limit: number;
  oldest: string[];
};

export const wraparound: Check = {
  id: 'wraparound',
  title: 'Wraparound',
  why: 'Transaction numbers come round after about two billion. Vacuum freezes old rows before; where it cannot, PostgreSQL stops to accept writes to save the data.',
  async run({ tx }) {
    const { rows } = await tx.query<AgeRow>(agesStatement);
    const [row] = rows;
    if (!row) return good('The server tells no ages.');
    const { xid_age: xids, mxid_age: mxids, xid_limit: xidLimit, mxid_limit: mxidLimit } = row;
    const evidence = `Oldest row: ${withSeparators(xids)} transactions and ${withSeparators(mxids)} multixacts old; autovacuum freezes at ${withSeparators(xidLimit)} and ${withSeparators(mxidLimit)}`;
    // A vacuum against wraparound takes its time; a tenth beyond the limit it should have come.
    const overdue = xids > 1.1 * xidLimit || mxids > 1.1 * mxidLimit;
    if (!overdue) return good(`${evidence}.`);
    return {
      severity: Math.max(xids, mxids) > dangerous ? 'critical' : 'warning',
      evidence: `${evidence}. Vacuum cannot keep up. Oldest tables: ${firstOf(row.oldest)}.`,
      items: row.oldest,
      fix: 'Something old may keep vacuum from freezing: end long transactions, prepared transactions and unused replication slots first, then freeze the whole database.',
      command: 'VACUUM (FREEZE, VERBOSE);',
    };
  },
};

const dayMs = 86_400_000;

/** Younger counters say too little about a whole day. */
const leastAgeMs = 3_600_000;

/**
 * Rows that came since the counters began, less those that went, at the bytes that a row takes now with
 * its indexes and long values: all from the catalogue and the counters, nothing is measured.
 */
const growthStatement = `
SELECT
  1000 * date_part('epoch', now() - COALESCE(s.stats_reset, pg_postmaster_start_time())) AS age_ms,
  s.stats_reset IS NOT NULL AS exact,
  COALESCE((
    SELECT sum((pg_stat_get_tuples_inserted(c.oid) - pg_stat_get_tuples_deleted(c.oid))
      * (c.relpages + COALESCE(toast.relpages, 0) + COALESCE(indexes.pages, 0))
      * current_setting('block_size')::float8 / GREATEST(c.reltuples, 1))
    FROM pg_class AS c
    LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
    CROSS JOIN LATERAL (
      SELECT sum(i.relpages) AS pages FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
      WHERE x.indrelid = c.oid) AS indexes
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind = 'r' AND c.reltuples > 0
  ), 0)::float8 AS bytes,
  pg_database_size(current_database()) AS database_bytes
FROM pg_stat_database AS s WHERE s.datname = current_database()`;

type GrowthRow = { age_ms: number; exact: boolean; bytes: number; database_bytes: number };

export const growth: Check = {
  id: 'growth',
  ofOwnRows: true,
  title: 'Growth and disk',
  why: 'A database whose disk is full stops. What arrives in a day and what room is left tell how long it will last.',
  async run(context) {
    const { rows } = await context.tx.query<GrowthRow>(growthStatement, [
      context.capabilities.schema,
    ]);
    const [row] = rows;
    if (!row) return skipped('the server keeps no counters of this database');
    const disk = await freeSpace(context.tx);
    // Kept sizes tell what was measured; without them the counters tell about how much came.
    const kept = (await readGrowth(context.tx, context.capabilities.schema))?.total;
    const early = !kept && row.age_ms < leastAgeMs;
    const byCounters = (row.bytes * dayMs) / Math.max(1, row.age_ms);
    const perDay = early ? 0 : Math.max(0, kept?.bytesPerDay ?? byCounters);
    const counting = kept
      ? `${formatAge(kept.spanMs)} of kept sizes`
      : `${formatAge(row.age_ms)}${row.exact ? '' : ' or longer'}`;
    const grows = early
      ? `how it grows cannot be told yet, counting for ${counting}`
      : `it grows by about ${formatBytes(perDay)} a day (over ${counting})`;
    const size = `The database takes ${formatBytes(row.database_bytes)}; ${grows}`;
    if (!disk) return good(`${size}. The server does not tell how much room its disk has.`);
    const days = perDay > 0 ? disk.free_bytes / perDay : Infinity;
    const share = disk.free_bytes / Math.max(1, disk.total_bytes);
    const evidence = `${size}; ${formatBytes(disk.free_bytes)} of ${formatBytes(disk.total_bytes)} are free${days < 3_650 ? `: full in about ${counted(Math.floor(days), 'day')}` : ''}.`;
    if (days >= 30 && share >= 0.1) return good(evidence);
    return {
      severity: days < 7 || share < 0.05 ? 'critical' : 'warning',
      evidence,
      fix: 'Give the disk more room. Archiving alone gives nothing back: purge the archive, exported to another place first.',
      command: 'trace-console archive purge --older-than 365d --export archived.jsonl',
    };
  },
};
