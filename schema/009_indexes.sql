-- 009: the 48 named indexes; the 8 primary keys and 4 unique keys come with the tables.
--
-- Each line is a name, what it covers, and the question that needs it, which becomes the index's comment.
-- An index that exists is passed over without a lock (CREATE INDEX IF NOT EXISTS would wait for every open
-- write to the table). One DO block a large table, so that on a full database none waits for the builds of another.
--
-- An entry of a B-tree ends at 2,704 bytes. 512 characters of UTF-8 take up to 2,048, so one bounded name
-- fits with whatever fixed-size columns stand beside it.

DO $indexes$
DECLARE
  name text; definition text; question text;
BEGIN
  FOR name, definition, question IN VALUES
    ('idx_execution_traces_root',       'execution_traces (root_id)',
      'all traces of one tree: timeline, archive, restore'),
    ('idx_execution_traces_parent',     'execution_traces (parent_id) WHERE parent_id IS NOT NULL',
      'the traces that one trace delegated to'),
    ('idx_execution_traces_session',    'execution_traces (session_id, started_at DESC)',
      'the newest traces of one session'),
    ('idx_execution_traces_user',       'execution_traces (user_id, started_at DESC) WHERE user_id IS NOT NULL',
      'the newest traces of one user; the rows that row-level security lets a user read'),
    ('idx_execution_traces_project',    'execution_traces (project, started_at DESC) WHERE project IS NOT NULL',
      'the newest traces of one project'),
    ('idx_execution_traces_started_at', 'execution_traces (started_at DESC, id) INCLUDE (status, success, duration_ms)',
      'the newest traces page by page; counts and durations in a time window, from the index alone: agent_performance; what is due for the archive'),
    ('idx_execution_traces_status',     'execution_traces (status, success)',
      'exact counts by status and success without reading the table: dashboard_summary'),
    ('idx_execution_traces_duration',   'execution_traces (duration_ms)',
      'exact median and p95 by counting in from the nearer end: dashboard_summary; the slowest traces'),
    ('idx_execution_traces_running',    $$execution_traces (started_at) WHERE status = 'in_progress'$$,
      'what is running now, and what has been stuck longest'),
    ('idx_execution_traces_failed',     $$execution_traces (started_at DESC) WHERE status IN ('failed', 'timeout')$$,
      'the newest failures: error_analysis, errors of the last 24 hours'),
    ('idx_execution_traces_tags',       'execution_traces USING gin (tags)',
      'the traces that carry given tags')
  LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
    EXECUTE format('CREATE INDEX %I ON %s', name, definition);
    EXECUTE format('COMMENT ON INDEX %I IS %L', name, question);
  END LOOP;
END
$indexes$;

DO $indexes$
DECLARE
  name text; definition text; question text;
BEGIN
  FOR name, definition, question IN VALUES
    ('idx_routing_trace',          'agent_routing_decisions (trace_id, created_at DESC) INCLUDE (agent_selected, confidence_score)',
      'the last agent chosen for a trace, from the index alone: trace_summary, error_analysis; the cascade from execution_traces'),
    ('idx_routing_agent',          'agent_routing_decisions (agent_selected, created_at DESC)',
      'the newest decisions for one agent; decisions by agent, counted from the index alone: dashboard_summary'),
    ('idx_routing_created_at',     'agent_routing_decisions (created_at DESC, id)',
      'the newest decisions page by page: the live tail'),
    ('idx_routing_low_confidence', 'agent_routing_decisions (created_at DESC) WHERE confidence_score < 0.7',
      'the newest decisions that the router was unsure of'),
    ('idx_routing_pattern',        'agent_routing_decisions (pattern_id, created_at DESC) INCLUDE (agent_selected) WHERE pattern_id IS NOT NULL',
      'the decisions that followed one learned pattern; patterns by agent, from the index alone: agent_performance')
  LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
    EXECUTE format('CREATE INDEX %I ON %s', name, definition);
    EXECUTE format('COMMENT ON INDEX %I IS %L', name, question);
  END LOOP;
