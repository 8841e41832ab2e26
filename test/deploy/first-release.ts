import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { schemaFiles } from '../../src/deploy/schema-files.js';

/** What the first release had made of the traces' schema, and what came since. */
export const filesOfFirstRelease = schemaFiles.filter(({ name }) => name <= '013_archive.sql');
export const migrations = schemaFiles.filter(({ name }) => name > '013_archive.sql');

const consoleSchema = readFileSync(
  join(import.meta.dirname, 'console-schema-of-first-release.sql'),
  'utf8',
);

/** Makes a deployment of the first release in an empty database: its schema, its ledger, its journal and its policy. */
export async function deployFirstRelease(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    for (const { sql } of filesOfFirstRelease) await client.query(sql);
    await client.query(consoleSchema);
  } finally {
    await client.end();
  }
}
