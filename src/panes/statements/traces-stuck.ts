import { columnOrNull, type SchemaShape } from '../shape.js';

/**
 * The traces that have been in progress for longest. `$1`: limit in seconds, `$2`: how many.
 * idx_execution_traces_running is read from its old end, in order: no sort, `$2` rows.
 */
export function tracesStuckStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'execution_traces', column, type);
  return `
SELECT
  id,
  ${optional('correlation_id', 'uuid')} AS correlation_id,
  ${optional('source', 'text')} AS source,
  ${optional('project', 'text')} AS project,
  left(${optional('prompt_text', 'text')}, 200) AS prompt,
  CASE WHEN isfinite(started_at) THEN started_at END AS started_at,
  (1000 * date_part('epoch', now() - started_at))::float8 AS age_ms
FROM execution_traces
WHERE status = 'in_progress' AND started_at < now() - $1::float8 * interval '1 second'
ORDER BY started_at
LIMIT $2`;
}

export type TraceStuckRow = {
  id: string;
  correlation_id: string | null;
  source: string | null;
  project: string | null;
  prompt: string | null;
  started_at: Date | null;
  age_ms: number;
};
