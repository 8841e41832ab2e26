import type { Database } from '../db/database.js';
import { readCatalogue } from './catalogue.js';
import { compareWithManifest, type Comparison } from './compare.js';

/** Compares the deployed schema with the expected one. Reads catalogues only. */
export async function verifySchema(database: Database): Promise<Comparison> {
  const { schema, supabaseRoles } = database.capabilities;
  const catalogue = await database.transaction(
    { readOnly: true, isolation: 'REPEATABLE READ', lockTimeoutMs: 3_000 },
    (tx) => readCatalogue(tx, schema),
  );
  return compareWithManifest(catalogue, supabaseRoles);
}
