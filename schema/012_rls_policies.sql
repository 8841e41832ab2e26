-- 012: who may see what, where Supabase's roles exist: two policies a table, 16 in all, and explicit grants.
--
--   service_role    reads and writes everything
--   authenticated   reads the traces whose user_id is the "sub" of its JWT, what belongs to those traces, and all
--                   learned patterns; writes nothing
--   anon            nothing
--   the owner       is not filtered (no FORCE ROW LEVEL SECURITY)
--
-- Without the three roles this file changes nothing. With them it switches row-level security on, which stops
-- every writer that is neither the owner nor service_role: on a database that is in use, run it on purpose.
-- The first run takes a short ACCESS EXCLUSIVE lock on each table, so set lock_timeout on a busy one; a second
-- run finds everything in the catalogue and takes none.

DO $rls$
DECLARE
  -- In a sub-select the setting is read once a query, not once a row.
  own_trace constant text :=
    $$user_id = (SELECT nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')$$;
  -- Says nothing of users: the policies of execution_traces apply inside, so this follows whatever they allow.
  of_readable_trace constant text :=
    'EXISTS (SELECT FROM %1$I.execution_traces t WHERE t.id = %2$I.trace_id)';
  everybody constant text := 'true';

  target constant text := current_schema();
  missing text;
  name text;
  readable text;
  relation regclass;
  routine regprocedure;
  vector_schema name;
BEGIN
  SELECT string_agg(role, ', ') INTO missing
  FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS role
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role);
  IF missing IS NOT NULL THEN
    RAISE NOTICE 'row-level security is not set up: no role %', missing;
    RETURN;
  END IF;

  FOR name, readable IN VALUES
    ('execution_traces',        own_trace),
    ('agent_routing_decisions', of_readable_trace),
    ('hook_executions',         of_readable_trace),
    ('endpoint_calls',          of_readable_trace),
    ('success_patterns',        everybody),
    -- It holds users' feedback: not for everybody, as the patterns are. Uses of archived traces are hidden.
    ('pattern_usage_log',       of_readable_trace),
    ('agent_chaining_patterns', everybody),
    ('error_patterns',          everybody)
  LOOP
    relation := to_regclass(format('%I.%I', target, name));
    CONTINUE WHEN relation IS NULL;
    IF NOT EXISTS (SELECT FROM pg_policies WHERE schemaname = target AND tablename = name
                   AND policyname = name || '_service_role') THEN
      EXECUTE format('CREATE POLICY %I ON %s FOR ALL TO service_role USING (true) WITH CHECK (true)',
                     name || '_service_role', relation);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_policies WHERE schemaname = target AND tablename = name
                   AND policyname = name || '_authenticated') THEN
      EXECUTE format('CREATE POLICY %I ON %s FOR SELECT TO authenticated USING (%s)',
                     name || '_authenticated', relation, format(readable, target, name));
    END IF;
    IF NOT (SELECT relrowsecurity FROM pg_class WHERE oid = relation) THEN
      EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    END IF;
  END LOOP;

  -- Supabase's default privileges may have given all three roles everything, TRUNCATE included, which no policy
  -- filters: so rights are taken away as well as given.
  IF NOT (has_schema_privilege('authenticated', target, 'USAGE') AND has_schema_privilege('service_role', target, 'USAGE')) THEN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO authenticated, service_role', target);
  END IF;

  FOREACH name IN ARRAY ARRAY[
    'execution_traces', 'agent_routing_decisions', 'hook_executions', 'endpoint_calls',
    'success_patterns', 'pattern_usage_log', 'agent_chaining_patterns', 'error_patterns',
    'trace_summary', 'pattern_effectiveness', 'agent_performance', 'error_analysis', 'dashboard_summary']
  LOOP
    relation := to_regclass(format('%I.%I', target, name));
    CONTINUE WHEN relation IS NULL;
    IF has_table_privilege('anon', relation, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') THEN
      EXECUTE format('REVOKE ALL ON %s FROM anon', relation);
    END IF;
    IF has_table_privilege('authenticated', relation, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') THEN
      EXECUTE format('REVOKE ALL ON %s FROM authenticated', relation);
    END IF;
    IF NOT has_table_privilege('authenticated', relation, 'SELECT') THEN
      EXECUTE format('GRANT SELECT ON %s TO authenticated', relation);
    END IF;
    IF NOT (SELECT bool_and(has_table_privilege('service_role', relation, privilege))
            FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege) THEN
      EXECUTE format('GRANT ALL ON %s TO service_role', relation);
    END IF;
  END LOOP;

  -- The functions run with the caller's rights: those that only read are for authenticated, too.
  FOR routine, name IN
    SELECT p.oid, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = target
      AND p.proname IN ('find_similar_patterns', 'get_trace_timeline', 'record_pattern_usage', 'archive_traces',
                        'prune_patterns')
  LOOP
    IF has_function_privilege('anon', routine, 'EXECUTE') THEN
      EXECUTE format('REVOKE ALL ON FUNCTION %s FROM anon', routine);
    END IF;
    IF name IN ('find_similar_patterns', 'get_trace_timeline') THEN
      IF NOT has_function_privilege('authenticated', routine, 'EXECUTE') THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO authenticated', routine);
      END IF;
    ELSIF has_function_privilege('authenticated', routine, 'EXECUTE') THEN
      EXECUTE format('REVOKE ALL ON FUNCTION %s FROM authenticated', routine);
    END IF;
    IF NOT has_function_privilege('service_role', routine, 'EXECUTE') THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', routine);
    END IF;
  END LOOP;

  -- find_similar_patterns names vector's operators; a schema that a role may not use is not searched.
  SELECT n.nspname INTO vector_schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
  WHERE e.extname = 'vector';
  IF NOT (has_schema_privilege('authenticated', vector_schema, 'USAGE')
          AND has_schema_privilege('service_role', vector_schema, 'USAGE'))
     AND has_schema_privilege(vector_schema, 'USAGE WITH GRANT OPTION') THEN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO authenticated, service_role', vector_schema);
  END IF;
END
$rls$;