END
$indexes$;

DO $indexes$
DECLARE
  name text; definition text; question text;
BEGIN
  FOR name, definition, question IN VALUES
    ('idx_hook_executions_trace',      'hook_executions (trace_id, execution_order)',
      'the hooks of one trace in their order; the cascade from execution_traces'),
    ('idx_hook_executions_started_at', 'hook_executions (started_at DESC, id)',
      'the newest hooks page by page: the live tail'),
    ('idx_hook_executions_window',     'hook_executions (started_at) INCLUDE (hook_name, tool_name, duration_ms, status)',
      'slow hooks by name and tool in a time window, from the index alone'),
    ('idx_hook_executions_type',       'hook_executions (hook_type, started_at DESC)',
      'the newest hooks of one type'),
    ('idx_hook_executions_tool',       'hook_executions (tool_name, started_at DESC) WHERE tool_name IS NOT NULL',
      'the newest hooks around one tool'),
    ('idx_hook_executions_slow',       'hook_executions (duration_ms DESC) WHERE duration_ms >= 1000',
      'the slowest hooks of all time'),
    ('idx_hook_executions_failed',     $$hook_executions (started_at DESC) WHERE status IN ('failed', 'timeout')$$,
      'the newest failed hooks: error_analysis, errors of the last 24 hours'),
    ('idx_hook_executions_tool_use',   'hook_executions (tool_use_id) WHERE tool_use_id IS NOT NULL',
      'the hooks before and after one tool call, which share its tool_use_id')
  LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
    EXECUTE format('CREATE INDEX %I ON %s', name, definition);
    EXECUTE format('COMMENT ON INDEX %I IS %L', name, question);
  END LOOP;
END
$indexes$;

DO $indexes$
DECLARE
  name text; definition text; question text;
BEGIN
  FOR name, definition, question IN VALUES
    ('idx_endpoint_calls_trace',      'endpoint_calls (trace_id, started_at)',
      'the calls of one trace in time order; the cascade from execution_traces'),
    ('idx_endpoint_calls_hook',       'endpoint_calls (hook_execution_id) WHERE hook_execution_id IS NOT NULL',
      'the calls that one hook made; SET NULL when a hook is deleted'),
    ('idx_endpoint_calls_service',    'endpoint_calls (service_name, started_at DESC)',
      'the newest calls to one service'),
    ('idx_endpoint_calls_url',        'endpoint_calls (left(endpoint_url, 256))',
      'the calls to one URL: ask for left(endpoint_url, 256) = left(url, 256) AND endpoint_url = url'),
    ('idx_endpoint_calls_started_at', 'endpoint_calls (started_at DESC, id)',
      'the newest calls page by page; calls by service in a time window'),
    ('idx_endpoint_calls_failed',     'endpoint_calls (started_at DESC) WHERE success = false',
      'the newest failed calls: error_analysis, errors of the last 24 hours'),
    ('idx_endpoint_calls_slow',       'endpoint_calls (duration_ms DESC) WHERE duration_ms >= 1000',
      'the slowest calls of all time')
  LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
    EXECUTE format('CREATE INDEX %I ON %s', name, definition);
    EXECUTE format('COMMENT ON INDEX %I IS %L', name, question);
  END LOOP;
END
$indexes$;

DO $indexes$
DECLARE
  name text; definition text; question text;
