-- 005: what worked before: a prompt's intent with the agents, hooks and endpoints that served it.
-- No foreign key: a pattern outlives the traces it was learned from.

-- In a DO block for the schema of the type "vector", as in 002.
DO $table$
DECLARE
  vector_type text := (SELECT extnamespace::regnamespace || '.vector' FROM pg_extension WHERE extname = 'vector');
BEGIN
  EXECUTE replace($ddl$
    CREATE TABLE IF NOT EXISTS success_patterns (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),

      pattern_hash text NOT NULL UNIQUE CHECK (char_length(pattern_hash) <= 512),
      prompt_text text,
      prompt_embedding @vector@(1536),
      embedding_model text,
      intent_classification text NOT NULL CHECK (char_length(intent_classification) <= 512),
      keywords text[] NOT NULL DEFAULT '{}' CHECK (keywords::varchar(512)[]::text[] = keywords),

      agent_sequence text[] NOT NULL DEFAULT '{}'
        CHECK (agent_sequence::varchar(512)[]::text[] = agent_sequence),
      routing_strategy text,
      hook_sequence jsonb,
      endpoint_pattern jsonb,

      success_count integer NOT NULL DEFAULT 0 CHECK (success_count >= 0),
      failure_count integer NOT NULL DEFAULT 0 CHECK (failure_count >= 0),
      total_usage_count integer NOT NULL DEFAULT 0 CHECK (total_usage_count >= 0),
      success_rate numeric(5,4) GENERATED ALWAYS AS (
        LEAST(1, COALESCE(success_count::numeric / NULLIF(success_count::numeric + failure_count, 0), 0))
      ) STORED,
      confidence_score numeric(5,4) CHECK (confidence_score BETWEEN 0 AND 1),
      avg_duration_ms bigint,
      min_duration_ms bigint,
      max_duration_ms bigint,

      is_active boolean NOT NULL DEFAULT true,
      source_correlation_id uuid,             -- the trace it was learned from
      context jsonb NOT NULL DEFAULT '{}',
      tags text[] NOT NULL DEFAULT '{}' CHECK (tags::varchar(512)[]::text[] = tags),
      last_used_at timestamptz
    )
  $ddl$, '@vector@', vector_type);
END
$table$;

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.success_patterns', current_schema())::regclass
                   AND tgname = 'success_patterns_derived_columns') THEN
    PERFORM updated_at FROM success_patterns LIMIT 0;
    CREATE TRIGGER success_patterns_derived_columns BEFORE UPDATE ON success_patterns
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns();
    COMMENT ON TABLE success_patterns IS
      'One row a learned pattern: an intent with the agents, hooks and endpoints that served it, and how well';
  END IF;
END
$trigger$;
