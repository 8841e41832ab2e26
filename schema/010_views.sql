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
    -- total_executions only.
    CREATE VIEW agent_performance WITH (security_invoker = true) AS
    SELECT
      d.agent_selected AS agent_name,
      count(*) AS total_executions,
      count(*) FILTER (WHERE t.success) AS successful_executions,
      count(*) FILTER (WHERE NOT t.success) AS failed_executions,
      COALESCE(count(*) FILTER (WHERE t.success)::numeric / NULLIF(count(t.success), 0), 0)::numeric(5,4)
        AS success_rate,
      COALESCE(round(avg(t.duration_ms)), 0)::bigint AS avg_duration_ms,
      COALESCE(percentile_disc(0.95) WITHIN GROUP (ORDER BY t.duration_ms), 0) AS p95_duration_ms,
      COALESCE(avg(d.confidence_score), 0)::numeric(5,4) AS avg_routing_confidence,
      count(DISTINCT d.pattern_id) AS patterns_used,
      max(d.created_at) AS last_used_at
    FROM agent_routing_decisions d
    JOIN execution_traces t ON t.id = d.trace_id
    WHERE d.created_at >= now() - interval '30 days'
    GROUP BY d.agent_selected;

    COMMENT ON VIEW agent_performance IS
      'Executions, success, durations and confidence by agent. The last 30 days, by the time of the routing decision.';
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
    affected AS (
      SELECT failure.error_type, array_agg(DISTINCT d.agent_selected ORDER BY d.agent_selected) AS agents
      FROM failure
      JOIN agent_routing_decisions d USING (trace_id)
      GROUP BY failure.error_type
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
      'Failed traces, hooks and calls by error type, with the error pattern of that type seen last. The last 30 days, by the time the failed work started.';
  END IF;
END
$view$;

DO $view$
BEGIN
  IF to_regclass(format('%I.dashboard_summary', current_schema())) IS NULL THEN
    -- Exact, from narrow indexes only. A percentile is the row at its rank (as percentile_disc has it),
    -- reached by counting in from the nearer end of idx_execution_traces_duration: no sort, half a scan.
    CREATE VIEW dashboard_summary WITH (security_invoker = true) AS
    WITH trace AS (
      SELECT
        COALESCE(sum(traces), 0)::bigint AS total,
        COALESCE(sum(traces) FILTER (WHERE status = 'completed'), 0)::bigint AS completed,
        COALESCE(sum(traces) FILTER (WHERE success), 0)::bigint AS successful,
        COALESCE(sum(traces) FILTER (WHERE success IS NOT NULL), 0)::bigint AS decided
      FROM (SELECT status, success, count(*) AS traces FROM execution_traces GROUP BY status, success) AS by_status
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
      SELECT agent_selected, count(*) AS decisions
      FROM agent_routing_decisions
      GROUP BY agent_selected
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
      (SELECT count(*) FROM agent) AS active_agents,
      (SELECT agent_selected FROM agent ORDER BY decisions DESC, agent_selected LIMIT 1) AS most_used_agent,
      error.total AS errors_24h,
      error.types AS unique_error_types,
      COALESCE((SELECT duration_ms FROM execution_traces WHERE duration_ms IS NOT NULL ORDER BY duration_ms
                OFFSET (SELECT GREATEST(ceil(0.5 * total) - 1, 0) FROM timed) LIMIT 1), 0) AS median_duration_ms,
      COALESCE((SELECT duration_ms FROM execution_traces WHERE duration_ms IS NOT NULL ORDER BY duration_ms DESC
                OFFSET (SELECT total - ceil(0.95 * total) FROM timed) LIMIT 1), 0) AS p95_duration_ms
    FROM trace, pattern, error;

    COMMENT ON VIEW dashboard_summary IS
      'One row of exact figures. All live traces, decisions and active patterns; errors_24h and unique_error_types: failed traces, hooks and calls of the last 24 hours.';
  END IF;
END
$view$;
