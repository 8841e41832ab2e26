-- 010: learned patterns that a person merged into another one. Turns of the former are counted for the latter from then on.
CREATE TABLE IF NOT EXISTS trace_console.merged_patterns (
  target_schema name NOT NULL,
  pattern_key text NOT NULL,                  -- pattern_hash of the one that is gone
  into_key text NOT NULL,                     -- pattern_hash of the one that is kept
  merged_at timestamptz NOT NULL DEFAULT now(),
  is_learned boolean NOT NULL DEFAULT false,  -- the learner has added up what it knew of both
  PRIMARY KEY (target_schema, pattern_key)
);
CREATE INDEX IF NOT EXISTS merged_patterns_unlearned
  ON trace_console.merged_patterns (target_schema, pattern_key) WHERE NOT is_learned;
COMMENT ON TABLE trace_console.merged_patterns IS
  'Learned patterns that were merged into another one; written by "trace-console learn merge"';
