-- Verify tables (should return 8)
SELECT COUNT(*) FROM information_schema.tables
WHERE table_schema = 'public'
AND table_name IN (
    'execution_traces', 'agent_routing_decisions', 'hook_executions',
    'endpoint_calls', 'success_patterns', 'pattern_usage_log',
    'agent_chaining_patterns', 'error_patterns'
);

-- Verify vector extension (should return 3)
SELECT vector_dims('[1,2,3]'::vector);

-- Test insert
INSERT INTO execution_traces (
    correlation_id, root_id, session_id, source, status
) VALUES (
    gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
    'local_test', 'completed'
) RETURNING id, correlation_id;
