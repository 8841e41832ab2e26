-- Rebuild vector indexes periodically
REINDEX INDEX idx_pattern_embedding;
REINDEX INDEX idx_routing_embedding;

-- Analyze tables for query planner
ANALYZE execution_traces;
ANALYZE success_patterns;
