-- 012: what only the metrics of an agent's program tell of a session: lines of code, commits, pull requests, active time. Senders
-- send a data point again when they got no answer, and in any order: each has a key, by which it is counted once, and of
-- two values of one key the larger one stays. Points of an hour are one row, since one row each would be more than all else
-- that a session stores. Nothing of a point but its value is kept; who and where it came from is in the hash of its key.

CREATE TABLE IF NOT EXISTS trace_console.agent_metrics (
  target_schema name NOT NULL,
  session_id uuid NOT NULL,
  -- lines_added, lines_removed, commits, pull_requests, active_user_s, active_cli_s, active_other_s.
  metric text NOT NULL,
  -- The hour of its points, modulo 64, so that rows are bounded however long a session lasts.
  slot smallint NOT NULL,
  -- The value of each by its key, 4,000 at most: those of the first keys, which are the same in any order of coming.
  points jsonb NOT NULL,
  PRIMARY KEY (target_schema, session_id, metric, slot)
);

COMMENT ON TABLE trace_console.agent_metrics IS
  'What only metrics tell of sessions of agents'' programs: lines of code, commits, active time; written by collect and import otlp';
