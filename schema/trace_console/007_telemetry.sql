-- 007: spans that came by OpenTelemetry, as long as more of their trace may come. Children are sent before their parents:
-- to which agent a span belongs is known when its trace is. Rows of traces that are quiet for an hour are removed.

CREATE TABLE IF NOT EXISTS trace_console.telemetry_spans (
  target_schema name NOT NULL,
  trace_id text NOT NULL,
  span_id text NOT NULL,
  span jsonb NOT NULL,
  -- As what it was written to the traces, and to whom it belongs there; NULL: it was not yet.
  recorded jsonb,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (target_schema, trace_id, span_id)
);

COMMENT ON TABLE trace_console.telemetry_spans IS
  'Spans of traces that more may come of; written by trace-console collect and import otlp';

-- Which traces have something new?
CREATE INDEX IF NOT EXISTS telemetry_spans_pending
  ON trace_console.telemetry_spans (target_schema, trace_id, received_at) WHERE recorded IS NULL;
