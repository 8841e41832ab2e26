-- A deployment made by hand in the seed's older shape: no project, model, tokens or cost, integer
-- durations, other index names, its own trigger, no archive.
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";

CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;

CREATE TABLE execution_traces (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  correlation_id uuid NOT NULL UNIQUE,
  root_id uuid NOT NULL,
  parent_id uuid,
  session_id uuid NOT NULL,
  user_id varchar(255),
  source varchar(100) NOT NULL,
  prompt_text text,
  started_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  duration_ms integer,
  status varchar(50) NOT NULL DEFAULT 'in_progress',
  success boolean,
  error_message text,
  error_type varchar(255),
  context jsonb,
  tags text[],
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_execution_traces_correlation_id ON execution_traces (correlation_id);
CREATE INDEX traces_by_root ON execution_traces (root_id);
CREATE TRIGGER update_execution_traces_updated_at BEFORE UPDATE ON execution_traces
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE agent_routing_decisions (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  trace_id uuid NOT NULL REFERENCES execution_traces (id) ON DELETE CASCADE,
  query_text text,
  query_embedding vector(1536),
  agent_selected varchar(255) NOT NULL,
  confidence_score numeric(5,4) NOT NULL,
  confidence_breakdown jsonb,
  routing_strategy varchar(100) NOT NULL,
  alternatives jsonb,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE hook_executions (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  trace_id uuid NOT NULL REFERENCES execution_traces (id) ON DELETE CASCADE,
  hook_type varchar(50) NOT NULL,
  hook_name varchar(255) NOT NULL,
  execution_order integer NOT NULL DEFAULT 0,
  tool_name varchar(255),
  status varchar(50) NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  duration_ms integer,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE endpoint_calls (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  trace_id uuid NOT NULL REFERENCES execution_traces (id) ON DELETE CASCADE,
  hook_execution_id uuid REFERENCES hook_executions (id) ON DELETE SET NULL,
  service_name varchar(255) NOT NULL,
  endpoint_url text NOT NULL,
  http_method varchar(10) NOT NULL,
  status_code integer,
  started_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  duration_ms integer,
  success boolean,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE success_patterns (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  pattern_hash varchar(64) NOT NULL UNIQUE,
  prompt_text text,
  prompt_embedding vector(1536),
  intent_classification varchar(100) NOT NULL,
  keywords text[],
  agent_sequence text[],
  success_count integer NOT NULL DEFAULT 0,
  failure_count integer NOT NULL DEFAULT 0,
  total_usage_count integer NOT NULL DEFAULT 0,
  success_rate numeric(5,4) GENERATED ALWAYS AS (
    CASE WHEN success_count + failure_count = 0 THEN 0
         ELSE success_count::numeric / (success_count + failure_count) END) STORED,
  avg_duration_ms integer,
  confidence_score numeric(5,4),
  is_active boolean NOT NULL DEFAULT true,
  last_used_at timestamptz,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE INDEX success_patterns_embedding ON success_patterns
  USING ivfflat (prompt_embedding vector_cosine_ops) WITH (lists = 10);

CREATE TABLE pattern_usage_log (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  pattern_id uuid NOT NULL REFERENCES success_patterns (id) ON DELETE CASCADE,
  trace_id uuid REFERENCES execution_traces (id) ON DELETE SET NULL,
  used_at timestamptz NOT NULL DEFAULT now(),
  outcome varchar(50),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE agent_chaining_patterns (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  chain_hash varchar(64) NOT NULL UNIQUE,
  primary_agent varchar(255) NOT NULL,
  agent_sequence text[],
  occurrence_count integer NOT NULL DEFAULT 0,
  success_count integer NOT NULL DEFAULT 0,
  last_used_at timestamptz,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE error_patterns (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  error_type varchar(255) NOT NULL,
  error_message_pattern text NOT NULL,
  occurrence_count integer NOT NULL DEFAULT 0,
  last_occurrence_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE VIEW pattern_effectiveness AS
  SELECT id, pattern_hash, success_rate, total_usage_count FROM success_patterns;

INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, duration_ms)
SELECT c, c, gen_random_uuid(), 'user_prompt', 'completed', 5
FROM (SELECT gen_random_uuid() AS c FROM generate_series(1, 100)) AS g;
