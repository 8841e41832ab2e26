-- Check tables exist
SELECT table_name FROM information_schema.tables
WHERE table_schema = 'public'
AND table_name LIKE '%trace%' OR table_name LIKE '%pattern%';

-- Check indexes
SELECT indexname FROM pg_indexes
WHERE schemaname = 'public'
AND indexname LIKE 'idx_%';

-- Check views
SELECT table_name FROM information_schema.views
WHERE table_schema = 'public';

-- Check functions
SELECT routine_name FROM information_schema.routines
WHERE routine_schema = 'public';

-- Test vector extension
SELECT * FROM pg_extension WHERE extname = 'vector';
