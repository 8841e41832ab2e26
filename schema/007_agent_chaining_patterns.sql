-- 007: which agents work one after another, how often and how well.

CREATE TABLE IF NOT EXISTS agent_chaining_patterns (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  chain_hash text NOT NULL UNIQUE CHECK (char_length(chain_hash) <= 512),
  primary_agent text NOT NULL CHECK (char_length(primary_agent) <= 512),
  agent_sequence text[] NOT NULL DEFAULT '{}',
  delegation_depth integer NOT NULL DEFAULT 1,
  trigger_context text,

  occurrence_count integer NOT NULL DEFAULT 0 CHECK (occurrence_count >= 0),
  success_count integer NOT NULL DEFAULT 0 CHECK (success_count >= 0),
  success_rate numeric(5,4) GENERATED ALWAYS AS (
    LEAST(1, COALESCE(success_count::numeric / NULLIF(occurrence_count, 0), 0))
  ) STORED,
  avg_total_duration_ms bigint,
  avg_coordination_overhead_ms bigint,

  example_trace_ids uuid[] NOT NULL DEFAULT '{}',
  tags text[] NOT NULL DEFAULT '{}' CHECK (tags::varchar(512)[]::text[] = tags),
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz
);

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.agent_chaining_patterns', current_schema())::regclass
                   AND tgname = 'agent_chaining_patterns_derived_columns') THEN
    PERFORM updated_at FROM agent_chaining_patterns LIMIT 0;
    CREATE TRIGGER agent_chaining_patterns_derived_columns BEFORE UPDATE ON agent_chaining_patterns
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns();
    COMMENT ON TABLE agent_chaining_patterns IS
      'One row a sequence of agents that work one after another, with its success rate and overhead';
  END IF;
END
$trigger$;
