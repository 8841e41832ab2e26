-- 014: one definition of each figure, the same in views, functions, panes and docs/glossary.md:
--
--   failed        a trace or hook with the status failed or timeout, a call without success
--   cancelled     neither a success nor a failure: outside every success rate. It used to count as a failure
--   error type    "unknown" where a failure names none; unique_error_types used to leave those out
--   status code   a success from 100 to 399. 0 means that no answer came; it used to count as a success
--
-- Only what 001 and 010 made is replaced: a view is known by its comment, a function by the hash of its body. What
-- somebody else wrote stays, and a second run finds nothing to do. No table and no row is touched: calls that were
-- stored with status code 0 keep their success.

DO $migrate$
BEGIN
  IF EXISTS (
    SELECT FROM pg_proc WHERE oid = to_regprocedure(format('%I.maintain_derived_columns()', current_schema()))
      AND md5(prosrc) = '968d0ad98e8987d65c5381c6afdd1102'
  ) THEN
    CREATE OR REPLACE FUNCTION maintain_derived_columns() RETURNS trigger
    LANGUAGE plpgsql
    AS $function$
    DECLARE
      outcome boolean;                 -- NULL while the work runs
      outcome_changed boolean := true;
      derived bigint;
    BEGIN
      IF TG_OP = 'UPDATE' THEN
        NEW.updated_at := now();
      END IF;
      IF TG_NARGS = 0 OR (TG_OP = 'INSERT' AND current_setting('trace_console.restoring', true) = 'on') THEN
        RETURN NEW;
      END IF;

      IF TG_ARGV[0] = 'status' THEN
        outcome := CASE WHEN NEW.status <> 'in_progress' THEN NEW.status = 'completed' END;
        IF TG_OP = 'UPDATE' THEN
          outcome_changed := NEW.status IS DISTINCT FROM OLD.status;
        END IF;
      ELSE
        outcome := CASE WHEN NEW.status_code IS NOT NULL THEN NEW.status_code BETWEEN 100 AND 399
                        WHEN NEW.error_type <> '' THEN false END;
        IF TG_OP = 'UPDATE' THEN
          outcome_changed := (NEW.status_code, NEW.error_type) IS DISTINCT FROM (OLD.status_code, OLD.error_type);
        END IF;
      END IF;

      IF TG_OP = 'INSERT' THEN
        NEW.success := COALESCE(NEW.success, outcome);
      ELSIF outcome_changed THEN
        IF NEW.success IS NOT DISTINCT FROM OLD.success THEN
          NEW.success := outcome;
        END IF;
        IF outcome IS NULL THEN
          IF NEW.completed_at IS NOT DISTINCT FROM OLD.completed_at THEN
            NEW.completed_at := NULL;
          END IF;
          IF NEW.duration_ms IS NOT DISTINCT FROM OLD.duration_ms THEN
            NEW.duration_ms := NULL;
          END IF;
        END IF;
      END IF;

      IF outcome IS NOT NULL AND NEW.completed_at IS NULL THEN
        -- Within ten years of duration and of the year 9999 the sum cannot leave timestamptz's range.
        IF NEW.duration_ms BETWEEN 0 AND 315360000000 AND NEW.started_at < '9999-01-01' THEN
          NEW.completed_at := NEW.started_at + NEW.duration_ms * interval '1 millisecond';
        ELSE
          -- clock_timestamp(): work that starts and ends in one transaction has a duration too.
          NEW.completed_at := GREATEST(clock_timestamp(), NEW.started_at);
        END IF;
      END IF;

      -- A duration that was derived follows corrected times; one that the writer measured stays.
      IF TG_OP = 'UPDATE'
         AND NEW.duration_ms = OLD.duration_ms
         AND (NEW.started_at, NEW.completed_at) IS DISTINCT FROM (OLD.started_at, OLD.completed_at)
         AND isfinite(OLD.started_at) AND isfinite(OLD.completed_at)
         AND OLD.duration_ms = GREATEST(0, round(1000 * (date_part('epoch', OLD.completed_at)
                                                         - date_part('epoch', OLD.started_at)))) THEN
        NEW.duration_ms := NULL;
      END IF;
      IF NEW.duration_ms IS NULL AND isfinite(NEW.started_at) AND isfinite(NEW.completed_at) THEN
        derived := GREATEST(0, round(1000 * (date_part('epoch', NEW.completed_at)
                                             - date_part('epoch', NEW.started_at))));
        IF derived <= 32767 THEN
          NEW.duration_ms := derived;
        ELSE
          -- A table made by hand may hold durations in an integer, which ends at 24.8 days. A duration that does not
          -- fit stays unknown; the writer's statement must not fail because of it.
          BEGIN
            NEW.duration_ms := derived;
          EXCEPTION WHEN numeric_value_out_of_range THEN
            NEW.duration_ms := NULL;
          END;
        END IF;
      END IF;
      RETURN NEW;
    END
    $function$;
  END IF;
END
$migrate$;

DO $migrate$
BEGIN
  IF obj_description(to_regclass(format('%I.agent_performance', current_schema())), 'pg_class') =
     'Executions, success, durations and confidence by agent. The last 30 days, by the start of the trace (patterns_used: by the decision).'
  THEN
    CREATE OR REPLACE VIEW agent_performance WITH (security_invoker = true) AS
    WITH execution AS (
      SELECT
        d.agent_selected,
        count(*) AS total,
        count(*) FILTER (WHERE t.success) AS successful,
        count(*) FILTER (WHERE NOT t.success AND t.status <> 'cancelled') AS failed,
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
      'Executions, success, durations and confidence by agent. Cancelled ones count in total_executions only. The last 30 days, by the start of the trace (patterns_used: by the decision).';
  END IF;
END
$migrate$;

DO $migrate$
BEGIN
  IF obj_description(to_regclass(format('%I.dashboard_summary', current_schema())), 'pg_class') =
     'One row of exact figures. All live traces and active patterns; active_agents and most_used_agent: decisions of the last 7 days; errors_24h and unique_error_types: failed traces, hooks and calls of the last 24 hours.'
  THEN
    CREATE OR REPLACE VIEW dashboard_summary WITH (security_invoker = true) AS
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
        COALESCE(sum(CASE WHEN name = 'cancelled' THEN successful ELSE successful + failed END), 0)::bigint AS decided
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
      SELECT count(*) AS total, count(DISTINCT COALESCE(error_type, 'unknown')) AS types FROM failure
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
      'One row of exact figures. All live traces (cancelled ones outside the success rate) and active patterns; active_agents and most_used_agent: decisions of the last 7 days; errors_24h and unique_error_types: failed traces, hooks and calls of the last 24 hours, one type more (unknown) where a failure names none.';
  END IF;
END
$migrate$;
