import { columnOrNull, type SchemaShape } from '../shape.js';

/**
 * Hooks of a window by hook and tool with exact percentiles. `$1`: window in seconds. Reads every row of
 * the window from idx_hook_executions_window and sorts the durations: 0.7 µs a row, so it is asked on
 * demand only.
 */
export function hookPercentilesStatement(shape: SchemaShape): string {
  const optional = (column: string) => columnOrNull(shape, 'hook_executions', column, 'text');
  return `
SELECT
  hook_name AS hook,
  ${optional('tool_name')} AS tool,
  count(*) AS calls,
  count(*) FILTER (WHERE ${optional('status')} IN ('failed', 'timeout')) AS failures,
  count(*) FILTER (WHERE ${optional('status')} = 'in_progress') AS in_progress,
  sum(duration_ms)::float8 AS total_ms,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50_ms,
  percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_ms,
  max(duration_ms) AS max_ms
FROM hook_executions
WHERE started_at > now() - $1::float8 * interval '1 second'
GROUP BY hook_name, tool`;
}

export type HookPercentilesRow = {
  hook: string;
  tool: string | null;
  calls: number;
  failures: number;
  in_progress: number;
  total_ms: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  max_ms: number | null;
};
