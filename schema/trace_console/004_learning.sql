-- 004: what learning keeps for itself, so that it can be stopped at any moment and goes on where it was.
-- All of it is written by "trace-console learn"; what was learned is written to the tables of the traces' schema.

-- Who learns now: one at a time in a schema. The holder renews its lease every few seconds.
CREATE TABLE IF NOT EXISTS trace_console.learners (
  target_schema name PRIMARY KEY,
  holder uuid,
  process jsonb,                              -- pid, start and machine of the holder, to see that it is gone
  lease_until timestamptz NOT NULL DEFAULT '-infinity',
  embedding_model text,                       -- of the clusters below
  traces bigint NOT NULL DEFAULT 0,
  learned_at timestamptz
);
COMMENT ON TABLE trace_console.learners IS
  'One row a schema: who learns from its traces, until when, and with which embedding model';

-- One row a turn that was learned from: a turn is never counted twice. It says how the turn was judged.
CREATE TABLE IF NOT EXISTS trace_console.learned_traces (
  target_schema name NOT NULL,
  correlation_id uuid NOT NULL,               -- of the root
  session_id uuid NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  is_good boolean NOT NULL,
  judged_by text NOT NULL,                    -- completed, failed, interrupted, corrected, tests_failed, feedback, …
  pattern_key text,                           -- NULL: the prompt says too little
  chain_key text,
  is_logged boolean NOT NULL DEFAULT false,   -- the pattern's usage was logged by a router, and counted there
  open_errors text[] NOT NULL DEFAULT '{}',   -- fingerprints that the turn did not get over
  PRIMARY KEY (target_schema, correlation_id)
);
-- The turn before this one in its session.
CREATE INDEX IF NOT EXISTS learned_traces_session
  ON trace_console.learned_traces (target_schema, session_id, ended_at DESC);
COMMENT ON TABLE trace_console.learned_traces IS
  'One row a turn that was learned from, with how it was judged; written by "trace-console learn"';

-- What is known of a pattern, chain or error beyond the columns of its table: sums, and what occurs most.
CREATE TABLE IF NOT EXISTS trace_console.learned_items (
  target_schema name NOT NULL,
  kind text NOT NULL CHECK (kind IN ('pattern', 'chain', 'error')),
  key text NOT NULL,
  state jsonb NOT NULL,
  is_published boolean NOT NULL DEFAULT false, -- the row in the schema's table says the same
  PRIMARY KEY (target_schema, kind, key)
);
CREATE INDEX IF NOT EXISTS learned_items_unpublished
  ON trace_console.learned_items (target_schema, kind, key) WHERE NOT is_published;
COMMENT ON TABLE trace_console.learned_items IS
  'The state of each learned pattern, chain and error; written by "trace-console learn"';

-- Groups of prompts that ask for the same, each by its first prompt.
CREATE TABLE IF NOT EXISTS trace_console.prompt_clusters (
  target_schema name NOT NULL,
  cluster text NOT NULL,
  request text NOT NULL,                      -- the first prompt without its particulars
  model text NOT NULL,
  embedding bytea NOT NULL,                   -- 1536 little-endian float4
  members bigint NOT NULL DEFAULT 0,
  last_member bigint NOT NULL DEFAULT 0,      -- the number of the turn that joined last
  PRIMARY KEY (target_schema, cluster)
);
COMMENT ON TABLE trace_console.prompt_clusters IS
  'Groups of prompts that ask for the same; written by "trace-console learn"';

-- What people say of a turn. It overrules every other judgement.
CREATE TABLE IF NOT EXISTS trace_console.trace_feedback (
  target_schema name NOT NULL,
  correlation_id uuid NOT NULL,
  is_good boolean NOT NULL,
  note text CHECK (char_length(note) <= 4000),
  given_at timestamptz NOT NULL DEFAULT now(),
  given_by name NOT NULL DEFAULT current_user,
  is_learned boolean NOT NULL DEFAULT false,
  PRIMARY KEY (target_schema, correlation_id)
);
CREATE INDEX IF NOT EXISTS trace_feedback_unlearned
  ON trace_console.trace_feedback (target_schema) WHERE NOT is_learned;
COMMENT ON TABLE trace_console.trace_feedback IS
  'What people say of a turn, good or bad; written by "trace-console feedback"';

-- Similarities measured on this data, one row a model.
CREATE TABLE IF NOT EXISTS trace_console.embedding_thresholds (
  target_schema name NOT NULL,
  model text NOT NULL,
  threshold double precision NOT NULL CHECK (threshold > 0 AND threshold <= 1),
  measured jsonb NOT NULL DEFAULT '{}',
  calibrated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (target_schema, model)
);
COMMENT ON TABLE trace_console.embedding_thresholds IS
  'From which cosine similarity on two prompts ask for the same; written by "trace-console learn calibrate"';
