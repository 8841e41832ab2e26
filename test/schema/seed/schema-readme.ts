import type { Block } from './blocks.js';

/** The blocks of the document that describes the schema, its deployment and its care. */
export const schemaReadme: readonly Block[] = [
  {
    file: 'schema-readme/01-extensions.sql',
    section: 'Prerequisites',
    runs: 'corrected',
    expectation: 'both extensions are there',
    slips: [
      {
        printed: 'CREATE EXTENSION IF NOT EXISTS "pgvector";',
        corrected: 'CREATE EXTENSION IF NOT EXISTS vector;',
        reason: 'pgvector is the name of the project, vector that of the extension',
      },
    ],
  },
  {
    file: 'schema-readme/02-deploy-with-supabase.sh',
    section: 'Deploy to Supabase',
    runs: 'corrected',
    expectation: "the migration deploys all objects as Supabase's roles and schemas are",
    slips: [
      {
        printed: 'npm install -g supabase',
        corrected: 'npx supabase login',
        reason: 'npm cannot install the CLI globally',
      },
      {
        printed: 'supabase db execute --file $file',
        corrected: 'npx supabase db push',
        reason: 'the CLI has no command "db execute"; it deploys migrations',
      },
    ],
  },
  {
    file: 'schema-readme/03-deploy-with-psql.sh',
    section: 'Deploy via psql',
    runs: 'as printed',
    expectation: 'the twelve files deploy 8 tables, 60 indexes, 5 views, 6 functions, 8 triggers',
    slips: [],
  },
  {
    file: 'schema-readme/04-deploy-as-one-file.sh',
    section: 'All-in-one deployment',
    runs: 'corrected',
    expectation: 'one file deploys what the files deploy one by one',
    slips: [
      {
        printed: 'cat schema/*.sql > migrations/001_traceability_schema.sql',
        corrected: 'mkdir -p migrations',
        reason: 'the folder migrations does not exist yet',
      },
    ],
  },
  {
    file: 'schema-readme/05-verification.sql',
    section: 'Verification',
    runs: 'corrected',
    expectation: 'only tables of the schema public are listed',
    slips: [
      {
        printed: "AND table_name LIKE '%trace%' OR table_name LIKE '%pattern%';",
        corrected: "AND (table_name LIKE '%trace%' OR table_name LIKE '%pattern%');",
        reason: 'AND binds stronger than OR, so tables of every schema are listed',
      },
    ],
  },
  {
    file: 'schema-readme/06-recommended-settings.sql',
    section: 'Recommended PostgreSQL Settings',
    runs: 'corrected',
    expectation: 'the settings hold, shared_buffers after a restart',
    slips: [
      {
        printed: "SET shared_buffers = '256MB';",
        corrected: "ALTER SYSTEM SET shared_buffers = '256MB';",
        reason: 'shared memory is allocated when the server starts',
      },
    ],
  },
  {
    file: 'schema-readme/07-index-maintenance.sql',
    section: 'Index Maintenance',
    runs: 'as printed',
    expectation: 'the tables are analyzed, the vector indexes rebuilt',
    slips: [],
  },
  {
    file: 'schema-readme/08-retention.sql',
    section: 'Recommended Retention Policies',
    runs: 'corrected',
    expectation:
      'every trace and child is in exactly one place; old logs and poor patterns are gone',
    slips: [
      {
        printed: 'CREATE TABLE execution_traces_archive (LIKE execution_traces INCLUDING ALL);',
        corrected: "SELECT * FROM archive_traces('90 days', 5000);",
        reason:
          '013_archive.sql has made that table; and the DELETE cascades to children that nothing keeps',
      },
    ],
  },
  {
    file: 'schema-readme/09-monitoring.sql',
    section: 'Monitoring Queries',
    runs: 'corrected',
    expectation: 'sizes, index use, recent activity and the best patterns are listed',
    slips: [
      {
        printed: 'schemaname, tablename, indexname, idx_scan,',
        corrected: 'schemaname, relname, indexrelname, idx_scan,',
        reason: 'pg_stat_user_indexes has other column names than pg_indexes',
      },
    ],
  },
  {
    file: 'schema-readme/10-pgvector-not-found.sql',
    section: 'pgvector extension not found',
    runs: 'corrected',
    expectation: 'the extension is there, made or found, and is listed',
    slips: [
      {
        printed: 'CREATE EXTENSION vector;',
        corrected: 'CREATE EXTENSION IF NOT EXISTS vector;',
        reason: 'it fails where the extension exists',
      },
      {
        printed: '\\dx vector',
        corrected: "SELECT extname, extversion FROM pg_extension WHERE extname = 'vector';",
        reason: 'a command of psql, which no SQL editor knows',
      },
    ],
  },
  {
    file: 'schema-readme/11-slow-vector-queries.sql',
    section: 'Slow vector queries',
    runs: 'corrected',
    expectation: 'the index has 200 lists and was never away',
    slips: [
      {
        printed: 'DROP INDEX idx_pattern_embedding;',
        corrected: 'ALTER INDEX idx_pattern_embedding SET (lists = 200);',
        reason: 'until the new index is built there is none, and if the build fails none is left',
      },
      {
        printed: 'WITH (lists = 200);',
        corrected: "SET maintenance_work_mem = '512MB';",
        reason: 'with 10,000 patterns such a build needs more than the default of 64 MB',
      },
    ],
  },
  {
    file: 'schema-readme/12-row-security.sql',
    section: 'RLS blocking queries',
    runs: 'as printed',
    expectation: 'the status of every table is listed, then the first one is off',
    slips: [],
  },
];
