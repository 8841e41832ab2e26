-- Archive old traces (>90 days) to separate table
CREATE TABLE execution_traces_archive (LIKE execution_traces INCLUDING ALL);

-- Move old data
WITH moved AS (
    DELETE FROM execution_traces
    WHERE started_at < NOW() - INTERVAL '90 days'
    RETURNING *
)
INSERT INTO execution_traces_archive SELECT * FROM moved;

-- Clean up pattern usage logs (>180 days)
DELETE FROM pattern_usage_log WHERE used_at < NOW() - INTERVAL '180 days';

-- Clean up low-value patterns (low usage, low success rate)
DELETE FROM success_patterns
WHERE total_usage_count < 5
AND success_rate < 0.5
AND last_used_at < NOW() - INTERVAL '30 days';
