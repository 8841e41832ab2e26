# Install Supabase CLI
npm install -g supabase

# Login to Supabase
supabase login

# Link to your project
supabase link --project-ref YOUR_PROJECT_REF

# Deploy schema (in order)
for file in schema/*.sql; do
    supabase db execute --file $file
done
