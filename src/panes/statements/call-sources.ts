import type { SchemaShape } from '../shape.js';
import { columnOf, type CallSource } from './calls.js';

/** Hooks by name and tool. */
export function hookSource(shape: SchemaShape): CallSource {
  const column = columnOf(shape, 'hook_executions', 'h');
  return {
    from: 'hook_executions AS h',
    at: 'h.started_at',
    groups: ['h.hook_name', column('tool_name', 'text')],
    failed: `${column('status', 'text')} IN ('failed', 'timeout')`,
    inProgress: `${column('status', 'text')} = 'in_progress'`,
    duration: 'h.duration_ms',
    sums: [],
  };
}

/**
 * Routing decisions by agent, each with how its trace went: as agent_performance counts them, but only those of a
 * window. Sums: traces that succeeded, traces with an outcome, confidence, decisions under 70 % confidence.
 */
export function agentSource(shape: SchemaShape): CallSource {
  const trace = columnOf(shape, 'execution_traces', 'e');
  return {
    // A lookup a decision: the planner would rather read all traces for a window of some thousand decisions.
    from: `agent_routing_decisions AS d CROSS JOIN LATERAL (
    SELECT e.status, ${trace('duration_ms', 'bigint')} AS duration_ms, ${trace('success', 'boolean')} AS success
    FROM execution_traces AS e WHERE e.id = d.trace_id LIMIT 1) AS t`,
    at: 'd.created_at',
    groups: ['d.agent_selected'],
    failed: "t.status IN ('failed', 'timeout')",
    inProgress: "t.status = 'in_progress'",
    duration: 't.duration_ms',
    sums: [
      'CASE WHEN t.success THEN 1 ELSE 0 END',
      'CASE WHEN t.success IS NOT NULL THEN 1 ELSE 0 END',
      'd.confidence_score',
      'CASE WHEN d.confidence_score < 0.7 THEN 1 ELSE 0 END',
    ],
  };
}

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
      column('http_method', 'text'),
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

/**
 * What failed, by type of error: traces, hooks and calls, as error_analysis counts them, but only those of a window.
 * Each branch reads its partial index of failures. Sums: traces, hooks, calls.
 */
export function failureSource(shape: SchemaShape): CallSource {
  const branch = (table: string, kind: string, failed: string) => {
    const column = columnOf(shape, table, table);
    return `SELECT COALESCE(${column('error_type', 'text')}, 'unknown') AS error_type, '${kind}' AS kind, started_at FROM ${table} WHERE ${failed}`;
  };
  const usable = [
    ['execution_traces', 'trace', "status IN ('failed', 'timeout')", 'status'],
    ['hook_executions', 'hook', "status IN ('failed', 'timeout')", 'status'],
    ['endpoint_calls', 'call', 'success = false', 'success'],
  ] as const;
  const branches = usable
    .filter(([table, , , needed]) => {
      const relation = shape.relations.get(table);
      return relation?.select && relation.columns.has('started_at') && relation.columns.has(needed);
    })
    .map(([table, kind, failed]) => branch(table, kind, failed));
  return {
    from: `(${branches.join(' UNION ALL ')}) AS f`,
    at: 'f.started_at',
    groups: ['f.error_type'],
    failed: 'true',
    inProgress: 'false',
    sums: ['trace', 'hook', 'call'].map((kind) => `CASE WHEN f.kind = '${kind}' THEN 1 ELSE 0 END`),
  };
}
