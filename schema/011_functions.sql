-- 011: five functions for the programs that write and read traces. (The sixth is the trigger function of 001.)
--
-- They run with their caller's rights, and only who is granted EXECUTE may call them. Each keeps the search_path
-- it was created under: the target schema first, so that current_schema() names it, then the schema of vector,
-- which need not be on anybody's path, and temporary tables last, so that none can stand in for ours.
-- Each is made inside a DO block that sets that path for itself alone; CREATE OR REPLACE keeps the grants.
--
-- Parameters are named as the columns they are compared with. Inside, a bare name is the column.


-- The active patterns nearest to a prompt, by cosine similarity (1: the same direction), nearest first.
--
-- An approximate index is asked so that it answers well, since its own defaults do not:
--   ivfflat   sqrt(lists) probes, pgvector's advice: on 100 k clustered vectors recall@10 is 1.0 in 9 ms at 316
--             lists built on data (0.91 at the default of 1 probe), but 0.73 on an index built empty, whatever
--             is done here: rebuild it
--   hnsw      ef_search 100: recall 0.99 instead of 0.94
-- Both scan on when inactive patterns use up the candidates (pgvector 0.8). Up to 1,000 patterns are compared one by
-- one, which takes 9 ms and is exact: so a young table is answered well before its index is ever rebuilt. All settings
-- are put back, and a caller who asked for more keeps it.
-- A NULL embedding has no neighbours; one of other than 1536 dimensions is an error.
DO $create$
DECLARE
  path_before text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', concat_ws(', ', quote_ident(current_schema()),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector' AND n.nspname <> current_schema()), 'pg_temp'), true);

  CREATE OR REPLACE FUNCTION find_similar_patterns(
    query_embedding vector,
    match_threshold double precision DEFAULT 0.7,   -- the least similarity, -1 to 1
    match_count integer DEFAULT 10
  )
  RETURNS TABLE (
    id uuid,
    pattern_hash text,
    similarity double precision,
    intent_classification text,
    prompt_text text,
    keywords text[],
    agent_sequence text[],
    routing_strategy text,
    success_rate numeric(5,4),
    total_usage_count integer,
    confidence_score numeric(5,4),
    avg_duration_ms bigint,
    last_used_at timestamptz
  )
  LANGUAGE plpgsql
  SET search_path FROM CURRENT
  -- A plan for any match_count would be one for a tenth of the table, which is no index scan.
  SET plan_cache_mode = force_custom_plan
  AS $function$
  #variable_conflict use_column
  DECLARE
    names text[] := ARRAY['ivfflat.probes', 'ivfflat.iterative_scan', 'hnsw.ef_search', 'hnsw.iterative_scan',
                          'enable_indexscan'];
    before text[];
    lists integer;
  BEGIN
    IF query_embedding IS NULL OR match_count < 1 THEN
      RETURN;
    END IF;
    PERFORM vector_dims(query_embedding);   -- loads the library: before that its settings are unknown

    SELECT max(COALESCE(substring(option FROM '^lists=(\d+)$')::integer, 100)) INTO lists
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am am ON am.oid = c.relam AND am.amname = 'ivfflat'
    LEFT JOIN LATERAL unnest(c.reloptions) AS option ON option LIKE 'lists=%'
    WHERE i.indrelid = 'success_patterns'::regclass AND i.indisvalid;

    SELECT array_agg(current_setting(name, true) ORDER BY n) INTO before
    FROM unnest(names) WITH ORDINALITY AS setting (name, n);
    IF lists IS NOT NULL AND before[1]::integer < ceil(sqrt(lists)) THEN
      PERFORM set_config(names[1], ceil(sqrt(lists))::text, true);
    END IF;
    IF before[2] = 'off' THEN
      PERFORM set_config(names[2], 'relaxed_order', true);
    END IF;
    IF before[3]::integer < GREATEST(100, match_count) THEN
      PERFORM set_config(names[3], LEAST(1000, GREATEST(100, match_count))::text, true);
    END IF;
    IF before[4] = 'off' THEN
      PERFORM set_config(names[4], 'relaxed_order', true);
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM success_patterns LIMIT 1001) AS a_few) <= 1000 THEN
      PERFORM set_config(names[5], 'off', true);
    END IF;

    -- The threshold stands outside: inside it would be a filter, and make the index scan go on to the end of
    -- its probes for patterns that are not near enough. Relaxed order is put in order here as well.
    RETURN QUERY
    WITH nearest AS MATERIALIZED (
      SELECT p.id, p.prompt_embedding <=> query_embedding AS distance
      FROM success_patterns p
      WHERE p.is_active AND p.prompt_embedding IS NOT NULL
      ORDER BY p.prompt_embedding <=> query_embedding
      LIMIT match_count
    )
    SELECT p.id, p.pattern_hash, 1 - n.distance, p.intent_classification, p.prompt_text, p.keywords, p.agent_sequence,
           p.routing_strategy, p.success_rate, p.total_usage_count, p.confidence_score, p.avg_duration_ms, p.last_used_at
    FROM nearest n
    JOIN success_patterns p ON p.id = n.id
    WHERE 1 - n.distance >= match_threshold
    ORDER BY n.distance, p.id;

    PERFORM set_config(name, before[n], true)
    FROM unnest(names) WITH ORDINALITY AS setting (name, n)
    WHERE before[n] IS NOT NULL;
  END
  $function$;

  REVOKE ALL ON FUNCTION find_similar_patterns(vector, double precision, integer) FROM PUBLIC;
  COMMENT ON FUNCTION find_similar_patterns(vector, double precision, integer) IS
    'The active patterns nearest to an embedding, with their cosine similarity, nearest first';
  PERFORM set_config('search_path', path_before, true);
