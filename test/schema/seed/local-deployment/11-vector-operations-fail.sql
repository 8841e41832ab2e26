-- Reinstall extension
DROP EXTENSION vector;
CREATE EXTENSION vector;
