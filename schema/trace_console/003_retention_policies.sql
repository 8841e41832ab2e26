-- 003: the retention policy of each schema. Ages are text, as they were given, and checked to be intervals: a stored
-- interval would be shown in the words of whoever reads it. The checks are there for writers other than the console.

CREATE TABLE IF NOT EXISTS trace_console.retention_policies (
  target_schema name PRIMARY KEY,
  archive_after text CHECK (archive_after::interval >= interval '1 hour'),
  purge_after text CHECK (purge_after::interval >= interval '1 hour'),
  prune_usage_after text CHECK (prune_usage_after::interval >= interval '1 hour'),
  prune_patterns_after text CHECK (prune_patterns_after::interval >= interval '1 hour'),
  window_from time,
  window_to time,
  time_zone text NOT NULL DEFAULT 'UTC',
  changed_at timestamptz NOT NULL DEFAULT now(),
  changed_by name NOT NULL DEFAULT current_user,
  CHECK ((window_from IS NULL) = (window_to IS NULL) AND window_from <> window_to)
);

COMMENT ON TABLE trace_console.retention_policies IS
  'How long what is kept, one row a schema; carried out by "trace-console maintain --once"';
