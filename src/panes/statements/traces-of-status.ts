import { columnOrNull, type SchemaShape } from '../shape.js';

/**
 * The newest traces of one status. `$1`: window in seconds, `$2`: status. Read from the new end of
 * idx_execution_traces_started_at until 50 are found. Texts are cut: a prompt may be a megabyte.
 */
export function tracesOfStatusStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'execution_traces', column, type);
  return `
SELECT
  started_at,
  ${optional('duration_ms', 'bigint')} AS duration_ms,
  ${optional('source', 'text')} AS source,
  left(${optional('prompt_text', 'text')}, 300) AS prompt_text,
  ${optional('error_type', 'text')} AS error_type,
  left(${optional('error_message', 'text')}, 300) AS error_message,
  ${optional('correlation_id', 'uuid')} AS correlation_id,
  id
FROM execution_traces
WHERE started_at > now() - $1::float8 * interval '1 second' AND status = $2
ORDER BY started_at DESC
LIMIT 50`;
}
