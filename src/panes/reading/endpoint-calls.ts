import { columnOrNull, joinedSql, type SchemaShape } from '../contract/shape.js';
import { columnOf, type CallSource } from './calls.js';
import { within } from './windows.js';

/** Identifiers in a path would make every call an endpoint of its own. */
const pathId = "'/([0-9]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,64})(?=/|$)'";

/**
 * Endpoint calls by service, method and URL without query and identifiers. Sums: answers of the classes 2xx or
 * 3xx, 4xx and 5xx, calls that ended without an answer, retries, bytes sent, bytes received.
 */
export function endpointSource(shape: SchemaShape): CallSource {
  const column = columnOf(shape, 'endpoint_calls', 'c');
  const status = column('status_code', 'integer');
  const success = column('success', 'boolean');
  const isIn = (least: number, beyond: number) =>
    `CASE WHEN ${status} >= ${least} AND ${status} < ${beyond} THEN 1 ELSE 0 END`;
  const url = column('endpoint_url', 'text');
  return {
    from: 'endpoint_calls AS c',
    at: 'c.started_at',
    groups: [
      'c.service_name',
      `left(${column('http_method', 'text')}, 32)`,
      `regexp_replace(left(split_part(${url}, '?', 1), 256), ${pathId}, '/:id', 'g')`,
    ],
    failed: `${success} = false`,
    inProgress: `${success} IS NULL`,
    duration: column('duration_ms', 'bigint'),
    sums: [
      isIn(200, 400),
      isIn(400, 500),
      isIn(500, 600),
      `CASE WHEN ${status} IS NULL AND ${success} = false THEN 1 ELSE 0 END`,
      column('retry_count', 'integer'),
      column('request_bytes', 'bigint'),
      column('response_bytes', 'bigint'),
    ],
  };
}

/** `$1` and `$2`; behind them what the rows are chosen by. */
const inWindow = within('started_at', '$1', '$2');

/**
 * The calls of an endpoint. `$1`, `$2`: window, `$3`: service, `$4`: method, `$5`: URL as the pane groups them, or NULL.
 * Reads the window of that service by idx_endpoint_calls_service. Texts are cut.
 */
export function callsOfEndpointStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'endpoint_calls', column, type);
  const [service = '', method = '', url = ''] = endpointSource(shape).groups;
  const retries = `NULLIF(${optional('retry_count', 'integer')}, 0) || ' retries'`;
  const detail = `COALESCE(left(${optional('error_message', 'text')}, 300), left(${optional('endpoint_url', 'text')}, 300))`;
  return `
SELECT
  'endpoint_call' AS kind,
  ${optional('id', 'uuid')} AS id,
  ${optional('trace_id', 'uuid')} AS trace_id,
  started_at,
  ${optional('duration_ms', 'bigint')} AS duration_ms,
  COALESCE(${optional('success', 'boolean')} = false, false) AS failed,
  ${joinedSql(' ', `left(${optional('http_method', 'text')}, 32)`, optional('status_code', 'integer'), retries)} AS what,
  ${joinedSql(': ', `left(${optional('error_type', 'text')}, 200)`, detail)} AS text
FROM endpoint_calls AS c
WHERE ${service} = $3 AND ${method} IS NOT DISTINCT FROM $4 AND ${url} IS NOT DISTINCT FROM $5 AND ${inWindow}`;
}
