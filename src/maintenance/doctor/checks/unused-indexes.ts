import { formatBytes } from '../../../shared/format/bytes.js';
import { formatAge } from '../../../shared/format/duration.js';
import { quoteIdent } from '../../../db/quote.js';
import { counted, firstOf, good, skipped, type Check } from '../check.js';

type Limits = {
  /** Counters younger than this tell little about what is needed once a week. */
  leastAgeMs: number;
  /** Smaller ones cost the writers little. */
  leastBytes: number;
};

const usual: Limits = { leastAgeMs: 7 * 86_400_000, leastBytes: 1_048_576 };

/**
 * Indexes without a scan that enforce nothing and support no foreign key (a cascade is rare, and slow
 * without one). Sizes from the catalogue: measuring would wait for locks.
 */
const unusedStatement = `
SELECT i.relname::text AS index, t.relname::text AS table,
  i.relpages::bigint * current_setting('block_size')::int AS bytes
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS t ON t.oid = x.indrelid
WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND t.relkind IN ('r', 'm')
  AND x.indisvalid AND NOT x.indisunique AND NOT x.indisexclusion
  AND pg_stat_get_numscans(x.indexrelid) = 0
  -- A vector index takes its megabytes on an empty table, too, and nobody searches that.
  AND GREATEST(t.reltuples, pg_stat_get_live_tuples(t.oid)) >= 1000
  AND i.relpages::bigint * current_setting('block_size')::int >= $2
  AND NOT EXISTS (
    SELECT FROM pg_constraint AS c
    WHERE c.contype = 'f' AND c.conrelid = x.indrelid AND c.conkey[1] = x.indkey[0])
ORDER BY bytes DESC, i.relname`;

type UnusedRow = { index: string; table: string; bytes: number };

/** A check with other limits than the usual; for tests. */
export function unusedIndexesCheck(limits: Partial<Limits> = {}): Check {
  const { leastAgeMs, leastBytes } = { ...usual, ...limits };
  return {
    id: 'unused-indexes',
    title: 'Unused indexes',
    why: 'Every index costs each write and its place on disk. One that no query has used since the counters began may be dropped, unless something rare needs it, or a standby, whose use is not counted here.',
    async run({ tx, capabilities }) {
      const since = await tx.query<{ age_ms: number; reset: boolean }>(
        `SELECT 1000 * date_part('epoch', now() - COALESCE(stats_reset, pg_postmaster_start_time())) AS age_ms,
           stats_reset IS NOT NULL AS reset
         FROM pg_stat_database WHERE datname = current_database()`,
      );
      const { age_ms: ageMs = 0, reset = false } = since.rows[0] ?? {};
      const counting = `counting for ${formatAge(ageMs)}${reset ? '' : ' or longer'}`;
      if (ageMs < leastAgeMs) {
        return skipped(
          `too early to tell: the counters have been ${counting}, and need ${formatAge(leastAgeMs)}`,
        );
      }
      const { rows } = await tx.query<UnusedRow>(unusedStatement, [
        capabilities.schema,
        leastBytes,
      ]);
      const [first] = rows;
      if (!first) return good(`Every large index is used (${counting}).`);
      const lines = rows.map(
        ({ index, table, bytes }) => `${index} on ${table}, ${formatBytes(bytes)}`,
      );
      const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
      return {
        severity: 'advice',
        evidence: `${counted(rows.length, 'index', 'indexes')} without a scan (${counting}), ${formatBytes(total)}: ${firstOf(rows.map(({ index }) => index))}.`,
        items: lines,
        mend: 'Look at its comment, which says what question it answers. Drop it when nobody asks that here; "schema verify" will then name it.',
        command: `DROP INDEX CONCURRENTLY ${quoteIdent(capabilities.schema, first.index)};`,
      };
    },
  };
}

export const unusedIndexes = unusedIndexesCheck();
