-- Dashboard summary (should work immediately)
SELECT * FROM dashboard_summary;

-- Pattern effectiveness
SELECT * FROM pattern_effectiveness LIMIT 5;

-- Agent performance
SELECT * FROM agent_performance LIMIT 5;
