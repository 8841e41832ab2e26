-- Check RLS status
SELECT tablename, rowsecurity
FROM pg_tables
WHERE schemaname = 'public';

-- Temporarily disable RLS for debugging (don't do in production!)
ALTER TABLE execution_traces DISABLE ROW LEVEL SECURITY;
