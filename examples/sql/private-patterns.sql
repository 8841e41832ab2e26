-- Learned patterns hold the prompts they were learned from, and 012_rls_policies.sql lets every signed-in user
-- read all of them. Run this once, as the owner of the tables, to let "authenticated" read only the patterns that
-- come from its own traces; service_role still reads and writes everything. Run again it changes nothing.
-- find_similar_patterns then finds, for a signed-in user, only these. "schema verify" knows the policy.
--
--   psql -v ON_ERROR_STOP=1 --single-transaction -f examples/sql/private-patterns.sql "$DATABASE_URL"

DO $private$
BEGIN
  IF EXISTS (SELECT FROM pg_policies WHERE schemaname = current_schema() AND tablename = 'success_patterns'
             AND policyname = 'success_patterns_authenticated' AND qual = 'true') THEN
    -- The policies of execution_traces apply inside: the trace must be one that the user may read.
    ALTER POLICY success_patterns_authenticated ON success_patterns USING (
      EXISTS (SELECT FROM execution_traces t WHERE t.correlation_id = success_patterns.source_correlation_id));
  END IF;
END
$private$;
