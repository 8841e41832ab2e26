-- Install pgvector
CREATE EXTENSION vector;

-- Verify installation
\dx vector
