-- Rebuild the vector index with more lists
SET maintenance_work_mem = '512MB';
ALTER INDEX idx_pattern_embedding SET (lists = 200);
REINDEX INDEX CONCURRENTLY idx_pattern_embedding;
