import { beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test')`,
  );
});

const call = `INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, started_at, `;
const trace = `(SELECT id FROM execution_traces), 's', 'https://host/', 'GET', '2026-01-01'`;
const ended = `round(1000 * extract(epoch FROM completed_at - started_at))::int AS ended`;

test.each([
  ['an answer below 400', 'status_code, duration_ms', '204, 20', { success: true, ended: 20 }],
  ['an answer of 400', 'status_code, duration_ms', '400, 20', { success: false, ended: 20 }],
  ['an error, no answer', 'error_type, duration_ms', `'E', 7`, { success: false, ended: 7 }],
  ['no answer yet', 'context', `'{}'`, { success: null, ended: null }],
  [
    'what the writer says',
    'status_code, duration_ms, success',
    '404, 1, true',
    { success: true, ended: 1 },
  ],
])('a call with %s', async (_, columns, values, expected) => {
  const { rows } = await database.query(
    `${call}${columns}) VALUES (${trace}, ${values}) RETURNING success, ${ended}`,
  );
  expect(rows).toEqual([expected]);
});

test('a call that is answered later ends then', async () => {
  const { rows } = await database.query<{ id: string }>(
    `${call}context) VALUES (${trace}, '{}') RETURNING id`,
  );
  const { rows: updated } = await database.query(
    `UPDATE endpoint_calls SET status_code = 500 WHERE id = $1
     RETURNING success, completed_at >= now() - interval '1 minute' AS just_now, duration_ms > 0 AS timed`,
    [rows[0]?.id],
  );
  expect(updated).toEqual([{ success: false, just_now: true, timed: true }]);
});

test('a hook derives as a trace does', async () => {
  const { rows } = await database.query(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at, completed_at)
     SELECT id, 'PreToolUse', 'guard', 'timeout', '2026-01-01 00:00:00', '2026-01-01 00:00:30' FROM execution_traces
     RETURNING success, duration_ms`,
  );
  expect(rows).toEqual([{ success: false, duration_ms: '30000' }]);
});

test('updated_at moves with every update, in each table, and not on insert', async () => {
  await database.query(`
    INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
      SELECT id, 'a', 1, 'explicit' FROM execution_traces;
    INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('p', 'i');
    INSERT INTO pattern_usage_log (pattern_id) SELECT id FROM success_patterns;
    INSERT INTO agent_chaining_patterns (chain_hash, primary_agent) VALUES ('c', 'a');
    INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern) VALUES ('e', 'E', 'm')`);
  const tables = [
    'execution_traces',
    'agent_routing_decisions',
    'hook_executions',
    'endpoint_calls',
    'success_patterns',
    'pattern_usage_log',
    'agent_chaining_patterns',
    'error_patterns',
  ];
  for (const table of tables) {
    const { rows } = await database.query(
      `UPDATE ${table} SET updated_at = '2000-01-01' RETURNING updated_at = now() AS moved`,
    );
    expect(rows.length, table).toBeGreaterThan(0);
    expect(rows, table).toEqual(rows.map(() => ({ moved: true })));
  }
  const { rows } = await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, updated_at) VALUES ('q', 'i', '2000-01-01')
     RETURNING updated_at = '2000-01-01' AS kept`,
  );
  expect(rows).toEqual([{ kept: true }]);
});

test.each([
  [0, 0, '0.0000'],
  [3, 1, '0.7500'],
  [2_147_483_647, 2_147_483_647, '0.5000'],
])('%i successes and %i failures: success rate %s', async (successes, failures, rate) => {
  const { rows } = await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, failure_count)
     VALUES (gen_random_uuid()::text, 'i', $1, $2) RETURNING success_rate`,
    [successes, failures],
  );
  expect(rows).toEqual([{ success_rate: rate }]);
});

test('more successes than occurrences are a rate of 1', async () => {
  const { rows } = await database.query(
    `INSERT INTO agent_chaining_patterns (chain_hash, primary_agent, success_count, occurrence_count)
     VALUES ('more', 'a', 5, 2), ('none', 'a', 5, 0) RETURNING success_rate`,
  );
  expect(rows).toEqual([{ success_rate: '1.0000' }, { success_rate: '0.0000' }]);
});

test.each([
  [100, 125, 0.25],
  [0, 125, null],
  [null, 125, null],
  [100, null, null],
])('expected %s ms, took %s ms: variance %s', async (expected, actual, variance) => {
  const { rows } = await database.query(
    `INSERT INTO pattern_usage_log (pattern_id, expected_duration_ms, actual_duration_ms)
     SELECT id, $1, $2 FROM success_patterns LIMIT 1 RETURNING performance_variance`,
    [expected, actual],
  );
  expect(rows).toEqual([{ performance_variance: variance }]);
});
