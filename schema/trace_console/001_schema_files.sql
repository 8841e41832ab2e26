-- 001: the ledger. History, not truth: what is missing in a schema is read from the catalogue. The console's own
-- files are recorded in it under the target schema trace_console.

CREATE TABLE IF NOT EXISTS trace_console.schema_files (
  target_schema name NOT NULL,
  file text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  applied_by name NOT NULL DEFAULT current_user,
  console_version text NOT NULL,
  PRIMARY KEY (target_schema, file)
);

COMMENT ON TABLE trace_console.schema_files IS
  'Which schema file was applied to which schema, when and by whom; written by trace-console';
