-- 005: what the collector of agents' events remembers. Its offsets move in the transaction that writes the events' rows, so
-- that an event of a spool is in the database once, whatever is killed in between. One row a segment that is still on disk.

CREATE TABLE IF NOT EXISTS trace_console.spool_offsets (
  target_schema name NOT NULL,
  spool uuid NOT NULL,
  segment text NOT NULL,
  read_bytes bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (target_schema, spool, segment)
);

COMMENT ON TABLE trace_console.spool_offsets IS
  'How far each segment of each spool of events was read; written by trace-console collect';

-- Tool calls of CLIs that give them no id, while their sessions last: which were paired so far.
CREATE TABLE IF NOT EXISTS trace_console.spool_pairs (
  target_schema name NOT NULL,
  spool uuid NOT NULL,
  pairs jsonb NOT NULL,
  PRIMARY KEY (target_schema, spool)
);

COMMENT ON TABLE trace_console.spool_pairs IS
  'Begun tool calls of agents that give them no id, by session; written by trace-console collect';

CREATE TABLE IF NOT EXISTS trace_console.spool_sources (
  target_schema name NOT NULL,
  spool uuid NOT NULL,
  cli text NOT NULL,
  host text,
  events bigint NOT NULL DEFAULT 0,
  unknown_events bigint NOT NULL DEFAULT 0,
  last_event_at timestamptz NOT NULL,
  PRIMARY KEY (target_schema, spool, cli)
);

COMMENT ON TABLE trace_console.spool_sources IS
  'The last event and the number of events of each agent CLI of each spool; written by trace-console collect';

-- Events that could not be written. They are redacted as all events are.
CREATE TABLE IF NOT EXISTS trace_console.quarantined_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target_schema name NOT NULL,
  spool uuid NOT NULL,
  record_id text NOT NULL,
  cli text NOT NULL,
  received_at timestamptz NOT NULL,
  error text NOT NULL,
  record text,
  quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (target_schema, spool, record_id)
);

COMMENT ON TABLE trace_console.quarantined_events IS
  'Events of agents that could not be written, with the reason; written by trace-console collect';
