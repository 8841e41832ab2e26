-- Archive old traces (>90 days)
DELETE FROM execution_traces
WHERE started_at < NOW() - INTERVAL '90 days';

-- Clean up old pattern usage
DELETE FROM pattern_usage_log
WHERE used_at < NOW() - INTERVAL '180 days';
