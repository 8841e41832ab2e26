# Drop all tables
docker exec omninode-bridge-postgres psql -U postgres -d omninode_bridge \
  -c "DROP TABLE IF EXISTS execution_traces, agent_routing_decisions, hook_executions, endpoint_calls, success_patterns, pattern_usage_log, agent_chaining_patterns, error_patterns CASCADE;"

# Redeploy
docker exec -i omninode-bridge-postgres psql -U postgres -d omninode_bridge \
  < consolidated_migration.sql
