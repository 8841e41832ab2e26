-- Rebuild vector indexes with more lists
DROP INDEX idx_pattern_embedding;
CREATE INDEX idx_pattern_embedding ON success_patterns
USING ivfflat (prompt_embedding vector_cosine_ops) WITH (lists = 200);
