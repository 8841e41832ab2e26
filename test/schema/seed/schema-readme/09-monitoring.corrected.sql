-- Table sizes
SELECT
    tablename,
    pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) AS size
FROM pg_tables
WHERE schemaname = 'public'
ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC;

-- Index usage
SELECT
    schemaname, relname, indexrelname, idx_scan,
    pg_size_pretty(pg_relation_size(indexrelid)) AS index_size
FROM pg_stat_user_indexes
WHERE schemaname = 'public'
ORDER BY idx_scan ASC;

-- Recent trace activity
SELECT COUNT(*), status
FROM execution_traces
WHERE started_at > NOW() - INTERVAL '1 hour'
GROUP BY status;

-- Pattern effectiveness
SELECT * FROM pattern_effectiveness
ORDER BY success_rate DESC, total_usage_count DESC
LIMIT 10;
