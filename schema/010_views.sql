-- 010: five views, each answerable at 1 M traces: its comment says over which period it looks.
--
-- security_invoker: row-level security applies to whoever asks, not to the owner of the view.
-- A view that exists is passed over: CREATE OR REPLACE would wait for everyone who is reading it, and fails on
-- a view of the same name with other columns. "Failed" is everywhere: status failed or timeout, or a call
-- without success. Figures: docs/schema.md.

DO $view$
BEGIN
  IF to_regclass(format('%I.trace_summary', current_schema())) IS NULL THEN
    -- Counted by trace, so that the newest 50 cost 50 short index scans and nothing more.
    CREATE VIEW trace_summary WITH (security_invoker = true) AS
    SELECT
      t.id,
      t.correlation_id,
      t.session_id,
      t.prompt_text,
      t.started_at,
      t.completed_at,
      t.duration_ms,
      t.status,
      t.success,
      decision.agent_selected,
      decision.confidence_score AS routing_confidence,
      (SELECT count(*) FROM hook_executions h WHERE h.trace_id = t.id) AS hook_count,
      (SELECT count(*) FROM endpoint_calls c WHERE c.trace_id = t.id) AS endpoint_count,
      t.error_type
    FROM execution_traces t
    LEFT JOIN LATERAL (
      SELECT d.agent_selected, d.confidence_score
      FROM agent_routing_decisions d
      WHERE d.trace_id = t.id
      ORDER BY d.created_at DESC
      LIMIT 1
    ) AS decision ON true;

    COMMENT ON VIEW trace_summary IS
      'Every live trace with its last routing decision and the number of its hooks and calls. All periods: ask with ORDER BY started_at DESC LIMIT, or by id, session or time.';
  END IF;
END
$view$;

DO $view$
BEGIN
  IF to_regclass(format('%I.pattern_effectiveness', current_schema())) IS NULL THEN
    CREATE VIEW pattern_effectiveness WITH (security_invoker = true) AS
    SELECT
      id,
      pattern_hash,
      intent_classification,
      keywords,
      agent_sequence,
      success_count,
      failure_count,
      total_usage_count,
      success_rate,
      avg_duration_ms,
      confidence_score,
      last_used_at
    FROM success_patterns
    WHERE is_active;

    COMMENT ON VIEW pattern_effectiveness IS
      'Every active pattern with its success rate and use. All periods: ask with ORDER BY success_rate DESC, total_usage_count DESC LIMIT.';
  END IF;
END
$view$;

DO $view$
BEGIN
  IF to_regclass(format('%I.agent_performance', current_schema())) IS NULL THEN
    -- An execution is a routing decision; how it went is how its trace went. A trace that runs counts in
    -- total_executions only. The traces come from idx_execution_traces_started_at alone. The patterns are
    -- counted apart: a second DISTINCT inside the aggregate would sort every execution again.
    CREATE VIEW agent_performance WITH (security_invoker = true) AS
    WITH execution AS (
      SELECT
        d.agent_selected,
        count(*) AS total,
        count(*) FILTER (WHERE t.success) AS successful,
        count(*) FILTER (WHERE NOT t.success) AS failed,
        avg(t.duration_ms) AS avg_duration_ms,
        percentile_disc(0.95) WITHIN GROUP (ORDER BY t.duration_ms) AS p95_duration_ms,
        avg(d.confidence_score) AS avg_confidence,
        max(d.created_at) AS last_used_at
      FROM execution_traces t
      JOIN agent_routing_decisions d ON d.trace_id = t.id
      WHERE t.started_at >= now() - interval '30 days'
      GROUP BY d.agent_selected
    ),
    followed AS (
      SELECT agent_selected, count(*) AS patterns
      FROM (
        SELECT DISTINCT agent_selected, pattern_id
        FROM agent_routing_decisions
        WHERE pattern_id IS NOT NULL AND created_at >= now() - interval '30 days'
      ) AS pair
      GROUP BY agent_selected
    )
    SELECT
      agent_selected AS agent_name,
      execution.total AS total_executions,
      execution.successful AS successful_executions,
      execution.failed AS failed_executions,
      COALESCE(successful::numeric / NULLIF(successful + failed, 0), 0)::numeric(5,4) AS success_rate,
      COALESCE(round(execution.avg_duration_ms), 0)::bigint AS avg_duration_ms,
      COALESCE(execution.p95_duration_ms, 0) AS p95_duration_ms,
      COALESCE(execution.avg_confidence, 0)::numeric(5,4) AS avg_routing_confidence,
      COALESCE(followed.patterns, 0) AS patterns_used,
      execution.last_used_at
    FROM execution
    LEFT JOIN followed USING (agent_selected);

    COMMENT ON VIEW agent_performance IS
      'Executions, success, durations and confidence by agent. The last 30 days, by the start of the trace (patterns_used: by the decision).';
  END IF;
