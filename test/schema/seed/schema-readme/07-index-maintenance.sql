-- Analyze tables for query planner
ANALYZE execution_traces;
ANALYZE agent_routing_decisions;
ANALYZE success_patterns;
ANALYZE pattern_usage_log;

-- Rebuild vector indexes if needed
REINDEX INDEX idx_pattern_embedding;
REINDEX INDEX idx_routing_embedding;
