# Use environment variables from .env
${TRACEABILITY_DB_URL_EXTERNAL}  # From host
${TRACEABILITY_DB_URL}           # From Docker