END
$view$;

DO $view$
BEGIN
  IF to_regclass(format('%I.error_analysis', current_schema())) IS NULL THEN
    CREATE VIEW error_analysis WITH (security_invoker = true) AS
    WITH failure AS (
      SELECT COALESCE(error_type, 'unknown') AS error_type, id AS trace_id, started_at AS occurred_at
      FROM execution_traces
      WHERE status IN ('failed', 'timeout') AND started_at >= now() - interval '30 days'
      UNION ALL
      SELECT COALESCE(error_type, 'unknown'), trace_id, started_at
      FROM hook_executions
      WHERE status IN ('failed', 'timeout') AND started_at >= now() - interval '30 days'
      UNION ALL
      SELECT COALESCE(error_type, 'unknown'), trace_id, started_at
      FROM endpoint_calls
      WHERE success = false AND started_at >= now() - interval '30 days'
    ),
    error AS (
      SELECT
        error_type,
        count(*) AS error_count,
        max(occurred_at) AS last_occurrence_at,
        count(*) FILTER (WHERE occurred_at >= now() - interval '24 hours') AS occurrences_24h,
        count(*) FILTER (WHERE occurred_at >= now() - interval '7 days') AS occurrences_7d
      FROM failure
      GROUP BY error_type
    ),
    -- The agents in charge of the newest 500 failures of each type: more would be a lookup for every failure.
    affected AS (
      SELECT newest.error_type, array_agg(DISTINCT decision.agent_selected) AS agents
      FROM (
        SELECT error_type, trace_id, row_number() OVER (PARTITION BY error_type ORDER BY occurred_at DESC) AS rank
        FROM failure
      ) AS newest
      CROSS JOIN LATERAL (
        SELECT d.agent_selected
        FROM agent_routing_decisions d
        WHERE d.trace_id = newest.trace_id
        ORDER BY d.created_at DESC
        LIMIT 1
      ) AS decision
      WHERE newest.rank <= 500
      GROUP BY newest.error_type
    )
    SELECT
      error.error_type,
      known.error_category,
      known.severity,
      error.error_count,
      error.last_occurrence_at,
      COALESCE(affected.agents, '{}') AS affected_agents,
      known.resolution_pattern,
      known.resolution_success_rate,
      COALESCE(known.prevention_strategies, '{}') AS prevention_strategies,
      error.occurrences_24h,
      error.occurrences_7d
    FROM error
    LEFT JOIN affected USING (error_type)
    LEFT JOIN LATERAL (
      SELECT p.error_category, p.severity, p.resolution_pattern, p.resolution_success_rate, p.prevention_strategies
      FROM error_patterns p
      WHERE p.error_type = error.error_type
      ORDER BY p.last_occurrence_at DESC, p.id
      LIMIT 1
    ) AS known ON true;

    COMMENT ON VIEW error_analysis IS
      'Failed traces, hooks and calls by error type, with the error pattern of that type seen last. The last 30 days, by the time the failed work started; affected_agents: of the newest 500 failures of a type.';
  END IF;
END
$view$;

