// Records src/deploy/manifest.json from a database: `npm run schema:manifest -- URL`. The database
// must be empty and its role a superuser; Supabase's three roles are created where they are missing,
// because the policies belong to the schema.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { format } from 'prettier';
import { readCatalogue, manifestOf } from '../src/deploy/catalogue.js';
import { createSupabaseRoles } from '../src/deploy/prerequisites.js';
import { schemaFiles } from '../src/deploy/schema-files.js';

const [connectionString] = process.argv.slice(2);
if (!connectionString) throw new Error('usage: npm run schema:manifest -- URL');

const client = new pg.Client({ connectionString });
await client.connect();
try {
  const transaction = {
    query: <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) =>
      client.query<Row>(text, values.length > 0 ? [...values] : undefined),
  };
  await client.query('BEGIN');
  await createSupabaseRoles(transaction);
  for (const { sql } of schemaFiles) await client.query(sql);
  const { rows } = await client.query<{ schema: string }>('SELECT current_schema() AS schema');
  const catalogue = await readCatalogue(transaction, rows[0]?.schema ?? 'public');
  await client.query('ROLLBACK');
  const file = join(import.meta.dirname, '../src/deploy/manifest.json');
  const text = JSON.stringify(manifestOf(catalogue), null, 2);
  writeFileSync(file, await format(text, { parser: 'json', printWidth: 100 }));
} finally {
  await client.end();
}
