import { beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

const emptyDashboard = {
  total_traces: '0',
  completed_traces: '0',
  successful_traces: '0',
  overall_success_rate: '0.0000',
  total_patterns: '0',
  high_quality_patterns: '0',
  avg_pattern_success_rate: '0.0000',
  active_agents: '0',
  most_used_agent: null,
  errors_24h: '0',
  unique_error_types: '0',
  median_duration_ms: '0',
  p95_duration_ms: '0',
};

test('on an empty database the dashboard is one row of zeros, the other views have no rows', async () => {
  const database = await createTestDatabase();
  expect((await database.query('SELECT * FROM dashboard_summary')).rows).toEqual([emptyDashboard]);
  for (const view of [
    'trace_summary',
    'pattern_effectiveness',
    'agent_performance',
    'error_analysis',
  ]) {
    expect((await database.query(`SELECT * FROM ${view}`)).rows, view).toEqual([]);
  }
});

describe('with data', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
    // 200 traces over 40 days, one in five failed, five running, by three agents; two hooks and a call each.
    await database.query(`
      INSERT INTO execution_traces
        (correlation_id, root_id, session_id, source, status, started_at, completed_at, error_type)
      SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'trace-' || n, status, started_at,
             CASE WHEN status <> 'in_progress' THEN started_at + (n * n % 977) * interval '1 ms' END,
             CASE WHEN status = 'failed' THEN 'NetworkError' END
      FROM (SELECT n, now() - n * interval '4.8 hours' AS started_at,
                   CASE WHEN n <= 5 THEN 'in_progress' WHEN n % 5 = 0 THEN 'failed' ELSE 'completed' END AS status
            FROM generate_series(1, 200) AS n) AS trace;
      INSERT INTO agent_routing_decisions
        (trace_id, created_at, agent_selected, confidence_score, routing_strategy, pattern_id)
      SELECT id, started_at, 'agent-' || row_number() OVER (ORDER BY started_at) % 3, 0.5, 'explicit',
             md5((row_number() OVER (ORDER BY started_at) % 12)::text)::uuid
      FROM execution_traces;
      INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at, error_type)
      SELECT id, 'PreToolUse', 'guard', hook.status, started_at, CASE WHEN hook.status = 'timeout' THEN 'Slow' END
      FROM execution_traces, (VALUES ('completed'), ('timeout')) AS hook (status);
      INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, started_at)
      SELECT id, 'search', 'https://host/', 'GET', 503, started_at FROM execution_traces;
      INSERT INTO error_patterns (fingerprint, error_type, error_category, error_message_pattern, severity, last_occurrence_at)
      VALUES ('older', 'NetworkError', 'system', 'm', 'low', now() - interval '9 days'),
             ('newer', 'NetworkError', 'network', 'm', 'high', now());
      INSERT INTO success_patterns
        (pattern_hash, intent_classification, success_count, failure_count, total_usage_count, is_active)
      VALUES ('good', 'i', 9, 1, 10, true), ('poor', 'i', 1, 9, 10, true), ('new', 'i', 0, 0, 0, true),
             ('off', 'i', 9, 1, 10, false)`);
  });

  test('the dashboard agrees with a plain reading of the tables', async () => {
    const { rows } = await database.query(`SELECT * FROM dashboard_summary`);
    const { rows: plain } = await database.query(`
      SELECT count(*) AS total_traces,
        count(*) FILTER (WHERE status = 'completed') AS completed_traces,
        count(*) FILTER (WHERE success) AS successful_traces,
        (count(*) FILTER (WHERE success)::numeric / count(success))::numeric(5,4) AS overall_success_rate,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) AS median_duration_ms,
        percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_duration_ms
      FROM execution_traces`);
    expect(rows[0]).toMatchObject(plain[0] as object);
    expect(rows[0]).toMatchObject({
      total_patterns: '3',
      high_quality_patterns: '1',
      avg_pattern_success_rate: '0.5000',
      active_agents: '3',
      // Of 4 hooks and 4 calls of the last day; the traces of that day still run.
      errors_24h: '8',
      // Slow, and unknown: the calls name none.
      unique_error_types: '2',
    });
  });

  test('a cancelled trace is neither a success nor a failure', async () => {
    const other = await createTestDatabase();
    await other.query(`
      INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
      SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 's', status
      FROM unnest(ARRAY['completed', 'cancelled', 'cancelled', 'failed', 'timeout', 'in_progress']) AS status;
      INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
      SELECT id, 'agent', 0.5, 'explicit' FROM execution_traces`);
    const { rows } = await other.query(
      `SELECT total_executions, successful_executions, failed_executions, success_rate FROM agent_performance`,
    );
    expect(rows).toEqual([
      {
        total_executions: '6',
        successful_executions: '1',
        failed_executions: '2',
        success_rate: '0.3333',
      },
    ]);
    const { rows: summary } = await other.query(
      `SELECT overall_success_rate FROM dashboard_summary`,
    );
    expect(summary).toEqual([{ overall_success_rate: '0.3333' }]);
  });

  test('a call without an answer, status code 0, failed', async () => {
    const other = await createTestDatabase();
    const { rows } = await other.query<{ status_code: number; success: boolean | null }>(`
      WITH trace AS (
        INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
        VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 's', 'completed') RETURNING id)
      INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code)
      SELECT id, 'search', '/', 'GET', code FROM trace, unnest(ARRAY[0, 99, 100, 204, 399, 400]) AS code
      RETURNING status_code, success`);
    expect(rows.filter(({ success }) => success).map(({ status_code }) => status_code)).toEqual([
      100, 204, 399,
    ]);
    expect(rows.filter(({ success }) => success === null)).toEqual([]);
  });

  test('agent_performance agrees with a plain reading of the last 30 days', async () => {
    const { rows } = await database.query(`SELECT * FROM agent_performance ORDER BY agent_name`);
    const { rows: plain } = await database.query(`
      SELECT d.agent_selected AS agent_name, count(*) AS total_executions,
        count(*) FILTER (WHERE t.success) AS successful_executions,
        count(*) FILTER (WHERE t.success = false) AS failed_executions,
        (count(*) FILTER (WHERE t.success)::numeric / count(t.success))::numeric(5,4) AS success_rate,
        round(avg(t.duration_ms))::bigint AS avg_duration_ms,
        percentile_disc(0.95) WITHIN GROUP (ORDER BY t.duration_ms) AS p95_duration_ms,
        0.5::numeric(5,4) AS avg_routing_confidence,
        count(DISTINCT d.pattern_id) AS patterns_used,
        max(d.created_at) AS last_used_at
      FROM agent_routing_decisions d JOIN execution_traces t ON t.id = d.trace_id
      WHERE t.started_at >= now() - interval '30 days' GROUP BY 1 ORDER BY 1`);
    expect(plain).toHaveLength(3);
    expect(rows).toEqual(plain);
  });

  test('error_analysis counts what failed, by period, with the pattern seen last', async () => {
    const { rows } = await database.query(
      `SELECT * FROM error_analysis ORDER BY error_count, error_type`,
    );
    const agents = ['agent-0', 'agent-1', 'agent-2'];
    expect(rows).toMatchObject([
      // Traces 10, 15, … 145 began in the last 30 days; up to 30 in the last seven.
      {
        error_type: 'NetworkError',
        error_count: '28',
        occurrences_7d: '5',
        occurrences_24h: '0',
        severity: 'high',
        error_category: 'network',
        affected_agents: agents,
      },
      { error_type: 'Slow', error_count: '149', occurrences_7d: '34', occurrences_24h: '4' },
      {
        error_type: 'unknown',
        error_count: '149',
        occurrences_7d: '34',
        occurrences_24h: '4',
        severity: null,
        prevention_strategies: [],
      },
    ]);
  });

  test('error_analysis names the agents in charge of the newest 200 failures of a type, each by the last decision', async () => {
    // 250 failed traces, a minute apart: the newest 200 were handed over from "first" to "second".
    await database.query(
      `WITH trace AS (
         INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, error_type, started_at)
         SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'many', 'failed', 'Many', now() - n * interval '1 minute'
         FROM generate_series(1, 250) AS n RETURNING id, started_at
       )
       INSERT INTO agent_routing_decisions (trace_id, created_at, agent_selected, confidence_score, routing_strategy)
       SELECT id, started_at + step * interval '1 s',
         CASE WHEN started_at < now() - interval '200 minutes' THEN 'old' WHEN step = 1 THEN 'first' ELSE 'second' END, 0.5, 'explicit'
       FROM trace, generate_series(1, 2) AS step`,
    );
    const { rows } = await database.query(
      `SELECT error_count, affected_agents FROM error_analysis WHERE error_type = 'Many'`,
    );
    await database.query(`DELETE FROM execution_traces WHERE source = 'many'`);
    expect(rows).toEqual([{ error_count: '250', affected_agents: ['second'] }]);
  });

  test('trace_summary has the last decision and counts the children', async () => {
    await database.query(
      `INSERT INTO agent_routing_decisions (trace_id, created_at, agent_selected, confidence_score, routing_strategy)
       SELECT id, now() + interval '1 s', 'second-thought', 0.9, 'explicit' FROM execution_traces WHERE source = 'trace-10'`,
    );
    const { rows } = await database.query(
      `SELECT status, success, duration_ms, agent_selected, routing_confidence, hook_count, endpoint_count, error_type
       FROM trace_summary JOIN execution_traces USING (id, status, success, duration_ms, error_type)
       WHERE source = 'trace-10'`,
    );
    await database.query(
      `DELETE FROM agent_routing_decisions WHERE agent_selected = 'second-thought'`,
    );
    expect(rows).toEqual([
      {
        status: 'failed',
        success: false,
        duration_ms: '100',
        agent_selected: 'second-thought',
        routing_confidence: '0.9000',
        hook_count: '2',
        endpoint_count: '1',
        error_type: 'NetworkError',
      },
    ]);
  });

  test('pattern_effectiveness shows active patterns, best first as the retention notes ask', async () => {
    const { rows } = await database.query(
      `SELECT pattern_hash FROM pattern_effectiveness ORDER BY success_rate DESC, total_usage_count DESC LIMIT 10`,
    );
    expect(rows.map((row) => row.pattern_hash as string)).toEqual(['good', 'poor', 'new']);
  });
});
