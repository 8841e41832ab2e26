import { columnOrNull, type SchemaShape } from '../shape.js';
import { within } from './window.js';

/**
 * The slowest calls of one hook with one tool. `$1`, `$2`: window, `$3`: hook, `$4`: tool or NULL.
 * Reads the window from idx_hook_executions_window and the 50 rows from the table. Texts are cut.
 */
export function slowestHooksStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'hook_executions', column, type);
  return `
SELECT
  duration_ms,
  started_at,
  ${optional('status', 'text')} AS status,
  ${optional('hook_type', 'text')} AS hook_type,
  left(${optional('file_path', 'text')}, 300) AS file_path,
  ${optional('exit_code', 'integer')} AS exit_code,
  ${optional('error_type', 'text')} AS error_type,
  left(${optional('error_message', 'text')}, 300) AS error_message,
  ${optional('trace_id', 'uuid')} AS trace_id,
  ${optional('id', 'uuid')} AS id
FROM hook_executions
WHERE ${within('started_at', '$1', '$2')}
  AND hook_name = $3
  AND ${optional('tool_name', 'text')} IS NOT DISTINCT FROM $4
ORDER BY duration_ms DESC NULLS LAST
LIMIT 50`;
}

export type SlowestHookRow = {
  duration_ms: number | null;
  started_at: Date | null;
  status: string | null;
  hook_type: string | null;
  file_path: string | null;
  exit_code: number | null;
  error_type: string | null;
  error_message: string | null;
  trace_id: string | null;
  id: string | null;
};
