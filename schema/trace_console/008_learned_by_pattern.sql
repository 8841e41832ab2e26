-- 008: the turns of one pattern, newest first, for its page in the console.
CREATE INDEX IF NOT EXISTS learned_traces_pattern
  ON trace_console.learned_traces (target_schema, pattern_key, ended_at DESC) WHERE pattern_key IS NOT NULL;
