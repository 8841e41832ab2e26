import type pg from 'pg';

/** What `fillUsage` writes. */
export type UsageData = {
  /** Turns and subagents: of four traces one is a subagent of the one before it. */
  traces: number;
  /** Calls of models a trace. */
  callsPerTrace: number;
  /** Traces of a session; twenty sessions go on at once. */
  tracesPerSession: number;
  /** The first trace starts at now − `days`, the last one now; evenly spread. */
  days: number;
};

/**
 * Traces as agents' programs leave them: tokens, cost, model, project, user and session, subagents with the decision that
 * chose them, and calls of models. The same in every run.
 *
 * Triggers and foreign key checks are passed over (the rows are consistent), so it needs a superuser.
 */
export async function fillUsage(client: pg.ClientBase, data: UsageData): Promise<void> {
  const { traces, days, tracesPerSession, callsPerTrace } = data;
  await client.query('BEGIN');
  await client.query('SET LOCAL session_replication_role = replica');
  await client.query(tracesStatement, [traces, days, tracesPerSession]);
  await client.query(decisionsStatement, [traces, days]);
  await client.query(callsStatement, [traces, days, callsPerTrace]);
  await client.query('COMMIT');
}

const startedAt = `now() - make_interval(secs => 86400.0 * $2::float8 * ($1::int - i) / $1::int)`;
const isSubagent = `i % 4 = 0`;
const model = `(ARRAY['large', 'middle', 'small', 'other'])[1 + (i / 7) % 4]`;

/** Of a hundred traces one has no known price, and one no project. */
const tracesStatement = `
  INSERT INTO execution_traces (id, created_at, updated_at, correlation_id, root_id, parent_id, session_id, user_id,
    project, source, prompt_text, status, success, model, provider, input_tokens, cache_read_tokens,
    cache_creation_tokens, output_tokens, cost_usd, context, started_at, completed_at, duration_ms)
  SELECT md5('trace' || i)::uuid, at, at, md5('correlation' || i)::uuid,
    md5('correlation' || i - CASE WHEN ${isSubagent} THEN 1 ELSE 0 END)::uuid,
    CASE WHEN ${isSubagent} THEN md5('correlation' || i - 1)::uuid END,
    md5('session' || session)::uuid, 'user-' || session % 50, CASE WHEN i % 100 > 0 THEN 'project-' || session % 30 END,
    CASE WHEN ${isSubagent} THEN 'agent_delegation' ELSE 'user_prompt' END,
    'Refactor module ' || i || repeat(' and keep its tests green', i % 8), 'completed', true, ${model}, 'a-provider',
    100 + i % 500, 20000 + i % 7000, 900 + i % 800, 300 + i % 700,
    CASE WHEN i % 100 <> 50 THEN 0.01 * (1 + i % 90) END, '{"agent": "claude-code", "branch": "main"}', at,
    at + interval '90 seconds', 90000
  FROM generate_series(1, $1::int) AS i,
    LATERAL (SELECT ${startedAt} AS at, (i / (20 * $3::int)) * 20 + (i / 4) % 20 AS session) AS row`;

const decisionsStatement = `
  INSERT INTO agent_routing_decisions (id, created_at, updated_at, trace_id, agent_selected, confidence_score, routing_strategy)
  SELECT md5('decision' || i)::uuid, at, at, md5('trace' || i)::uuid, 'agent-' || i / 4 % 12, 1, 'delegation'
  FROM generate_series(1, $1::int) AS i, LATERAL (SELECT ${startedAt} AS at) AS row WHERE ${isSubagent}`;

const callsStatement = `
  INSERT INTO endpoint_calls (id, created_at, updated_at, trace_id, service_name, endpoint_url, http_method, status_code,
    started_at, completed_at, duration_ms, success, context)
  SELECT md5('call' || i || '-' || j)::uuid, at, at, md5('trace' || i)::uuid, 'anthropic', '/v1/messages', 'POST', 200, at,
    at + interval '8 seconds', 8000, true,
    jsonb_build_object('model', ${model}, 'usage', jsonb_build_object('input', 30, 'output', 100, 'cacheRead', 7000)) ||
      CASE WHEN i % 100 <> 50 THEN '{"cost": {"usd": 0.01, "source": "computed"}}' ELSE '{}' END::jsonb
  FROM generate_series(1, $1::int) AS i CROSS JOIN generate_series(1, $3::int) AS j,
    LATERAL (SELECT ${startedAt} + j * interval '9 seconds' AS at) AS row`;
