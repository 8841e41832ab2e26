-- 002: which agent was chosen for a trace, how surely, and what else was considered.

-- In a DO block because the type "vector" is written with the schema its extension lives in, which need not
-- be on search_path; a SET of search_path would outlive this file, or act only inside a transaction.
DO $table$
DECLARE
  vector_type text := (SELECT extnamespace::regnamespace || '.vector' FROM pg_extension WHERE extname = 'vector');
BEGIN
  EXECUTE replace($ddl$
    CREATE TABLE IF NOT EXISTS agent_routing_decisions (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      trace_id uuid NOT NULL REFERENCES execution_traces (id) ON DELETE CASCADE,

      query_text text,
      query_embedding @vector@(1536),

      agent_selected text NOT NULL CHECK (char_length(agent_selected) <= 512),
      confidence_score numeric(5,4) NOT NULL CHECK (confidence_score BETWEEN 0 AND 1),
      confidence_breakdown jsonb,             -- trigger, context, capability, historical
      routing_strategy text NOT NULL,         -- explicit, fuzzy_match, learned_pattern, …
      selection_reason text,
      alternatives jsonb,
      cache_hit boolean NOT NULL DEFAULT false,
      pattern_id uuid,                        -- no foreign key: a pruned pattern leaves the decision as it was
      decision_duration_ms bigint,
      actual_success boolean                  -- what came of it, when it is known
    )
  $ddl$, '@vector@', vector_type);
END
$table$;

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.agent_routing_decisions', current_schema())::regclass
                   AND tgname = 'agent_routing_decisions_derived_columns') THEN
    PERFORM updated_at FROM agent_routing_decisions LIMIT 0;
    CREATE TRIGGER agent_routing_decisions_derived_columns BEFORE UPDATE ON agent_routing_decisions
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns();
    COMMENT ON TABLE agent_routing_decisions IS
      'One row a routing decision: the agent chosen for a trace, with confidence and alternatives';
  END IF;
END
$trigger$;
