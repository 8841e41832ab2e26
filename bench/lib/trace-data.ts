import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Database } from '../../src/db/database.js';

/** What `fillTraces` writes. */
export type TraceData = {
  /** Rows in execution_traces. Trees of four: a root, two delegations, and one delegation of the first. */
  traces: number;
  hooksPerTrace: number;
  callsPerTrace: number;
  /** The first trace starts at now − `days`, the last one now; evenly spread. */
  days: number;
};

/**
 * Fills the tables with traces, one routing decision each, hooks and endpoint calls, in time order. Ids are hashes
 * of the row number: in random order, as real ones are, and the same in every run.
 *
 * Triggers and foreign key checks are passed over (the rows are consistent), so it needs a superuser. Quickest
 * before the indexes are built: 2.8 M rows in about 40 s.
 */
export async function fillTraces(client: pg.ClientBase, data: TraceData): Promise<void> {
  await client.query('BEGIN');
  await client.query('SET LOCAL session_replication_role = replica');
  for (const statement of [traces, decisions, hooks, calls]) {
    const perTrace =
      statement === hooks ? data.hooksPerTrace : statement === calls ? data.callsPerTrace : 1;
    const params = [data.traces, data.days, perTrace];
    await client.query(
      statement,
      params.slice(0, statement === traces || statement === decisions ? 2 : 3),
    );
  }
  await client.query('COMMIT');
}

const startedAt = `now() - make_interval(secs => 86400.0 * $2::int * ($1::int - i) / $1::int)`;

const traces = `
  INSERT INTO execution_traces (id, created_at, updated_at, correlation_id, root_id, parent_id, session_id, user_id,
    project, source, prompt_text, status, success, model, provider, input_tokens, output_tokens, cost_usd, context, tags,
    started_at, completed_at, duration_ms)
  SELECT md5('trace' || i)::uuid, at, at, md5('correlation' || i)::uuid, md5('correlation' || i - position)::uuid,
    CASE position WHEN 0 THEN NULL WHEN 3 THEN md5('correlation' || i - 2)::uuid ELSE md5('correlation' || i - position)::uuid END,
    md5('session' || i / 40)::uuid, 'user-' || i / 40 % 50, 'project-' || i / 40 % 7,
    CASE position WHEN 0 THEN 'user_prompt' ELSE 'agent_delegation' END,
    'Refactor module ' || i || repeat(' and keep its tests green', i % 8),
    CASE WHEN i % 20 = 0 THEN 'failed' ELSE 'completed' END, i % 20 <> 0, 'a-model', 'a-provider', 1000 + i % 500, i % 700,
    0.01 * (i % 90), '{"branch": "main"}', ARRAY['tag-' || i % 9], at, at + interval '2 seconds', 2000
  FROM generate_series(1, $1::int) AS i, LATERAL (SELECT ${startedAt} AS at, (i - 1) % 4 AS position) AS row`;

const decisions = `
  INSERT INTO agent_routing_decisions (id, created_at, updated_at, trace_id, query_text, agent_selected, confidence_score,
    confidence_breakdown, routing_strategy, selection_reason, alternatives, decision_duration_ms)
  SELECT md5('decision' || i)::uuid, at, at, md5('trace' || i)::uuid, 'Refactor module ' || i, 'agent-' || i % 12,
    0.5 + 0.0001 * (i % 5000), '{"trigger": 0.8, "context": 0.7, "capability": 0.9, "historical": 0.6}', 'fuzzy_match',
    'The best match by its triggers', '[{"agent": "agent-3", "confidence": 0.4}]', 20 + i % 60
  FROM generate_series(1, $1::int) AS i, LATERAL (SELECT ${startedAt} AS at) AS row`;

const hooks = `
  INSERT INTO hook_executions (id, created_at, updated_at, trace_id, hook_type, hook_name, execution_order, tool_name,
    tool_use_id, status, success, started_at, completed_at, duration_ms, exit_code, input_data, output_data)
  SELECT md5('hook' || i || '-' || j)::uuid, at, at, md5('trace' || i)::uuid,
    CASE j % 2 WHEN 0 THEN 'PreToolUse' ELSE 'PostToolUse' END, 'hook-' || j % 9, j,
    (ARRAY['Bash', 'Edit', 'Read', 'Write'])[1 + j % 4], 'toolu_' || i || '_' || j / 2,
    CASE WHEN (i + j) % 33 = 0 THEN 'failed' ELSE 'completed' END, (i + j) % 33 <> 0, at, at + interval '40 ms',
    40 + (i * j) % 1200, 0, jsonb_build_object('command', 'make check-' || i, 'timeout', 120),
    jsonb_build_object('stdout', repeat('ok ', 10 + i % 30))
  FROM generate_series(1, $1::int) AS i CROSS JOIN generate_series(1, $3::int) AS j,
    LATERAL (SELECT ${startedAt} + j * interval '100 ms' AS at) AS row`;

const calls = `
  INSERT INTO endpoint_calls (id, created_at, updated_at, trace_id, hook_execution_id, service_name, endpoint_url,
    http_method, status_code, request_body, response_body, request_bytes, response_bytes, started_at, completed_at,
    duration_ms, success)
  SELECT md5('call' || i || '-' || j)::uuid, at, at, md5('trace' || i)::uuid,
    CASE WHEN i % 2 = 0 THEN md5('hook' || i || '-' || j)::uuid END, 'service-' || i % 6,
    'https://service-' || i % 6 || '.internal/api/v1/items/' || i % 100, 'POST', CASE WHEN i % 50 = 0 THEN 503 ELSE 200 END,
    jsonb_build_object('query', 'module ' || i), '{"matches": 3}', 120, 2048, at, at + interval '80 ms', 80, i % 50 <> 0
  FROM generate_series(1, $1::int) AS i CROSS JOIN generate_series(1, $3::int) AS j,
    LATERAL (SELECT ${startedAt} + j * interval '110 ms' AS at) AS row`;

/** A turn that has just begun. @returns its correlation id */
export async function beginTurn(database: Database, prompt: string): Promise<string> {
  const id = randomUUID();
  await database.transaction({}, (tx) =>
    tx.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text)
       VALUES ($1, $1, $1, 'user_prompt', $2)`,
      [id, prompt],
    ),
  );
  return id;
}
