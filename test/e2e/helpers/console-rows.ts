import { consoleFiles } from '../../../src/deploy/schema-files.js';
import type pg from 'pg';

type Queryable = { query(sql: string, values?: unknown[]): Promise<pg.QueryResult> };

/** Traces of the last minutes: per trace a routing decision, two hooks and a call. */
export async function addTraces(db: Queryable, count: number, status = 'completed'): Promise<void> {
  await db.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status, started_at, completed_at)
       SELECT id, id, id, 'user_prompt', 'prompt number ' || n, $2, at, CASE WHEN $2 = 'in_progress' THEN NULL ELSE at + interval '1 s' END
       FROM (SELECT n, gen_random_uuid() AS id, clock_timestamp() - n * interval '1 s' AS at
             FROM generate_series(1, $1::int) AS n) AS made
       RETURNING id, started_at),
     decision AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
       SELECT id, 'agent-test-writer', 0.8, 'explicit', started_at FROM trace),
     call AS (
       INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, started_at, duration_ms)
       SELECT id, 'embedding-service', 'http://service/', 'POST', 200, started_at, 30 FROM trace)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, execution_order, status, started_at, duration_ms)
     SELECT id, 'PreToolUse', 'policy-guard', tool, n, 'completed', started_at, 40 * n
     FROM trace, unnest(ARRAY['Edit', 'Bash']) WITH ORDINALITY AS used (tool, n)`,
    [count, status],
  );
}

/** Sessions of agents, one a trace that is there, as import and the collector write them. */
export async function addSessions(db: Queryable, project = 'shop'): Promise<void> {
  const files = consoleFiles.filter(({ name }) => /^(?:006|012)_/.test(name));
  const sql = files.map((file) => file.sql).join('\n');
  await db.query(`CREATE SCHEMA IF NOT EXISTS trace_console; ${sql}`);
  await db.query(
    `INSERT INTO trace_console.agent_sessions (target_schema, session_id, agent, session, project, git_branch, model,
       started_at, last_seen_at, activity)
     SELECT current_schema(), session_id, 'claude-code', session_id::text, $1, 'main', $1, min(started_at), now(),
       jsonb_build_object('kind', 'tool_started', 'tool', $1::text, 'at', 1000 * date_part('epoch', now()))
     FROM execution_traces GROUP BY session_id`,
    [project],
  );
  await db.query(
    `INSERT INTO trace_console.agent_metrics (target_schema, session_id, metric, slot, points)
     SELECT current_schema(), session_id, metric, 0, jsonb_build_object('key', value)
     FROM trace_console.agent_sessions, (VALUES ('lines_added', 120), ('lines_removed', 30), ('commits', 2),
       ('pull_requests', 1), ('active_user_s', 24.5), ('active_cli_s', 699.5)) AS told (metric, value)`,
  );
}
