import { quoteIdent } from '../../../db/quote.js';
import { formatBytes } from '../../../shared/format/bytes.js';
import { formatShare } from '../../../shared/format/number.js';
import { counted, firstOf, good, type Check } from '../check.js';
import { noStatisticsSeen, readBloat, usualBloat, type BloatLimits } from '../read-bloat.js';

/**
 * What the rows would take by the planner's statistics (average width of each column, 24 bytes of header
 * and 4 of pointer a row, fillfactor) against the pages there are. An estimate, within about a fifth;
 * pgstattuple would read the whole table. A table whose columns the role may not read has no statistics
 * to see: `known` is false.
 */
const bloatStatement = `
SELECT t.relname::text AS table, t.relpages::bigint * current_setting('block_size')::int AS bytes,
  GREATEST(0, t.relpages - ceil(t.reltuples * (28 + w.width)
    / ((current_setting('block_size')::int - 24)
       * COALESCE((SELECT option_value::float8 FROM pg_options_to_table(t.reloptions)
                   WHERE option_name = 'fillfactor'), 100) / 100)))::float8
    * current_setting('block_size')::int AS empty_bytes,
  w.columns > 0 AS known
FROM pg_class AS t
JOIN pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
  SELECT COALESCE(sum((1 - s.null_frac) * s.avg_width), 0) AS width, count(*) AS columns
  FROM pg_stats AS s WHERE s.schemaname = n.nspname AND s.tablename = t.relname AND NOT s.inherited
) AS w
WHERE n.nspname = $1 AND t.relkind IN ('r', 'm') AND t.reltuples >= 0
  AND t.relpages::bigint * current_setting('block_size')::int >= $2
ORDER BY empty_bytes DESC`;

type Row = { table: string; bytes: number; empty_bytes: number; known: boolean };

/** A check with other limits than the usual; for tests. */
export function bloatCheck(limits: Partial<BloatLimits> = {}): Check {
  const { leastBytes, share } = { ...usualBloat, ...limits };
  return {
    id: 'bloat',
    title: 'Bloat (estimate)',
    why: 'Rows that were deleted or changed leave room inside the table. New rows fill it again, but until then it is read, cached and backed up with the rest.',
    async run({ tx, capabilities }) {
      const known = await readBloat<Row>(tx, bloatStatement, capabilities.schema, leastBytes);
      if (!known) return noStatisticsSeen;
      const bloated = known.filter(({ bytes, empty_bytes }) => empty_bytes > share * bytes);
      const [first] = bloated;
      if (!first) return good(`No large table is more than ${formatShare(share)} empty.`);
      const lines = bloated.map(
        ({ table, bytes, empty_bytes }) =>
          `${table}: about ${formatBytes(empty_bytes)} of ${formatBytes(bytes)} empty (${formatShare(empty_bytes / bytes)})`,
      );
      return {
        severity: 'advice',
        evidence: `${counted(bloated.length, 'table')}: ${firstOf(lines, 2)}.`,
        items: lines,
        mend: 'New rows will fill it; nothing need be done where the table keeps growing. To give it back: pg_repack, or VACUUM FULL, which locks readers and writers out until it is done.',
        command: `VACUUM (FULL, ANALYZE) ${quoteIdent(capabilities.schema, first.table)};`,
      };
    },
  };
}

export const bloat = bloatCheck();
