import { formatBytes } from '../../../shared/format/bytes.js';
import { formatAge } from '../../../shared/format/duration.js';
import { freeSpace } from '../../free-space.js';
import { counted, good, skipped, type Check } from '../check.js';

const dayMs = 86_400_000;

/** Counters that are younger tell of a moment rather than of a day. */
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
  title: 'Growth and disk',
  why: 'A database whose disk is full stops. What arrives in a day and what room is left tell how long it will last.',
  async run(context) {
    const { rows } = await context.tx.query<GrowthRow>(growthStatement, [
      context.capabilities.schema,
    ]);
    const [row] = rows;
    if (!row) return skipped('the server keeps no counters of this database');
    const disk = await freeSpace(context.tx);
    const early = row.age_ms < leastAgeMs;
    const perDay = early ? 0 : Math.max(0, (row.bytes * dayMs) / row.age_ms);
    const counting = `${formatAge(row.age_ms)}${row.exact ? '' : ' or longer'}`;
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
      mend: 'Give the disk more room. Archiving alone gives nothing back: purge the archive, exported to another place first.',
      command: 'trace-console archive purge --older-than 365d --export archived.jsonl',
    };
  },
};
