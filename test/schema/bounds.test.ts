import { beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  // Four bytes a character, and nothing for the compression of long values to find.
  await database.query(
    `CREATE FUNCTION noise(length int) RETURNS text LANGUAGE sql VOLATILE AS
     $$ SELECT string_agg(chr(65537 + floor(random() * 900000)::int), '') FROM generate_series(1, length) $$`,
  );
});

const trace = `gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test'`;

test('names of 512 characters of four bytes fit every index', async () => {
  await database.query(`
    INSERT INTO execution_traces (correlation_id, root_id, session_id, source, user_id, project, tags, error_type)
      SELECT ${trace}, noise(512), noise(512), ARRAY[noise(512), NULL, noise(512)], noise(9000)
      FROM generate_series(1, 6);
    INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, pattern_id)
      SELECT id, noise(512), 0.5, noise(9000), gen_random_uuid() FROM execution_traces;
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_use_id, status, duration_ms)
      SELECT id, noise(512), noise(512), noise(512), 'failed', 5000 FROM execution_traces;
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, duration_ms)
      SELECT id, noise(512), noise(512), noise(128), 5000 FROM execution_traces;
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name)
      SELECT id, noise(512), noise(128), noise(512) FROM execution_traces;
    INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success)
      SELECT id, noise(512), noise(9000), noise(9000), false FROM execution_traces;
    INSERT INTO success_patterns (pattern_hash, intent_classification, keywords, agent_sequence, tags)
      SELECT noise(512), noise(512), ARRAY[noise(512)], ARRAY[noise(512)], ARRAY[noise(9), noise(512)]
      FROM generate_series(1, 6);
    INSERT INTO agent_chaining_patterns (chain_hash, primary_agent, agent_sequence, tags)
      SELECT noise(512), noise(512), ARRAY[noise(9000)], ARRAY[noise(512)] FROM generate_series(1, 6);
    INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern, endpoint_url, tags)
      SELECT noise(512), noise(512), noise(9000), noise(9000), ARRAY[noise(512)] FROM generate_series(1, 6)`);
  // GIN takes its new keys in only now.
  const { rows } = await database.query<{ pages: string }>(
    `SELECT sum(gin_clean_pending_list(oid)) AS pages FROM pg_class
     WHERE relname IN ('idx_execution_traces_tags', 'idx_pattern_keywords', 'idx_pattern_agents')`,
  );
  expect(Number(rows[0]?.pages)).toBeGreaterThan(0);
});

const tooLong = 'violates check constraint';

test.each([
  ['user_id', `noise(513)`, tooLong],
  ['project', `noise(513)`, tooLong],
  ['tags', `ARRAY['short', noise(513)]`, tooLong],
  ['tags', `ARRAY[['short', 'short'], ['short', noise(513)]]`, tooLong],
  ['status', `'done'`, 'violates check constraint "execution_traces_status_check"'],
])(
  'a trace with %s = %s is refused by a check, not by an index',
  async (column, value, message) => {
    const insert = database.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, ${column}) VALUES (${trace}, ${value})`,
    );
    await expect(insert).rejects.toThrow(message);
  },
);

test('a hook and a tool whose names are too long together are refused by a check', async () => {
  const insert = (hook: string, tool: string) =>
    database.query(
      `INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name)
       SELECT id, 'Stop', ${hook}, ${tool} FROM execution_traces LIMIT 1`,
    );
  await insert(`repeat('h', 512)`, `repeat('t', 512)`);
  await insert(`noise(512)`, `noise(128)`);
  await expect(insert(`noise(512)`, `noise(129)`)).rejects.toThrow(
    'violates check constraint "hook_executions_names_check"',
  );
});

test.each(['-0.0001', '1.0001', `'NaN'`])('a confidence of %s is refused', async (score) => {
  const insert = database.query(
    `INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
     SELECT id, 'a', ${score}, 'explicit' FROM execution_traces LIMIT 1`,
  );
  await expect(insert).rejects.toThrow(/violates check constraint|numeric field overflow/);
});
