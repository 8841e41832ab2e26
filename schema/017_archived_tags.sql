-- 017: archived traces are found by their tags, as live ones are.
-- makes an index: execution_traces_archive USING gin (tags)
--
-- A trace that came by OpenTelemetry has the trace id of its sender as a tag (otlp:ID). Without an index the whole archive
-- would be read for it. Traces without tags are not in it: archiving those costs what it did.
--
-- An archive that was made by hand as a copy of its table has such an index under another name, which serves as well. Run
-- again, this file finds it in the catalogue and takes no lock.

DO $indexes$
DECLARE
  target constant text := current_schema();
  archive regclass := to_regclass(format('%I.execution_traces_archive', target));
BEGIN
  IF archive IS NULL OR EXISTS (
    SELECT FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am am ON am.oid = c.relam AND am.amname = 'gin'
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = archive AND a.attname = 'tags' AND i.indisvalid
  ) THEN
    RETURN;
  END IF;
  EXECUTE format($$CREATE INDEX execution_traces_archive_tags_idx ON %s USING gin (tags) WHERE tags <> '{}'$$, archive);
  EXECUTE format('COMMENT ON INDEX %I.execution_traces_archive_tags_idx IS %L', target,
                 'the archived traces that carry given tags; the trace id of whoever sent them by OpenTelemetry');
END
$indexes$;
