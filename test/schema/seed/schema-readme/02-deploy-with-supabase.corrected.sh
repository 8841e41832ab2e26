# Log in and link the project; the CLI is run by npx, since npm cannot install it globally
npx supabase login
npx supabase init
npx supabase link --project-ref YOUR_PROJECT_REF

# Deploy the schema as a migration
mkdir -p supabase/migrations
trace-console schema bundle > "supabase/migrations/$(date -u +%Y%m%d%H%M%S)_traceability_schema.sql"
npx supabase db push
