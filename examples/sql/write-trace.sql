-- One request of a user, from its start to its end, in plain SQL.
--
--   psql -v ON_ERROR_STOP=1 -f examples/sql/write-trace.sql "$DATABASE_URL"
--
-- It needs no psql commands, so it runs in an SQL editor as well. Each run writes a new request. A real writer
-- makes the ids itself and passes them as parameters; here the session remembers them.

SELECT set_config('example.session_id', gen_random_uuid()::text, false) AS session_id,
       set_config('example.correlation_id', gen_random_uuid()::text, false) AS correlation_id,
       set_config('example.delegated_id', gen_random_uuid()::text, false) AS delegated_id;

-- 1. The request starts. It is the root of its tree: root_id is its own correlation_id.
INSERT INTO execution_traces (correlation_id, root_id, session_id, user_id, project, source, prompt_text, model, provider, tags)
VALUES (
  current_setting('example.correlation_id')::uuid,
  current_setting('example.correlation_id')::uuid,
  current_setting('example.session_id')::uuid,
  'ada', 'shop', 'user_prompt', 'Why is the checkout slow?', 'example-model', 'example-provider', '{example}'
);

-- 2. The router chooses an agent. Children point at the trace's id, which the database made.
INSERT INTO agent_routing_decisions
  (trace_id, query_text, agent_selected, confidence_score, confidence_breakdown, routing_strategy, alternatives)
SELECT id, prompt_text, 'performance-analyst', 0.91, '{"trigger": 0.95, "context": 0.87}', 'fuzzy_match',
       '[{"agent": "debugger", "confidence": 0.62}]'
FROM execution_traces WHERE correlation_id = current_setting('example.correlation_id')::uuid;

-- 3. A hook runs before a tool, and calls an endpoint. Its end and success follow from status and duration.
WITH hook AS (
  INSERT INTO hook_executions
    (trace_id, hook_type, hook_name, execution_order, tool_name, status, duration_ms, decision, rag_query_performed)
  SELECT id, 'PreToolUse', 'context-injector', 1, 'Read', 'completed', 120, 'allow', true
  FROM execution_traces WHERE correlation_id = current_setting('example.correlation_id')::uuid
  RETURNING id, trace_id
)
INSERT INTO endpoint_calls
  (trace_id, hook_execution_id, service_name, endpoint_url, http_method, status_code, duration_ms)
SELECT trace_id, id, 'search', 'http://search:8055/query', 'POST', 200, 85 FROM hook;

-- 4. The agent delegates a part: a trace of its own in the same tree. parent_id is the parent's correlation_id.
INSERT INTO execution_traces
  (correlation_id, root_id, parent_id, session_id, source, prompt_text, status, duration_ms, input_tokens, output_tokens)
VALUES (
  current_setting('example.delegated_id')::uuid,
  current_setting('example.correlation_id')::uuid,
  current_setting('example.correlation_id')::uuid,
  current_setting('example.session_id')::uuid,
  'agent_delegation', 'Find the slow queries', 'completed', 2400, 1800, 420
);

-- 5. The request ends: completed_at, duration_ms and success follow from the status.
UPDATE execution_traces
SET status = 'completed', input_tokens = 5200, output_tokens = 910, cost_usd = 0.0421
WHERE correlation_id = current_setting('example.correlation_id')::uuid;

-- The whole tree in time order.
SELECT depth, kind, name, status, duration_ms
FROM get_trace_timeline(current_setting('example.correlation_id')::uuid);
