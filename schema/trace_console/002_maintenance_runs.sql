-- 002: the journal of maintenance, one row a run. lease_until is renewed while the console that runs it lives: a row
-- in state running whose lease has ended belongs to a console that crashed, and may be run again from its input.
-- Nothing here is secret: inputs are names and limits, and errors never hold a password.

CREATE TABLE IF NOT EXISTS trace_console.maintenance_runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target_schema name NOT NULL,
  action text NOT NULL,
  title text NOT NULL,
  subject text,
  input jsonb NOT NULL,
  exclusive_name text,
  state text NOT NULL DEFAULT 'running'
    CHECK (state IN ('running', 'done', 'cancelled', 'failed', 'crashed')),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  lease_until timestamptz NOT NULL,
  role name NOT NULL DEFAULT current_user,
  client_user text,
  client_host text,
  client_pid integer,
  client_address inet DEFAULT inet_client_addr(),
  application text NOT NULL,
  console_version text NOT NULL,
  backend_pid integer NOT NULL DEFAULT pg_backend_pid(),
  progress jsonb,
  result jsonb,
  summary text,
  error jsonb,
  resumes bigint REFERENCES trace_console.maintenance_runs (id) ON DELETE SET NULL
);

CREATE INDEX IF NOT EXISTS maintenance_runs_running ON trace_console.maintenance_runs (target_schema)
  WHERE state = 'running';

COMMENT ON TABLE trace_console.maintenance_runs IS
  'Every run of a maintenance action: who, from where, what, when, how far, with which result; written by trace-console';
