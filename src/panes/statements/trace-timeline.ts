import type { SchemaShape } from '../shape.js';

/** More than anybody reads; a bound for what is fetched. */
export const mostTimelineEvents = 20_000;

export type TimelineKind = 'trace' | 'routing_decision' | 'hook' | 'endpoint_call';

export type TimelineRow = {
  now_us: number;
  /** Of the trace that was asked for; the other rows belong to its tree. */
  asked_id: string | null;
  kind: TimelineKind;
  id: string;
  trace_id: string;
  trace_correlation_id: string;
  parent_id: string | null;
  name: string | null;
  status: string | null;
  success: boolean | null;
  /** Microseconds since 1970; null where the time is infinite. */
  started_us: number | null;
  offset_ms: number | null;
  duration_ms: number | null;
  archived: boolean;
  details: Record<string, unknown> | null;
};

/**
 * Every event of the tree of one trace, in time order. `$1`: the trace's id or its correlation id,
 * `$2`: how many events at most. About 10 ms for 1,000 events: the function reads by index.
 */
export function traceTimelineStatement(shape: SchemaShape): string {
  const tables = ['execution_traces', 'execution_traces_archive'].filter((table) =>
    shape.relations.has(table),
  );
  const found = tables.flatMap((table, rank) =>
    // A correlation id comes first: it is what people copy from logs.
    ['correlation_id', 'id'].map(
      (column, by) =>
        `SELECT id, correlation_id, ${10 * rank + by} AS rank FROM ${table} WHERE ${column} = $1::uuid`,
    ),
  );
  return `
SELECT
  round(extract(epoch FROM now()) * 1000000)::bigint AS now_us,
  asked.id AS asked_id,
  event.kind, event.id, event.trace_id, event.trace_correlation_id, event.parent_id, event.name, event.status,
  event.success,
  CASE WHEN isfinite(event.started_at) THEN round(extract(epoch FROM event.started_at) * 1000000)::bigint END
    AS started_us,
  event.offset_ms, event.duration_ms, event.archived, event.details
FROM (
  SELECT id, correlation_id FROM (
    ${found.join('\n    UNION ALL ')}
  ) AS found ORDER BY rank LIMIT 1
) AS asked
CROSS JOIN LATERAL get_trace_timeline(asked.correlation_id) AS event
LIMIT $2`;
}