END
$create$;


-- Every event of the tree that a trace belongs to, live and archived, in time order: the traces, routing
-- decisions, hooks and endpoint calls of its root_id. One row an event:
--   kind           trace, routing_decision, hook, endpoint_call
--   parent_id      the id of the event it hangs on: the parent trace; the trace of a decision or hook; the hook
--                  of a call, else its trace. NULL at the top
--   depth          0 for a trace at the top, then one more a level
--   name           a trace's source, the agent, the hook, the service
--   status         the status, of a call its status code
--   started_at     of a decision the moment it was written
--   offset_ms      from the first event of the tree
--   details        what else tells events of a kind apart, texts cut at 200 characters
--
-- A trace whose parent is not in the tree, or hangs on itself through its parents, is at the top: parent_id never
-- leads in a circle. Any trace's correlation_id will do, and a root_id whose own row was never written.
-- 1,000 events take less than 15 ms. (The archive comes with 013, so it is looked up.)
DO $create$
DECLARE
  path_before text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', concat_ws(', ', quote_ident(current_schema()),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector' AND n.nspname <> current_schema()), 'pg_temp'), true);

  CREATE OR REPLACE FUNCTION get_trace_timeline(correlation_id uuid)
  RETURNS TABLE (
    kind text,
    id uuid,
    trace_id uuid,
    trace_correlation_id uuid,
    parent_id uuid,
    depth integer,
    name text,
    status text,
    success boolean,
    started_at timestamptz,
    offset_ms bigint,
    duration_ms bigint,
    archived boolean,
    details jsonb
  )
  LANGUAGE plpgsql STABLE
  SET search_path FROM CURRENT
  AS $function$
  #variable_conflict use_column
  DECLARE
    asked_for uuid := get_trace_timeline.correlation_id;
    root uuid;
    has_archive boolean := to_regclass(format('%I.execution_traces_archive', current_schema())) IS NOT NULL;
    live_ids uuid[];
    archived_ids uuid[];

    -- @_archive@ is '' for the live tables and '_archive' for the archive, @ids@ the parameter with the traces.
    traces text := $sql$
      SELECT t.id, t.correlation_id, t.parent_id, @archived@ AS archived, t.source, t.status, t.success, t.started_at,
             t.duration_ms,
             jsonb_strip_nulls(jsonb_build_object(
               'prompt', left(t.prompt_text, 200), 'user_id', t.user_id, 'project', t.project, 'model', t.model,
               'input_tokens', t.input_tokens, 'output_tokens', t.output_tokens, 'cost_usd', t.cost_usd,
               'error_type', t.error_type, 'error_message', left(t.error_message, 200))) AS details
      FROM execution_traces@_archive@ t WHERE t.id = ANY (@ids@)$sql$;
    events text := $sql$
      SELECT 'routing_decision', d.id, d.trace_id, NULL::uuid, d.agent_selected, NULL, d.actual_success, d.created_at,
             d.decision_duration_ms, @archived@,
             jsonb_strip_nulls(jsonb_build_object(
               'confidence', d.confidence_score, 'strategy', d.routing_strategy,
               'reason', left(d.selection_reason, 200), 'cache_hit', d.cache_hit, 'pattern_id', d.pattern_id,
               'actual_success', d.actual_success))
      FROM agent_routing_decisions@_archive@ d WHERE d.trace_id = ANY (@ids@)
      UNION ALL
      SELECT 'hook', h.id, h.trace_id, NULL, h.hook_name, h.status, h.success, h.started_at, h.duration_ms, @archived@,
             jsonb_strip_nulls(jsonb_build_object(
               'type', h.hook_type, 'order', h.execution_order, 'tool', h.tool_name, 'tool_use_id', h.tool_use_id,
               'agent_id', h.agent_id, 'file_path', left(h.file_path, 200), 'decision', left(h.decision, 200),
               'exit_code', h.exit_code, 'error_type', h.error_type, 'error_message', left(h.error_message, 200)))
      FROM hook_executions@_archive@ h WHERE h.trace_id = ANY (@ids@)
      UNION ALL
      SELECT 'endpoint_call', c.id, c.trace_id, c.hook_execution_id, c.service_name, c.status_code::text, c.success,
             c.started_at, c.duration_ms, @archived@,
             jsonb_strip_nulls(jsonb_build_object(
               'method', c.http_method, 'url', left(c.endpoint_url, 200), 'status_code', c.status_code,
               'retry_count', c.retry_count, 'error_type', c.error_type,
               'error_message', left(c.error_message, 200)))
      FROM endpoint_calls@_archive@ c WHERE c.trace_id = ANY (@ids@)$sql$;
  BEGIN
    SELECT t.root_id INTO root FROM execution_traces t WHERE t.correlation_id = asked_for;
    IF root IS NULL AND has_archive THEN
      SELECT t.root_id INTO root FROM execution_traces_archive t WHERE t.correlation_id = asked_for LIMIT 1;
    END IF;
    root := COALESCE(root, asked_for);

    live_ids := ARRAY(SELECT t.id FROM execution_traces t WHERE t.root_id = root);
    IF has_archive THEN
      archived_ids := ARRAY(SELECT t.id FROM execution_traces_archive t WHERE t.root_id = root);
    END IF;

    IF cardinality(archived_ids) > 0 THEN
      traces := replace(replace(replace(traces, '@archived@', 'false'), '@_archive@', ''), '@ids@', '$1')
        || ' UNION ALL '
        || replace(replace(replace(traces, '@archived@', 'true'), '@_archive@', '_archive'), '@ids@', '$2');
      events := replace(replace(replace(events, '@archived@', 'false'), '@_archive@', ''), '@ids@', '$1')
        || ' UNION ALL '
        || replace(replace(replace(events, '@archived@', 'true'), '@_archive@', '_archive'), '@ids@', '$2');
    ELSE
      traces := replace(replace(replace(traces, '@archived@', 'false'), '@_archive@', ''), '@ids@', '$1');
      events := replace(replace(replace(events, '@archived@', 'false'), '@_archive@', ''), '@ids@', '$1');
    END IF;

    RETURN QUERY EXECUTE replace(replace($sql$
      WITH RECURSIVE trace AS MATERIALIZED (@traces@),
      -- One row a correlation_id (a late row may repeat an archived one's): a trace has one parent then, and what
      -- is reached from the top downwards cannot be reached again.
      node AS MATERIALIZED (
        SELECT DISTINCT ON (correlation_id) id, correlation_id, NULLIF(parent_id, correlation_id) AS parent
        FROM trace ORDER BY correlation_id, archived, id
      ),
      placed (id, correlation_id, parent_trace, depth) AS (
        SELECT n.id, n.correlation_id, NULL::uuid, 0
        FROM node n LEFT JOIN node p ON p.correlation_id = n.parent
        WHERE p.id IS NULL
        UNION ALL
        SELECT n.id, n.correlation_id, p.id, p.depth + 1
        FROM placed p JOIN node n ON n.parent = p.correlation_id
      ),
      placed_trace AS MATERIALIZED (
        SELECT t.*, p.parent_trace, COALESCE(p.depth, 0) AS depth
        FROM trace t LEFT JOIN placed p ON p.correlation_id = t.correlation_id
      ),
      event (kind, id, trace_id, hook_id, name, status, success, started_at, duration_ms, archived, details)
        AS MATERIALIZED (@events@),
      row (kind, id, trace_id, trace_correlation_id, parent_id, depth, name, status, success, started_at, duration_ms,
           archived, details) AS (
        SELECT 'trace', t.id, t.id, t.correlation_id, t.parent_trace, t.depth, t.source, t.status, t.success,
               t.started_at, t.duration_ms, t.archived, t.details
        FROM placed_trace t
        UNION ALL
        SELECT e.kind, e.id, e.trace_id, t.correlation_id, COALESCE(h.id, e.trace_id),
               t.depth + CASE WHEN h.id IS NULL THEN 1 ELSE 2 END, e.name, e.status, e.success, e.started_at,
               e.duration_ms, e.archived, e.details
        FROM event e
        JOIN placed_trace t ON t.id = e.trace_id AND t.archived = e.archived
        LEFT JOIN event h ON h.id = e.hook_id AND h.kind = 'hook'
      )
      SELECT kind, id, trace_id, trace_correlation_id, parent_id, depth, name, status, success, started_at,
             CASE WHEN isfinite(started_at) AND isfinite(min(started_at) OVER ()) THEN
               round(1000 * (extract(epoch FROM started_at) - extract(epoch FROM min(started_at) OVER ())))::bigint
             END,
             duration_ms, archived, details
      FROM row
      ORDER BY started_at, depth, kind = 'trace' DESC, id
    $sql$, '@traces@', traces), '@events@', events)
    USING live_ids, archived_ids;
  END
  $function$;

  REVOKE ALL ON FUNCTION get_trace_timeline(uuid) FROM PUBLIC;
  COMMENT ON FUNCTION get_trace_timeline(uuid) IS
    'Every event of the tree that a trace belongs to, live and archived, in time order with depth and offset';
  PERFORM set_config('search_path', path_before, true);
END
$create$;


-- Logs one use of a pattern and moves the pattern's counters; returns the id of the log entry.
--   outcome   success, failure: their counter and the total; partial, skipped: the total only
--   correlation_id   of the trace it was used for, whether or not its row is written yet
-- The pattern's row is locked first, so that concurrent calls count one after the other and each sees the log
-- of those before it. last_used_at never goes back. The average is that of the timed uses among the latest 100, as the
-- log has them: a running mean in whole milliseconds would stop moving once the count is larger than the differences.
-- Skipped uses say nothing of the pattern's duration.
DO $create$
DECLARE
  path_before text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', concat_ws(', ', quote_ident(current_schema()),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector' AND n.nspname <> current_schema()), 'pg_temp'), true);

  CREATE OR REPLACE FUNCTION record_pattern_usage(
    pattern_id uuid,
    outcome text,
    correlation_id uuid DEFAULT NULL,
    match_score numeric DEFAULT NULL,
    actual_duration_ms bigint DEFAULT NULL,
    expected_duration_ms bigint DEFAULT NULL,       -- NULL: the pattern's average before this use
    was_used boolean DEFAULT NULL,                  -- NULL: unless skipped
    deviations jsonb DEFAULT NULL,
    user_feedback text DEFAULT NULL,
    used_at timestamptz DEFAULT now()
  )
  RETURNS uuid
  LANGUAGE plpgsql
  SET search_path FROM CURRENT
  AS $function$
  #variable_conflict use_column
  DECLARE
    pattern uuid := record_pattern_usage.pattern_id;
    result text := record_pattern_usage.outcome;
    correlation uuid := record_pattern_usage.correlation_id;
    used timestamptz := COALESCE(record_pattern_usage.used_at, now());
    duration bigint := record_pattern_usage.actual_duration_ms;
    expected bigint;
    trace uuid;
    entry uuid := gen_random_uuid();
  BEGIN
    IF result IS NULL OR result NOT IN ('success', 'failure', 'partial', 'skipped') THEN
      RAISE invalid_parameter_value USING
        MESSAGE = format('outcome is %s', COALESCE(quote_literal(left(result, 100)), 'NULL')),
        HINT = 'give success, failure, partial or skipped';
    END IF;

    SELECT COALESCE(record_pattern_usage.expected_duration_ms, p.avg_duration_ms) INTO expected
    FROM success_patterns p WHERE p.id = pattern FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      RAISE no_data_found USING
        MESSAGE = format('there is no pattern with the id %s', COALESCE(pattern::text, 'NULL')),
        HINT = 'it may have been pruned; success_patterns holds the patterns there are';
    END IF;

    SELECT t.id INTO trace FROM execution_traces t WHERE t.correlation_id = correlation;
    LOOP
      BEGIN
        INSERT INTO pattern_usage_log (id, pattern_id, trace_id, correlation_id, used_at, match_score, was_used, outcome,
                                       expected_duration_ms, actual_duration_ms, deviations, user_feedback)
        VALUES (entry, pattern, trace, correlation, used, record_pattern_usage.match_score,
                COALESCE(record_pattern_usage.was_used, result <> 'skipped'), result,
                expected, duration, record_pattern_usage.deviations, record_pattern_usage.user_feedback);
        EXIT;
      EXCEPTION WHEN foreign_key_violation THEN
        -- The trace went to the archive just now: its correlation_id stays. (The pattern cannot go, it is locked.)
        IF trace IS NULL THEN
          RAISE;
        END IF;
        trace := NULL;
      END;
    END LOOP;

    IF result = 'skipped' OR duration < 0 THEN
      duration := NULL;
    END IF;
    UPDATE success_patterns p SET
      total_usage_count = p.total_usage_count + 1,
      success_count = p.success_count + CASE WHEN result = 'success' THEN 1 ELSE 0 END,
      failure_count = p.failure_count + CASE WHEN result = 'failure' THEN 1 ELSE 0 END,
      last_used_at = GREATEST(p.last_used_at, used),
      min_duration_ms = LEAST(p.min_duration_ms, duration),
      max_duration_ms = GREATEST(p.max_duration_ms, duration),
      avg_duration_ms = CASE WHEN duration IS NULL THEN p.avg_duration_ms ELSE COALESCE((
        SELECT round(avg(latest.actual_duration_ms))
        FROM (SELECT l.actual_duration_ms, l.outcome FROM pattern_usage_log l
              WHERE l.pattern_id = pattern ORDER BY l.used_at DESC LIMIT 100) AS latest
        WHERE latest.actual_duration_ms >= 0 AND latest.outcome <> 'skipped'), p.avg_duration_ms) END
    WHERE p.id = pattern;
    RETURN entry;
  END
  $function$;

  REVOKE ALL ON FUNCTION record_pattern_usage(uuid, text, uuid, numeric, bigint, bigint, boolean, jsonb, text, timestamptz)
    FROM PUBLIC;
  COMMENT ON FUNCTION record_pattern_usage(uuid, text, uuid, numeric, bigint, bigint, boolean, jsonb, text, timestamptz) IS
    'Logs one use of a pattern, moves its counters, and returns the id of the log entry';
  PERFORM set_config('search_path', path_before, true);
