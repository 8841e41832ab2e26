-- 013: the archive: what archive_traces moves out of the live tables.
--
-- Each archive has the columns of its live table, whatever those are, and archived_at. No foreign keys, triggers,
-- defaults or generated columns: a row is kept as it was. Three times as many indexes would double the time and the WAL of
-- archiving, so there are only those that the look-ups need: by trace, tree and time, and by id, which
-- also keeps a row from being archived twice.
--
-- An archive that was made by hand (CREATE TABLE … (LIKE execution_traces INCLUDING ALL)) is kept with its rows and
-- completed. Run again, this file finds everything in the catalogue and takes no lock.

DO $archive$
DECLARE
  target constant text := current_schema();
  live regclass;
  archive regclass;
  name text;
  missing record;
BEGIN
  FOREACH name IN ARRAY ARRAY['execution_traces', 'agent_routing_decisions', 'hook_executions', 'endpoint_calls'] LOOP
    live := format('%I.%I', target, name)::regclass;
    archive := to_regclass(format('%I.%I', target, name || '_archive'));
    IF archive IS NULL THEN
      EXECUTE format('CREATE TABLE %I.%I (LIKE %s, archived_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id))',
                     target, name || '_archive', live);
      archive := format('%I.%I', target, name || '_archive')::regclass;
      EXECUTE format('COMMENT ON TABLE %s IS %L', archive,
                     format('What archive_traces moved out of %s, with the time of the move', name));
      CONTINUE;
    END IF;

    -- The rows that are there get a constant default of the live column ('{}', false, 0); where that has none, or
    -- one that is a time or a new id, they stay NULL rather than be told something untrue.
    FOR missing IN
      SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type,
             CASE WHEN pg_get_expr(d.adbin, d.adrelid) NOT LIKE '%(%' THEN pg_get_expr(d.adbin, d.adrelid) END AS constant
      FROM pg_attribute a
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
      WHERE a.attrelid = live AND a.attnum > 0 AND NOT a.attisdropped
        AND NOT EXISTS (SELECT FROM pg_attribute b
                        WHERE b.attrelid = archive AND b.attname = a.attname AND NOT b.attisdropped)
      ORDER BY a.attnum
    LOOP
      EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s %s', archive, missing.attname, missing.type,
                     'DEFAULT ' || missing.constant);
      IF missing.constant IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', archive, missing.attname);
      END IF;
    END LOOP;

    -- When its rows were moved is not known: not after now.
    IF NOT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = archive AND attname = 'archived_at' AND NOT attisdropped) THEN
      EXECUTE format('ALTER TABLE %s ADD COLUMN archived_at timestamptz NOT NULL DEFAULT now()', archive);
    END IF;
    IF NOT EXISTS (
      SELECT FROM pg_index i
      WHERE i.indrelid = archive AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1
        AND i.indkey[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = archive AND attname = 'id' AND NOT attisdropped)
    ) THEN
      EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (id)', archive);
    END IF;
  END LOOP;
END
$archive$;

DO $indexes$
DECLARE
  target constant text := current_schema();
  name text; first_column text; question text;
BEGIN
  -- An index by the same first column serves as well: an archive made by hand has one under another name.
  FOR name, first_column, question IN VALUES
    ('execution_traces_archive',        'correlation_id', 'the archived tree that a trace belongs to; its usage logs, when it is restored'),
    ('execution_traces_archive',        'root_id',        'all archived traces of one tree: timeline, restore, purge'),
    ('execution_traces_archive',        'started_at',     'the archived trees by time, page by page; what is due for a purge'),
    ('agent_routing_decisions_archive', 'trace_id',       'the archived routing decisions of one trace'),
    ('hook_executions_archive',         'trace_id',       'the archived hooks of one trace'),
    ('endpoint_calls_archive',          'trace_id',       'the archived calls of one trace')
  LOOP
    CONTINUE WHEN EXISTS (
      SELECT FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_am am ON am.oid = c.relam AND am.amname = 'btree'
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = format('%I.%I', target, name)::regclass
        AND a.attname = first_column AND i.indpred IS NULL AND i.indisvalid);
    EXECUTE format('CREATE INDEX %I ON %I.%I (%I)', name || '_' || first_column || '_idx', target, name, first_column);
    EXECUTE format('COMMENT ON INDEX %I.%I IS %L', target, name || '_' || first_column || '_idx', question);
  END LOOP;
END
$indexes$;

-- Protected as the live tables are: see 012. Where these are not, or the roles are not there, nothing is changed.
DO $rls$
DECLARE
  target constant text := current_schema();
  own_trace constant text :=
    $$user_id = (SELECT nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')$$;
  of_readable_trace constant text :=
    'EXISTS (SELECT FROM %1$I.execution_traces_archive t WHERE t.id = %2$I.trace_id)';
  name text;
  readable text;
  relation regclass;
BEGIN
  IF (SELECT count(*) FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) < 3
     OR NOT (SELECT relrowsecurity FROM pg_class WHERE oid = format('%I.execution_traces', target)::regclass) THEN
    RETURN;
  END IF;

  FOR name, readable IN VALUES
    ('execution_traces_archive',        own_trace),
    ('agent_routing_decisions_archive', of_readable_trace),
    ('hook_executions_archive',         of_readable_trace),
    ('endpoint_calls_archive',          of_readable_trace)
  LOOP
    relation := format('%I.%I', target, name)::regclass;
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
END
$rls$;
