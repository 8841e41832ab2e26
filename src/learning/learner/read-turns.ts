import type { Queryable } from '../../db/queryable.js';
import {
  assembleTurns,
  type CallRow,
  type DecisionRow,
  type HookRow,
  type TraceRow,
} from './assemble.js';
import type { Turn } from './tree.js';

/** The root of a tree that may be learned from. */
export type Candidate = { correlationId: string; completedAt: Date };

export type CandidateQuery = {
  schema: string;
  /** Only trees that started since; null: all. */
  since: Date | null;
  /** Behind this one in the order of completion. */
  after: Candidate | undefined;
  limit: number;
  /** Whether there is a ledger yet; a dry run makes none. */
  hasLedger: boolean;
};

/** A tree whose child still runs waits for it, but not for ever: that child's writer may be gone. */
const waitsForChildren = "interval '1 day'";

/**
 * Turns that ended and were not learned from, in the order in which they ended. This order is what makes the
 * result independent of how often learning is interrupted. The anti-join goes over the ledger's primary key.
 */
export async function findCandidates(tx: Queryable, query: CandidateQuery): Promise<Candidate[]> {
  const { rows } = await tx.query<Candidate>(
    `SELECT t.correlation_id AS "correlationId", t.completed_at AS "completedAt"
     FROM execution_traces AS t
     WHERE t.root_id = t.correlation_id AND t.status <> 'in_progress' AND isfinite(t.completed_at)
       AND ($1::timestamptz IS NULL OR t.started_at >= $1)
       AND ($2::timestamptz IS NULL OR (t.completed_at, t.correlation_id) > ($2, $3::uuid))
       ${
         query.hasLedger
           ? `AND NOT EXISTS (SELECT FROM trace_console.learned_traces AS l
                WHERE l.target_schema = $5 AND l.correlation_id = t.correlation_id)`
           : 'AND $5::name IS NOT NULL'
       }
     ORDER BY t.completed_at, t.correlation_id LIMIT $4`,
    [
      query.since,
      query.after?.completedAt ?? null,
      query.after?.correlationId ?? null,
      query.limit,
      query.schema,
    ],
  );
  return rows;
}

/** Shells, as the agents call them: only their commands are read. */
const shells = [
  'Bash',
  'bash',
  'shell',
  'exec_command',
  'local_shell',
  'run_shell_command',
  'terminal',
];

const milliseconds = (column: string) => `(1000 * EXTRACT(epoch FROM ${column}))::float8`;

/**
 * The trees of these roots, in the order given; without those in which something still runs. Texts are cut on the
 * server: a tool's output may be megabytes.
 */
export async function readTurns(tx: Queryable, roots: readonly string[]): Promise<Turn[]> {
  const { rows: traces } = await tx.query<TraceRow>(
    `SELECT t.id, t.correlation_id, t.root_id, t.parent_id, t.session_id, t.status, t.success, t.error_type,
       left(t.error_message, 500) AS error_message,
       CASE WHEN t.correlation_id = t.root_id THEN left(t.prompt_text, 8000) END AS prompt,
       left(t.context->>'intent', 200) AS intent, left(t.context->>'agent', 200) AS agent,
       t.cost_usd, t.duration_ms, ${milliseconds('t.started_at')} AS started_at,
       ${milliseconds('t.completed_at')} AS completed_at,
       t.status = 'in_progress' AND t.started_at > now() - ${waitsForChildren} AS runs
     FROM execution_traces AS t
     WHERE t.root_id = ANY ($1) AND isfinite(t.started_at)
     ORDER BY t.started_at, t.correlation_id`,
    [roots],
  );
  const ids = traces.map(({ id }) => id);
  const { rows: decisions } = await tx.query<DecisionRow>(
    `SELECT DISTINCT ON (d.trace_id) d.trace_id, d.agent_selected, d.routing_strategy
     FROM agent_routing_decisions AS d WHERE d.trace_id = ANY ($1)
     ORDER BY d.trace_id, d.created_at DESC, d.id`,
    [ids],
  );
  const { rows: hooks } = await tx.query<HookRow>(
    `SELECT h.trace_id, h.hook_type, h.hook_name, h.tool_name, h.tool_use_id,
       h.success = false OR h.exit_code <> 0 AS failed,
       CASE WHEN h.success = false THEN COALESCE(h.error_type, '') END AS error_type,
       CASE WHEN h.success = false THEN left(h.error_message, 500) END AS error_message,
       CASE WHEN h.tool_name = ANY ($2) THEN left(h.input_data->>'command', 300) END AS command,
       ${milliseconds('h.started_at')} AS started_at
     FROM hook_executions AS h WHERE h.trace_id = ANY ($1)
     ORDER BY h.started_at, h.execution_order, h.id`,
    [ids, shells],
  );
  const { rows: calls } = await tx.query<CallRow>(
    `SELECT c.trace_id, c.service_name, count(*)::int AS calls,
       array_agg(left(c.endpoint_url, 256) ORDER BY c.started_at, c.id) FILTER (WHERE c.success = false) AS failed_urls,
       array_agg(COALESCE(c.error_type, 'HTTP ' || c.status_code, '') ORDER BY c.started_at, c.id)
         FILTER (WHERE c.success = false) AS error_types,
       array_agg(COALESCE(left(c.error_message, 500), '') ORDER BY c.started_at, c.id)
         FILTER (WHERE c.success = false) AS messages,
       array_agg(${milliseconds('c.started_at')} ORDER BY c.started_at, c.id)
         FILTER (WHERE c.success = false) AS times
     FROM endpoint_calls AS c WHERE c.trace_id = ANY ($1)
     GROUP BY c.trace_id, c.service_name ORDER BY c.trace_id, c.service_name`,
    [ids],
  );
  return assembleTurns(roots, { traces, decisions, hooks, calls });
}