END
$create$;


-- Moves one batch of old traces, with everything that belongs to them, to the archive of 013. Call it again with the
-- cursor it returned until done, with the same as_of, one transaction a call:
--
--   SELECT * FROM archive_traces('90 days', 5000);
--   SELECT * FROM archive_traces('90 days', 5000, as_of => …, after_started_at => next_started_at, after_id => next_id);
--
-- A tree (all traces of one root_id, whether or not the root's own row is there) goes whole or not at all: when each
-- of its traces started before as_of - older_than, and none is in progress, except one in progress for longer
-- than stale_after, which goes as it is. About batch_size traces go, at least one tree if there is one among the
-- next batch_size traces. What is held back is counted once and passed by the cursor:
--   trees_too_young, trees_in_progress, trees_locked (somebody is writing to one of its traces: ask again later)
-- A trace written late to an archived tree is a tree by itself here, and follows when it is old enough.
--
-- Nothing is lost or doubled:
-- - One archiver at a time in a schema, by an advisory lock until the end of the transaction; a second one gets
--   object_in_use (55006). Its key: hashtextextended('trace_console.archive:' || schema, 0).
-- - FOR UPDATE on every trace of the batch, not only on roots: it is what keeps a hook from being added to a trace after its
--   hooks were moved and before the trace is deleted; the cascade would take it, unseen. Such a writer waits, and
--   then gets a foreign key error. Rows that others hold are skipped with their tree.
-- - In each table as many rows are inserted into the archive as were selected, or the batch is rolled back: a trigger or
--   rule that swallows rows cannot make one vanish. Only where there is one are they counted before: elsewhere a
--   row that is selected is deleted and inserted, and the count is a tenth of the work.
-- - Refused: a role that row-level security filters (it would move nothing, or half of a tree), a table that
--   references ours and has no archive (the delete would cascade to it), an archive that lacks a column.
-- Usage logs keep the trace's correlation_id when their trace_id is cleared.
--
-- The rate is that of one plain WITH moved AS (DELETE … RETURNING *) INSERT over the same rows (bench/archive.ts), at
-- about 5,000 traces a batch. Calls go before hooks, because of the key between them; a third of the time is the
-- foreign keys' own look-ups.
DO $create$
DECLARE
  path_before text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', concat_ws(', ', quote_ident(current_schema()),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector' AND n.nspname <> current_schema()), 'pg_temp'), true);

  CREATE OR REPLACE FUNCTION archive_traces(
    older_than interval,
    batch_size integer DEFAULT 1000,
    as_of timestamptz DEFAULT now(),
    stale_after interval DEFAULT '7 days',
    after_started_at timestamptz DEFAULT NULL,  -- the cursor: the trace that the last batch came to, in the
    after_id uuid DEFAULT NULL                  -- order started_at, id DESC; NULL: from the oldest
  )
  RETURNS TABLE (
    trees bigint,
    execution_traces bigint,
    agent_routing_decisions bigint,
    hook_executions bigint,
    endpoint_calls bigint,
    trees_too_young bigint,
    trees_in_progress bigint,
    trees_locked bigint,
    next_started_at timestamptz,
    next_id uuid,
    done boolean
  )
  LANGUAGE plpgsql
  SET search_path FROM CURRENT
  AS $function$
  #variable_conflict use_column
  DECLARE
    cutoff timestamptz := as_of - older_than;
    stale_before timestamptz := as_of - stale_after;
    from_time timestamptz := COALESCE(after_started_at, '-infinity');
    below_id uuid := after_id;
    target text := current_schema();
    tables text[] := ARRAY['endpoint_calls', 'hook_executions', 'agent_routing_decisions', 'execution_traces'];
    name text;
    key text;
    column_lists text[];
    roots uuid[];
    ids uuid[];
    looked_at bigint;
    passed bigint;
    expected bigint;
    inserted bigint;
    problem text;
    hint text;
  BEGIN
    IF older_than IS NULL OR as_of IS NULL OR stale_after IS NULL OR older_than < interval '0' OR stale_after < interval '0' THEN
      RAISE invalid_parameter_value USING MESSAGE = 'older_than, as_of and stale_after must be given, and no age be negative';
    END IF;
    IF batch_size IS NULL OR batch_size < 1 THEN
      RAISE invalid_parameter_value USING MESSAGE = format('batch_size is %s, and must be at least 1', batch_size);
    END IF;

    IF NOT pg_try_advisory_xact_lock(hashtextextended('trace_console.archive:' || target, 0)) THEN
      RAISE object_in_use USING
        MESSAGE = format('the archive of the schema %I is being worked on by another session', target),
        HINT = 'wait until it has finished; pg_locks (locktype advisory) names its pid';
    END IF;

    -- What would make the batch wrong is found before anything is touched.
    FOREACH name IN ARRAY tables || ARRAY['pattern_usage_log'] LOOP
      IF name <> 'pattern_usage_log' AND to_regclass(format('%I.%I', target, name || '_archive')) IS NULL THEN
        RAISE undefined_table USING
          MESSAGE = format('there is no table %I.%I', target, name || '_archive'),
          HINT = 'run 013_archive.sql';
      END IF;
    END LOOP;

    SELECT string_agg(c.relname, ', ' ORDER BY c.relname) INTO problem
    FROM pg_class c
    WHERE c.relnamespace = quote_ident(target)::regnamespace
      AND (c.relname = ANY (tables) OR c.relname = 'pattern_usage_log'
           OR c.relname IN (SELECT t || '_archive' FROM unnest(tables) AS t))
      AND row_security_active(c.oid)
      -- A role with a policy that lets everything pass, as service_role has, is not filtered.
      AND (EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
           OR NOT EXISTS (
             SELECT FROM pg_policy p
             WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*'
               AND pg_get_expr(p.polqual, p.polrelid) = 'true'
               AND COALESCE(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
               AND EXISTS (SELECT FROM unnest(p.polroles) AS role
                           WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE'))));
    IF problem IS NOT NULL THEN
      RAISE insufficient_privilege USING
        MESSAGE = format('row-level security filters what %I sees of %s: the archive would be incomplete', current_user, problem),
        HINT = 'use the tables'' owner, service_role, or a role with BYPASSRLS';
    END IF;

    SELECT string_agg(format('%s (%s of %s)', k.conrelid::regclass, quote_ident(k.conname), k.confrelid::regclass), ', ')
    INTO problem
    FROM pg_constraint k
    JOIN pg_class parent ON parent.oid = k.confrelid
    JOIN pg_class child ON child.oid = k.conrelid
    WHERE k.contype = 'f'
      AND parent.relnamespace = quote_ident(target)::regnamespace AND parent.relname = ANY (tables)
      AND NOT (child.relnamespace = quote_ident(target)::regnamespace
               AND (child.relname, parent.relname) IN (
                 ('agent_routing_decisions', 'execution_traces'), ('hook_executions', 'execution_traces'),
                 ('endpoint_calls', 'execution_traces'), ('endpoint_calls', 'hook_executions'),
                 ('pattern_usage_log', 'execution_traces')));
    IF problem IS NOT NULL THEN
      RAISE object_not_in_prerequisite_state USING
        MESSAGE = format('a table that the archive does not know references ours: %s', problem),
        HINT = 'archiving would delete or cut off its rows: move or unlink them first, then drop the foreign key';
    END IF;

    FOREACH name IN ARRAY tables LOOP
      SELECT string_agg(quote_ident(live.attname), ', ' ORDER BY live.attnum)
               FILTER (WHERE archive.attgenerated = ''),
             string_agg(format('%I %s', live.attname, format_type(live.atttypid, live.atttypmod)), ', ' ORDER BY live.attnum)
               FILTER (WHERE archive.attname IS NULL OR archive.atttypid <> live.atttypid
                       OR archive.atttypmod NOT IN (-1, live.atttypmod))
      INTO hint, problem
      FROM pg_attribute live
      LEFT JOIN pg_attribute archive
        ON archive.attrelid = format('%I.%I', target, name || '_archive')::regclass
       AND archive.attname = live.attname AND NOT archive.attisdropped
      WHERE live.attrelid = format('%I.%I', target, name)::regclass AND live.attnum > 0 AND NOT live.attisdropped;
      IF problem IS NOT NULL THEN
        RAISE datatype_mismatch USING
          MESSAGE = format('the table %I.%I cannot hold: %s', target, name || '_archive', problem),
          HINT = 'run 013_archive.sql, which adds missing columns; a column of another type must be altered by hand';
      END IF;
      column_lists := column_lists || hint;
    END LOOP;

    trees := 0; execution_traces := 0; agent_routing_decisions := 0; hook_executions := 0; endpoint_calls := 0;

    -- The next batch_size traces by age stand for their trees, each at its first appearance. The trees are taken in
    -- that order while they fit, and the cursor ends before the first one that does not.
    WITH next_trace AS MATERIALIZED (
      SELECT t.id, t.root_id, t.started_at, row_number() OVER (ORDER BY t.started_at, t.id DESC) AS n
      FROM execution_traces t
      WHERE t.started_at < cutoff
        AND t.started_at >= from_time AND (t.started_at > from_time OR below_id IS NULL OR t.id < below_id)
      ORDER BY t.started_at, t.id DESC
      LIMIT batch_size
    ),
    tree AS MATERIALIZED (
      SELECT first.*, state.*,
             sum(CASE WHEN young OR running THEN 0 ELSE size END) OVER (ORDER BY n) AS total,
             row_number() OVER (PARTITION BY young OR running ORDER BY n) AS nth
      FROM (SELECT root_id, min(n) AS n FROM next_trace GROUP BY root_id) AS first
      JOIN LATERAL (
        SELECT count(*) AS size,
               bool_or(t.started_at >= cutoff) AS young,
               bool_or(t.status = 'in_progress' AND t.started_at >= stale_before) AS running
        FROM execution_traces t WHERE t.root_id = first.root_id
      ) AS state ON true
    ),
    stop AS MATERIALIZED (
      SELECT COALESCE(
        (SELECT min(n) - 1 FROM tree WHERE NOT (young OR running) AND total > batch_size AND nth > 1),
        (SELECT count(*) FROM next_trace)) AS n
    )
    SELECT (SELECT count(*) FROM next_trace),
           stop.n,
           ARRAY(SELECT root_id FROM tree WHERE NOT (young OR running) AND tree.n <= stop.n),
           held.too_young, held.in_progress, last.started_at, last.id
    INTO looked_at, passed, roots, trees_too_young, trees_in_progress, next_started_at, next_id
    FROM stop
    LEFT JOIN next_trace last ON last.n = stop.n
    CROSS JOIN LATERAL (
      -- Counted at the tree's first trace only: at a later one it was counted by an earlier batch.
      SELECT count(*) FILTER (WHERE young) AS too_young, count(*) FILTER (WHERE NOT young) AS in_progress
      FROM tree JOIN next_trace USING (n)
      WHERE (young OR running) AND n <= stop.n
        AND NOT EXISTS (SELECT FROM execution_traces earlier
                        WHERE earlier.root_id = tree.root_id AND earlier.started_at <= next_trace.started_at
                          AND (earlier.started_at < next_trace.started_at OR earlier.id > next_trace.id)
                        OFFSET 0)   -- stays a look-up by root: as a join it is planned over the whole table
    ) AS held;

    done := looked_at < batch_size AND passed = looked_at;
    next_started_at := COALESCE(next_started_at, after_started_at);
    next_id := COALESCE(next_id, after_id);

    -- Since that look a trace may have been added, reopened or locked: a tree goes when all its traces that can be
    -- seen now are ours and still due.
    WITH locked AS MATERIALIZED (
      SELECT t.id, t.root_id,
             t.started_at < cutoff AND (t.status <> 'in_progress' OR t.started_at < stale_before) AS due
      FROM execution_traces t WHERE t.root_id = ANY (roots)
      FOR UPDATE SKIP LOCKED
    ),
    seen AS (
      SELECT t.root_id, count(*) AS size FROM execution_traces t WHERE t.root_id = ANY (roots) GROUP BY t.root_id
    ),
    whole AS (
      SELECT locked.root_id, array_agg(locked.id) AS ids
      FROM locked JOIN seen USING (root_id)
      GROUP BY locked.root_id, seen.size
      HAVING count(*) = seen.size AND bool_and(locked.due)
    )
    SELECT count(*), ARRAY(SELECT unnest(whole.ids) FROM whole) INTO trees, ids FROM whole;
    trees_locked := cardinality(roots) - trees;

    IF cardinality(ids) > 0 THEN
      UPDATE pattern_usage_log l
      SET trace_id = NULL, correlation_id = COALESCE(l.correlation_id, t.correlation_id)
      FROM execution_traces t
      WHERE t.id = l.trace_id AND l.trace_id = ANY (ids);

      FOR i IN 1 .. cardinality(tables) LOOP
        name := tables[i];
        key := CASE name WHEN 'execution_traces' THEN 'id' ELSE 'trace_id' END;
        -- The lock that the DELETE takes as well: nobody adds a trigger or rule after the look.
        EXECUTE format('LOCK TABLE %I, %I IN ROW EXCLUSIVE MODE', name, name || '_archive');
        expected := CASE name WHEN 'execution_traces' THEN cardinality(ids) END;
        IF expected IS NULL AND EXISTS (
          SELECT FROM pg_class c
          WHERE c.relnamespace = quote_ident(target)::regnamespace AND c.relname IN (name, name || '_archive')
            AND (c.relkind <> 'r' OR EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid)
                 OR EXISTS (SELECT FROM pg_trigger t
                            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                              AND t.tgtype & CASE c.relname WHEN name THEN 8 ELSE 4 END <> 0))   -- DELETE, INSERT
        ) THEN
          EXECUTE format('SELECT count(*) FROM %I WHERE %I = ANY ($1)', name, key) INTO expected USING ids;
        END IF;
        EXECUTE format(
          'WITH moved AS (DELETE FROM %1$I WHERE %2$I = ANY ($1) RETURNING %3$s)
           INSERT INTO %4$I (%3$s) SELECT %3$s FROM moved',
          name, key, column_lists[i], name || '_archive') USING ids;
        GET DIAGNOSTICS inserted = ROW_COUNT;
        IF inserted <> expected THEN
          RAISE data_corrupted USING
            MESSAGE = format('of %s rows of %I.%I %s arrived in the archive: the batch is rolled back', expected, target, name, inserted),
            HINT = 'look for triggers and rules on both tables';
        END IF;
        CASE name
          WHEN 'endpoint_calls' THEN endpoint_calls := inserted;
          WHEN 'hook_executions' THEN hook_executions := inserted;
          WHEN 'agent_routing_decisions' THEN agent_routing_decisions := inserted;
          WHEN 'execution_traces' THEN execution_traces := inserted;
        END CASE;
      END LOOP;
    END IF;
    RETURN NEXT;
  END
  $function$;

  REVOKE ALL ON FUNCTION archive_traces(interval, integer, timestamptz, interval, timestamptz, uuid) FROM PUBLIC;
  COMMENT ON FUNCTION archive_traces(interval, integer, timestamptz, interval, timestamptz, uuid) IS
    'Moves one batch of traces older than an age to the archive, whole trees with all that belongs to them';
  PERFORM set_config('search_path', path_before, true);
END
$create$;


-- Deletes old usage logs, and patterns that proved of little value: fewer than min_usage_count uses, a success rate under
-- min_success_rate, and no use for unused_for. A pattern that was never used has not proved anything, and stays. The log
-- entries of a deleted pattern go with it. dry_run only counts, and names the patterns.
-- batch_size bounds both (NULL: all at once); call again until nothing is deleted. A pattern that is being used at the
-- moment is passed over.
DO $create$
DECLARE
  path_before text := current_setting('search_path');
BEGIN
  PERFORM set_config('search_path', concat_ws(', ', quote_ident(current_schema()),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector' AND n.nspname <> current_schema()), 'pg_temp'), true);

  CREATE OR REPLACE FUNCTION prune_patterns(
    usage_older_than interval DEFAULT '180 days',
    min_usage_count integer DEFAULT 5,
    min_success_rate numeric DEFAULT 0.5,
    unused_for interval DEFAULT '30 days',
    dry_run boolean DEFAULT false,
    as_of timestamptz DEFAULT now(),
    batch_size integer DEFAULT NULL
  )
  RETURNS TABLE (
    usage_logs bigint,              -- by their age
    patterns bigint,
    usage_logs_of_patterns bigint,  -- that went with their patterns
    pattern_ids uuid[]
  )
  LANGUAGE plpgsql
  SET search_path FROM CURRENT
  AS $function$
  #variable_conflict use_column
  DECLARE
    problem text;
  BEGIN
    IF usage_older_than IS NULL OR min_usage_count IS NULL OR min_success_rate IS NULL OR unused_for IS NULL
       OR dry_run IS NULL OR as_of IS NULL THEN
      RAISE invalid_parameter_value USING MESSAGE = 'only batch_size may be NULL';
    END IF;
    IF usage_older_than < interval '0' OR unused_for < interval '0' OR batch_size < 1 THEN
      RAISE invalid_parameter_value USING MESSAGE = 'no age may be negative, and batch_size must be at least 1';
    END IF;

    SELECT string_agg(c.relname, ', ' ORDER BY c.relname) INTO problem
    FROM pg_class c
    WHERE c.oid IN ('success_patterns'::regclass, 'pattern_usage_log'::regclass)
      AND row_security_active(c.oid)
      AND (EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
           OR NOT EXISTS (
             SELECT FROM pg_policy p
             WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*'
               AND pg_get_expr(p.polqual, p.polrelid) = 'true'
               AND EXISTS (SELECT FROM unnest(p.polroles) AS role
                           WHERE role = 0 OR pg_has_role(current_user, role, 'USAGE'))));
    IF problem IS NOT NULL THEN
      RAISE insufficient_privilege USING
        MESSAGE = format('row-level security filters what %I sees of %s: the pruning would be incomplete', current_user, problem),
        HINT = 'use the tables'' owner, service_role, or a role with BYPASSRLS';
    END IF;

    IF dry_run THEN
      usage_logs := (SELECT count(*) FROM (
        SELECT FROM pattern_usage_log l WHERE l.used_at < as_of - usage_older_than LIMIT batch_size) AS old);
      pattern_ids := ARRAY(
        SELECT p.id FROM success_patterns p
        WHERE p.total_usage_count < min_usage_count AND p.success_rate < min_success_rate
          AND p.last_used_at < as_of - unused_for
        ORDER BY p.last_used_at, p.id LIMIT batch_size);
      usage_logs_of_patterns := (
        SELECT count(*) FROM pattern_usage_log l
        WHERE l.pattern_id = ANY (pattern_ids) AND l.used_at >= as_of - usage_older_than);
    ELSE
      DELETE FROM pattern_usage_log WHERE id IN (
        SELECT l.id FROM pattern_usage_log l WHERE l.used_at < as_of - usage_older_than
        ORDER BY l.used_at LIMIT batch_size FOR UPDATE SKIP LOCKED);
      GET DIAGNOSTICS usage_logs = ROW_COUNT;

      -- FOR UPDATE keeps a use from being logged between the count and the delete.
      pattern_ids := ARRAY(
        SELECT p.id FROM success_patterns p
        WHERE p.total_usage_count < min_usage_count AND p.success_rate < min_success_rate
          AND p.last_used_at < as_of - unused_for
        ORDER BY p.last_used_at, p.id LIMIT batch_size FOR UPDATE SKIP LOCKED);
      DELETE FROM pattern_usage_log WHERE pattern_id = ANY (pattern_ids);
      GET DIAGNOSTICS usage_logs_of_patterns = ROW_COUNT;
      DELETE FROM success_patterns WHERE id = ANY (pattern_ids);
    END IF;
    patterns := cardinality(pattern_ids);
    RETURN NEXT;
  END
  $function$;

  REVOKE ALL ON FUNCTION prune_patterns(interval, integer, numeric, interval, boolean, timestamptz, integer) FROM PUBLIC;
  COMMENT ON FUNCTION prune_patterns(interval, integer, numeric, interval, boolean, timestamptz, integer) IS
    'Deletes usage logs older than 180 days and patterns of little value; with dry_run only counts them';
  PERFORM set_config('search_path', path_before, true);
END
$create$;
