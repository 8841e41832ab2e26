-- 006: what the recorder of agents' events keeps beside the traces: sessions, and how far files were read.
-- Texts of prompts and tools are not here; both tables are small.

CREATE TABLE IF NOT EXISTS trace_console.agent_sessions (
  target_schema name NOT NULL,
  session_id uuid NOT NULL,
  agent text NOT NULL,
  -- The program's own id, where that is no UUID the only place of it besides context.session.
  session text NOT NULL,
  project text,
  cwd text,
  git_branch text,
  model text,
  permission_mode text,
  version text,
  transcript_path text,
  started_at timestamptz,
  ended_at timestamptz,
  end_reason text,
  -- The last sign of life, and what it was: {kind, at, tool, message}.
  last_seen_at timestamptz NOT NULL,
  activity jsonb NOT NULL DEFAULT '{}',
  -- Events that could not be given a turn yet, and ends of turns that name none.
  unplaced jsonb NOT NULL DEFAULT '[]',
  PRIMARY KEY (target_schema, session_id)
);

CREATE INDEX IF NOT EXISTS agent_sessions_last_seen
  ON trace_console.agent_sessions (target_schema, last_seen_at DESC);

COMMENT ON TABLE trace_console.agent_sessions IS
  'One row a session of an agent''s program: where it runs, its last sign of life; written by import and collect';

CREATE TABLE IF NOT EXISTS trace_console.ingest_files (
  target_schema name NOT NULL,
  path text NOT NULL,
  -- Bytes that were read; they move in the transaction that writes their rows.
  read_bytes bigint NOT NULL,
  -- Tells a file that was replaced from one that has grown.
  fingerprint text NOT NULL,
  -- What the reader must know to go on in the middle of a session.
  state jsonb NOT NULL DEFAULT '{}',
  counts jsonb NOT NULL DEFAULT '{}',
  read_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (target_schema, path)
);

COMMENT ON TABLE trace_console.ingest_files IS
  'How far each transcript was read, so that reading goes on there; written by import and collect';
