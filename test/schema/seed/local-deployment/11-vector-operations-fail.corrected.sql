-- Where the extension is, and in which version
SELECT extversion, extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'vector';

-- Update it in place, then rebuild what depends on it
ALTER EXTENSION vector UPDATE;
REINDEX INDEX idx_pattern_embedding;
REINDEX INDEX idx_routing_embedding;
