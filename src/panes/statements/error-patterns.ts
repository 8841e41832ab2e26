import { columnOrNull, type SchemaShape } from '../shape.js';

/**
 * What is known of types of errors. `$1`: types that were seen; besides them those of open patterns, the most
 * severe first, `$2` at most. By idx_error_type and idx_error_open.
 */
export function errorPatternsStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'error_patterns', column, type);
  const columns = `error_type, ${optional('severity', 'text')} AS severity,
    ${optional('error_category', 'text')} AS category, first_occurrence_at, last_occurrence_at,
    ${optional('resolved_at', 'timestamptz')} AS resolved_at, ${optional('resolution_pattern', 'text')} AS resolution`;
  return `
WITH known AS (
  (SELECT ${columns} FROM error_patterns WHERE error_type = ANY ($1))
  UNION
  (SELECT ${columns} FROM error_patterns
   WHERE ${optional('resolved_at', 'timestamptz')} IS NULL
   ORDER BY ${optional('severity', 'text')}, ${optional('occurrence_count', 'integer')} DESC LIMIT $2)
)
SELECT
  error_type AS type,
  (array_agg(severity ORDER BY array_position('{critical,high,medium,low}'::text[], severity)))[1] AS severity,
  min(category) AS category,
  count(*) FILTER (WHERE resolved_at IS NULL) AS open,
  min(first_occurrence_at) AS first_seen,
  max(last_occurrence_at) AS last_seen,
  (array_agg(left(resolution, 300) ORDER BY last_occurrence_at DESC) FILTER (WHERE resolution IS NOT NULL))[1] AS resolution
FROM known
GROUP BY error_type`;
}

export type ErrorPatternsRow = {
  type: string;
  severity: string | null;
  category: string | null;
  open: number;
  first_seen: Date | null;
  last_seen: Date | null;
  resolution: string | null;
};
