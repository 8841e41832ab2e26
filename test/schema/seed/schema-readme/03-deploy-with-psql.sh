# Set connection string
export DATABASE_URL="postgresql://postgres:[password]@db.[project].supabase.co:5432/postgres"

# Deploy in order
psql $DATABASE_URL -f 001_execution_traces.sql
psql $DATABASE_URL -f 002_agent_routing_decisions.sql
psql $DATABASE_URL -f 003_hook_executions.sql
psql $DATABASE_URL -f 004_endpoint_calls.sql
psql $DATABASE_URL -f 005_success_patterns.sql
psql $DATABASE_URL -f 006_pattern_usage_log.sql
psql $DATABASE_URL -f 007_agent_chaining_patterns.sql
psql $DATABASE_URL -f 008_error_patterns.sql
psql $DATABASE_URL -f 009_indexes.sql
psql $DATABASE_URL -f 010_views.sql
psql $DATABASE_URL -f 011_functions.sql
psql $DATABASE_URL -f 012_rls_policies.sql
