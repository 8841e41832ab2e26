-- 004: the HTTP calls made for a trace, by a hook or by an agent itself.

CREATE TABLE IF NOT EXISTS endpoint_calls (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  trace_id uuid NOT NULL REFERENCES execution_traces (id) ON DELETE CASCADE,
  hook_execution_id uuid REFERENCES hook_executions (id) ON DELETE SET NULL,

  service_name text NOT NULL CHECK (char_length(service_name) <= 512),
  endpoint_url text NOT NULL,                 -- unbounded; indexed by its first 256 characters
  http_method text NOT NULL,
  status_code integer,                        -- NULL: no answer (yet)
  headers jsonb,
  request_body jsonb,
  response_body jsonb,
  request_bytes bigint,
  response_bytes bigint,

  started_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  duration_ms bigint,
  success boolean,
  error_type text,
  error_message text,
  retry_count integer NOT NULL DEFAULT 0,
  context jsonb NOT NULL DEFAULT '{}'
);

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.endpoint_calls', current_schema())::regclass
                   AND tgname = 'endpoint_calls_derived_columns') THEN
    PERFORM updated_at, started_at, completed_at, duration_ms, success, status_code, error_type FROM endpoint_calls LIMIT 0;
    CREATE TRIGGER endpoint_calls_derived_columns BEFORE INSERT OR UPDATE ON endpoint_calls
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns('status_code');
    COMMENT ON TABLE endpoint_calls IS
      'One row an HTTP call made for a trace, with its status code, sizes and duration';
  END IF;
END
$trigger$;
