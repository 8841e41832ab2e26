-- 006: each time a learned pattern was considered for a trace, and what came of it.

CREATE TABLE IF NOT EXISTS pattern_usage_log (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  pattern_id uuid NOT NULL REFERENCES success_patterns (id) ON DELETE CASCADE,
  trace_id uuid REFERENCES execution_traces (id) ON DELETE SET NULL,
  correlation_id uuid,                        -- the trace's; stays when the trace is archived

  used_at timestamptz NOT NULL DEFAULT now(),
  match_score numeric(5,4) CHECK (match_score BETWEEN 0 AND 1),
  was_used boolean NOT NULL DEFAULT true,     -- false: matched, but another way was taken
  outcome text CHECK (outcome IN ('success', 'failure', 'partial', 'skipped')),
  expected_duration_ms bigint,
  actual_duration_ms bigint,
  performance_variance double precision GENERATED ALWAYS AS (
    (actual_duration_ms::double precision - expected_duration_ms) / NULLIF(expected_duration_ms, 0)
  ) STORED,                                   -- 0.25: a quarter slower than expected
  deviations jsonb,
  user_feedback text
);

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.pattern_usage_log', current_schema())::regclass
                   AND tgname = 'pattern_usage_log_derived_columns') THEN
    PERFORM updated_at FROM pattern_usage_log LIMIT 0;
    CREATE TRIGGER pattern_usage_log_derived_columns BEFORE UPDATE ON pattern_usage_log
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns();
    COMMENT ON TABLE pattern_usage_log IS
      'One row each time a learned pattern was considered for a trace, with the outcome';
  END IF;
END
$trigger$;