BEGIN
  FOR name, definition, question IN VALUES
    ('idx_pattern_intent',        'success_patterns (intent_classification)',
      'the patterns of one intent'),
    ('idx_pattern_effectiveness', 'success_patterns (success_rate DESC, total_usage_count DESC) WHERE is_active',
      'the best active patterns: pattern_effectiveness, top patterns'),
    ('idx_pattern_last_used',     'success_patterns (last_used_at DESC)',
      'the patterns used last'),
    ('idx_pattern_keywords',      'success_patterns USING gin (keywords)',
      'the patterns that share keywords with a prompt'),
    ('idx_pattern_agents',        'success_patterns USING gin (agent_sequence)',
      'the patterns that an agent takes part in'),
    ('idx_pattern_prunable',      'success_patterns (last_used_at) WHERE total_usage_count < 5',
      'the patterns that prune_patterns may delete: little used, and not lately')
  LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
    EXECUTE format('CREATE INDEX %I ON %s', name, definition);
    EXECUTE format('COMMENT ON INDEX %I IS %L', name, question);
  END LOOP;
END
$indexes$;

DO $indexes$
DECLARE
  name text; definition text; question text;
BEGIN
  FOR name, definition, question IN VALUES
    ('idx_pattern_usage_pattern',     'pattern_usage_log (pattern_id, used_at DESC)',
      'the latest uses of one pattern; the cascade from success_patterns'),
    ('idx_pattern_usage_trace',       'pattern_usage_log (trace_id) WHERE trace_id IS NOT NULL',
      'the patterns used for one trace; SET NULL when a trace is archived'),
    ('idx_pattern_usage_correlation', 'pattern_usage_log (correlation_id)',
      'the patterns used for a trace that is archived; linking them again when it is restored'),
    ('idx_pattern_usage_used_at',     'pattern_usage_log (used_at)',
      'usage over time; the logs older than 180 days that prune_patterns deletes'),

    ('idx_agent_chaining_primary',    'agent_chaining_patterns (primary_agent)',
      'the chains that one agent leads'),
    ('idx_agent_chaining_last_used',  'agent_chaining_patterns (last_used_at DESC)',
      'the chains seen last'),

    ('idx_error_recent',              'error_patterns (last_occurrence_at DESC, severity)',
      'the errors seen last, with their severity'),
    ('idx_error_type',                'error_patterns (error_type)',
      'what is known of an error type: error_analysis'),
    ('idx_error_open',                'error_patterns (severity, occurrence_count DESC) WHERE resolved_at IS NULL',
      'the open errors, by severity and frequency')
  LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
    EXECUTE format('CREATE INDEX %I ON %s', name, definition);
    EXECUTE format('COMMENT ON INDEX %I IS %L', name, question);
  END LOOP;
END
$indexes$;

-- The two vector indexes. Built on an empty table, as here at first, their 100 centres are random and recall
-- is poor: recall@10 of 0.23 was measured against 0.91 after a rebuild. REINDEX them once there is data.
-- pgvector allocates for the build even when the table is empty (about 62 MB at 100 lists), which the default
-- maintenance_work_mem of 64 MB can refuse; it is raised inside this block only, and never lowered.
DO $indexes$
DECLARE
  name text; indexed_column text; question text;
  vector_schema text := (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'vector');
  memory_before text := current_setting('maintenance_work_mem');
BEGIN
  IF pg_size_bytes(memory_before) < pg_size_bytes('256MB') THEN
    PERFORM set_config('maintenance_work_mem', '256MB', true);
  END IF;
  FOR name, indexed_column, question IN VALUES
    ('idx_pattern_embedding', 'success_patterns USING ivfflat (prompt_embedding',
      'the patterns nearest to a prompt: find_similar_patterns'),
    ('idx_routing_embedding', 'agent_routing_decisions USING ivfflat (query_embedding',
      'the decisions taken for the prompts nearest to a prompt')
  LOOP
    CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
    EXECUTE format('CREATE INDEX %I ON %s %s.vector_cosine_ops) WITH (lists = 100)', name, indexed_column, vector_schema);
    EXECUTE format('COMMENT ON INDEX %I IS %L', name, question);
  END LOOP;
  PERFORM set_config('maintenance_work_mem', memory_before, true);
END
$indexes$;
