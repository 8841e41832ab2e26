# Use external port 5436 with env var
psql $TRACEABILITY_DB_URL_EXTERNAL
