import { quoteIdent } from '../../db/quote.js';
import { columnOrNull, type SchemaShape } from '../shape.js';
import { endpointSource } from './call-sources.js';
import { within } from './window.js';

/** `$1` and `$2`; behind them what the rows are chosen by. */
const inWindow = within('started_at', '$1', '$2');

/**
 * The newest failures of a type among traces, hooks and calls. `$1`, `$2`: window, `$3`: type. Each branch reads its partial index of
 * failures, newest first, until it has 50.
 */
export function failuresOfTypeStatement(shape: SchemaShape): string {
  const branch = (table: string, kind: string, what: string, failed: string) => {
    const column = (name: string, type: string) => columnOrNull(shape, table, name, type);
    return `(
SELECT '${kind}' AS failed, started_at, ${what} AS what, ${column('duration_ms', 'bigint')} AS duration_ms,
  left(${column('error_message', 'text')}, 300) AS error_message,
  ${kind === 'trace' ? 'id' : column('trace_id', 'uuid')} AS trace_id, id
FROM ${quoteIdent(table)}
WHERE ${failed} AND COALESCE(${column('error_type', 'text')}, 'unknown') = $3 AND ${inWindow}
ORDER BY started_at DESC
LIMIT 50)`;
  };
  const failed = "status IN ('failed', 'timeout')";
  const branches = [
    ['execution_traces', 'trace', 'source', failed, 'status'],
    ['hook_executions', 'hook', 'hook_name', failed, 'status'],
    ['endpoint_calls', 'call', 'service_name', 'success = false', 'success'],
  ] as const;
  const usable = branches.filter(([table, , , , needed]) =>
    shape.relations.get(table)?.columns.has(needed),
  );
  const all = usable.map(([table, kind, what, where]) => branch(table, kind, what, where));
  return `SELECT * FROM (${all.join('\nUNION ALL\n')}) AS failure
ORDER BY started_at DESC
LIMIT 50`;
}

export type FailureRow = {
  failed: 'trace' | 'hook' | 'call';
  started_at: Date | null;
  what: string | null;
  duration_ms: number | null;
  error_message: string | null;
  trace_id: string | null;
  id: string;
};

/**
 * The calls of an endpoint that are worth a look: those that failed, the newest first, and behind them the slowest.
 * `$1`, `$2`: window, `$3`: service, `$4`: method, `$5`: URL as the pane groups them, or NULL. Each branch reads the
 * window of that service by idx_endpoint_calls_service.
 */
export function callsOfEndpointStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'endpoint_calls', column, type);
  const failed = `COALESCE(${optional('success', 'boolean')}, true) = false`;
  const [service = '', method = '', url = ''] = endpointSource(shape).groups;
  const isOfEndpoint = `${service} = $3 AND ${method} IS NOT DISTINCT FROM $4 AND ${url} IS NOT DISTINCT FROM $5`;
  const branch = (which: string, order: string, most: number) => `(
SELECT
  ${optional('duration_ms', 'bigint')} AS duration_ms,
  started_at,
  ${optional('http_method', 'text')} AS http_method,
  left(${optional('endpoint_url', 'text')}, 300) AS endpoint_url,
  ${optional('status_code', 'integer')} AS status_code,
  ${optional('success', 'boolean')} AS success,
  ${optional('error_type', 'text')} AS error_type,
  left(${optional('error_message', 'text')}, 300) AS error_message,
  ${optional('retry_count', 'integer')} AS retry_count,
  ${optional('trace_id', 'uuid')} AS trace_id,
  ${optional('id', 'uuid')} AS id
FROM endpoint_calls AS c
WHERE ${isOfEndpoint} AND ${inWindow} AND ${which}
ORDER BY ${order}
LIMIT ${most})`;
  return `${branch(failed, 'started_at DESC', 25)}
UNION ALL
${branch(`NOT ${failed}`, 'duration_ms DESC NULLS LAST', 50)}`;
}

export type EndpointCallRow = {
  duration_ms: number | null;
  started_at: Date | null;
  http_method: string | null;
  endpoint_url: string | null;
  status_code: number | null;
  success: boolean | null;
  error_type: string | null;
  error_message: string | null;
  retry_count: number | null;
  trace_id: string | null;
  id: string | null;
};
