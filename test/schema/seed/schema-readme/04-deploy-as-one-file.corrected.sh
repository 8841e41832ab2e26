# Create combined migration file
mkdir -p migrations
cat schema/*.sql > migrations/001_traceability_schema.sql

# Deploy
psql -v ON_ERROR_STOP=1 -f migrations/001_traceability_schema.sql "$DATABASE_URL"
