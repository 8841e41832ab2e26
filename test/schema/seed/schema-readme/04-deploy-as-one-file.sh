# Create combined migration file
cat schema/*.sql > migrations/001_traceability_schema.sql

# Deploy
psql $DATABASE_URL -f migrations/001_traceability_schema.sql
