-- 011: from which age on a materialized view is refreshed, as part of the policy of a schema. Minutes are allowed: a
-- refresh deletes nothing.

ALTER TABLE trace_console.retention_policies
  ADD COLUMN IF NOT EXISTS refresh_after text CHECK (refresh_after::interval >= interval '1 minute');
