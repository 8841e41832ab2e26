-- 003: every hook that ran for a trace, before and after tools and prompts.

CREATE TABLE IF NOT EXISTS hook_executions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  trace_id uuid NOT NULL REFERENCES execution_traces (id) ON DELETE CASCADE,

  hook_type text NOT NULL CHECK (char_length(hook_type) <= 512),  -- PreToolUse, PostToolUse, …
  hook_name text NOT NULL CHECK (char_length(hook_name) <= 512),
  execution_order integer NOT NULL DEFAULT 0,
  tool_name text CHECK (char_length(tool_name) <= 512),
  tool_use_id text CHECK (char_length(tool_use_id) <= 512),
  agent_id text,
  file_path text,

  status text NOT NULL DEFAULT 'in_progress'
    CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled', 'timeout')),
  success boolean,
  started_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  duration_ms bigint,
  exit_code integer,
  decision text,                              -- what the hook answered: allow, deny, ask, block, …

  input_data jsonb,
  output_data jsonb,
  modifications_made jsonb,
  rag_query_performed boolean NOT NULL DEFAULT false,
  rag_results jsonb,
  quality_check_performed boolean NOT NULL DEFAULT false,
  quality_results jsonb,
  error_type text,
  error_message text,
  error_stack text,
  metadata jsonb NOT NULL DEFAULT '{}',

  -- idx_hook_executions_window holds both names in one entry, and an entry ends at 2,704 bytes: two names
  -- of 512 characters still fit with 2.5 bytes a character, and no row gets as far as the index refusing it.
  CONSTRAINT hook_executions_names_check
    CHECK (octet_length(hook_name) + octet_length(tool_name) <= 2560)
);

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.hook_executions', current_schema())::regclass
                   AND tgname = 'hook_executions_derived_columns') THEN
    PERFORM updated_at, started_at, completed_at, duration_ms, success, status FROM hook_executions LIMIT 0;
    CREATE TRIGGER hook_executions_derived_columns BEFORE INSERT OR UPDATE ON hook_executions
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns('status');
    COMMENT ON TABLE hook_executions IS
      'One row a hook that ran for a trace, with its tool, its answer and its duration';
  END IF;
END
$trigger$;
