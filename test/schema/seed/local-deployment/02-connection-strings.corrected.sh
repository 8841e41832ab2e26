# Use environment variables from .env
psql "$TRACEABILITY_DB_URL_EXTERNAL" -c 'SELECT 1' # From host
psql "$TRACEABILITY_DB_URL" -c 'SELECT 1'          # From Docker
