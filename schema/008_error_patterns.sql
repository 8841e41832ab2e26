-- 008: errors that recur, with what resolved them.

CREATE TABLE IF NOT EXISTS error_patterns (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  fingerprint text NOT NULL UNIQUE CHECK (char_length(fingerprint) <= 512),
  error_type text NOT NULL CHECK (char_length(error_type) <= 512),
  error_category text CHECK (error_category IN ('network', 'validation', 'system', 'integration')),
  error_message_pattern text NOT NULL,
  severity text NOT NULL DEFAULT 'medium' CHECK (severity IN ('critical', 'high', 'medium', 'low')),
  agent_name text,
  hook_type text,
  endpoint_url text,

  occurrence_count integer NOT NULL DEFAULT 0 CHECK (occurrence_count >= 0),
  first_occurrence_at timestamptz NOT NULL DEFAULT now(),
  last_occurrence_at timestamptz NOT NULL DEFAULT now(),
  example_trace_ids uuid[] NOT NULL DEFAULT '{}',

  resolution_pattern text,
  resolution_success_rate numeric(5,4) CHECK (resolution_success_rate BETWEEN 0 AND 1),
  prevention_strategies text[] NOT NULL DEFAULT '{}',
  resolved_at timestamptz,                    -- NULL: open
  tags text[] NOT NULL DEFAULT '{}' CHECK (tags::varchar(512)[]::text[] = tags)
);

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.error_patterns', current_schema())::regclass
                   AND tgname = 'error_patterns_derived_columns') THEN
    PERFORM updated_at FROM error_patterns LIMIT 0;
    CREATE TRIGGER error_patterns_derived_columns BEFORE UPDATE ON error_patterns
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns();
    COMMENT ON TABLE error_patterns IS
      'One row a recurring error, by fingerprint, with its severity and what resolved it';
  END IF;
END
$trigger$;