DO $view$
BEGIN
  IF to_regclass(format('%I.dashboard_summary', current_schema())) IS NULL THEN
    -- Exact, from narrow indexes only. Rows are counted where an index finds them equal, which takes half the
    -- time of grouping them: WITH RECURSIVE steps from one status, or agent, to the next. A percentile is the
    -- row at its rank (as percentile_disc has it), reached by counting in from the nearer end of
    -- idx_execution_traces_duration: no sort, half a scan.
    CREATE VIEW dashboard_summary WITH (security_invoker = true) AS
    WITH RECURSIVE status AS (
      SELECT min(status) AS name FROM execution_traces
      UNION ALL
      SELECT (SELECT min(t.status) FROM execution_traces t WHERE t.status > status.name)
      FROM status WHERE status.name IS NOT NULL
    ),
    by_status AS MATERIALIZED (
      SELECT
        name,
        (SELECT count(*) FROM execution_traces t WHERE t.status = name AND t.success) AS successful,
        (SELECT count(*) FROM execution_traces t WHERE t.status = name AND NOT t.success) AS failed,
        (SELECT count(*) FROM execution_traces t WHERE t.status = name AND t.success IS NULL) AS undecided
      FROM status WHERE name IS NOT NULL
    ),
    trace AS (
      SELECT
        COALESCE(sum(successful + failed + undecided), 0)::bigint AS total,
        COALESCE(sum(successful + failed + undecided) FILTER (WHERE name = 'completed'), 0)::bigint AS completed,
        COALESCE(sum(successful), 0)::bigint AS successful,
        COALESCE(sum(successful + failed), 0)::bigint AS decided
      FROM by_status
    ),
    timed AS (
      SELECT trace.total - (SELECT count(*) FROM execution_traces WHERE duration_ms IS NULL) AS total
      FROM trace
    ),
    pattern AS (
      SELECT
        count(*) AS total,
        count(*) FILTER (WHERE success_rate >= 0.8 AND total_usage_count >= 5) AS high_quality,
        COALESCE(avg(success_rate) FILTER (WHERE total_usage_count > 0), 0)::numeric(5,4) AS avg_success_rate
      FROM success_patterns
      WHERE is_active
    ),
    agent AS (
      SELECT min(agent_selected) AS name FROM agent_routing_decisions
      UNION ALL
      SELECT (SELECT min(d.agent_selected) FROM agent_routing_decisions d WHERE d.agent_selected > agent.name)
      FROM agent WHERE agent.name IS NOT NULL
    ),
    active AS (
      SELECT name, decisions
      FROM agent
      CROSS JOIN LATERAL (
        SELECT count(*) AS decisions
        FROM agent_routing_decisions d
        WHERE d.agent_selected = name AND d.created_at >= now() - interval '7 days'
      ) AS lately
      WHERE decisions > 0
    ),
    failure AS (
      SELECT error_type
      FROM execution_traces
      WHERE status IN ('failed', 'timeout') AND started_at >= now() - interval '24 hours'
      UNION ALL
      SELECT error_type
      FROM hook_executions
      WHERE status IN ('failed', 'timeout') AND started_at >= now() - interval '24 hours'
      UNION ALL
      SELECT error_type
      FROM endpoint_calls
      WHERE success = false AND started_at >= now() - interval '24 hours'
    ),
    error AS (
      SELECT count(*) AS total, count(DISTINCT error_type) AS types FROM failure
    )
    SELECT
      trace.total AS total_traces,
      trace.completed AS completed_traces,
      trace.successful AS successful_traces,
      COALESCE(trace.successful::numeric / NULLIF(trace.decided, 0), 0)::numeric(5,4) AS overall_success_rate,
      pattern.total AS total_patterns,
      pattern.high_quality AS high_quality_patterns,
      pattern.avg_success_rate AS avg_pattern_success_rate,
      (SELECT count(*) FROM active) AS active_agents,
      (SELECT name FROM active ORDER BY decisions DESC, name LIMIT 1) AS most_used_agent,
      error.total AS errors_24h,
      error.types AS unique_error_types,
      COALESCE((SELECT duration_ms FROM execution_traces WHERE duration_ms IS NOT NULL ORDER BY duration_ms
                OFFSET (SELECT GREATEST(ceil(0.5 * total) - 1, 0) FROM timed) LIMIT 1), 0) AS median_duration_ms,
      COALESCE((SELECT duration_ms FROM execution_traces WHERE duration_ms IS NOT NULL ORDER BY duration_ms DESC
                OFFSET (SELECT total - ceil(0.95 * total) FROM timed) LIMIT 1), 0) AS p95_duration_ms
    FROM trace, pattern, error;

    COMMENT ON VIEW dashboard_summary IS
      'One row of exact figures. All live traces and active patterns; active_agents and most_used_agent: decisions of the last 7 days; errors_24h and unique_error_types: failed traces, hooks and calls of the last 24 hours.';
  END IF;
END
$view$;
