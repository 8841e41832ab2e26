import type { Queryable } from '../db/database.js';
import { consoleVersion } from '../shared/version.js';
import type { SchemaFile } from './schema-files.js';

/** One file that was applied: history, not truth. What is missing is read from the catalogue. */
export type LedgerEntry = {
  file: string;
  checksum: string;
  applied_at: Date;
  applied_by: string;
  console_version: string;
};

/**
 * Creates the ledger where it is missing: one for all target schemas of a database, so its rows carry
 * the schema's name. It is history only: false for a role that may not write it, or not create it
 * beside what another role has in the console's schema. That role goes without.
 */
export async function openLedger(transaction: Queryable): Promise<boolean> {
  const { rows } = await transaction.query<{ exists: boolean; allowed: boolean }>(
    `SELECT c.oid IS NOT NULL AS exists,
       CASE
         WHEN c.oid IS NOT NULL THEN has_schema_privilege(n.oid, 'USAGE') AND (
           SELECT bool_and(has_table_privilege(c.oid, privilege))
           FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS privilege)
         WHEN n.oid IS NOT NULL THEN has_schema_privilege(n.oid, 'USAGE')
                                     AND has_schema_privilege(n.oid, 'CREATE')
         ELSE has_database_privilege(current_database(), 'CREATE')
       END AS allowed
     FROM (SELECT) AS one
     LEFT JOIN pg_namespace AS n ON n.nspname = 'trace_console'
     LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = 'schema_files'`,
  );
  const [ledger] = rows;
  if (!ledger?.allowed) return false;
  if (!ledger.exists) await createLedger(transaction);
  return true;
}

async function createLedger(transaction: Queryable): Promise<void> {
  const { rows } = await transaction.query(
    "SELECT FROM pg_namespace WHERE nspname = 'trace_console'",
  );
  // IF NOT EXISTS would ask for the right to create schemas all the same.
  if (rows.length === 0) await transaction.query('CREATE SCHEMA trace_console');
  await transaction.query(`
    CREATE TABLE trace_console.schema_files (
      target_schema name NOT NULL,
      file text NOT NULL,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now(),
      applied_by name NOT NULL DEFAULT current_user,
      console_version text NOT NULL,
      PRIMARY KEY (target_schema, file)
    );
    COMMENT ON TABLE trace_console.schema_files IS
      'Which schema file was applied to which schema, when and by whom; written by trace-console'`);
}

export async function recordFile(
  transaction: Queryable,
  schema: string,
  file: SchemaFile,
): Promise<void> {
  await transaction.query(
    `INSERT INTO trace_console.schema_files (target_schema, file, checksum, console_version)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (target_schema, file) DO UPDATE
     SET checksum = excluded.checksum, console_version = excluded.console_version,
         applied_at = now(), applied_by = current_user
     WHERE schema_files.checksum <> excluded.checksum`,
    [schema, file.name, file.checksum, consoleVersion()],
  );
}

/** Whether the ledger exists and may be read. */
export async function hasLedger(transaction: Queryable): Promise<boolean> {
  const { rows } = await transaction.query<{ readable: boolean }>(
    `SELECT COALESCE(
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false
     ) AS readable
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relname = 'schema_files'`,
  );
  return rows[0]?.readable ?? false;
}

/** The files applied to a schema, in their order; none without a ledger. */
export async function readLedger(transaction: Queryable, schema: string): Promise<LedgerEntry[]> {
  if (!(await hasLedger(transaction))) return [];
  const { rows } = await transaction.query<LedgerEntry>(
    `SELECT file, checksum, applied_at, applied_by::text, console_version
     FROM trace_console.schema_files WHERE target_schema = $1 ORDER BY file`,
    [schema],
  );
  return rows;
}

/** Forgets what was applied to a schema, so that the next apply starts anew. */
export async function clearLedger(transaction: Queryable, schema: string): Promise<void> {
  if (!(await hasLedger(transaction))) return;
  await transaction.query('DELETE FROM trace_console.schema_files WHERE target_schema = $1', [
    schema,
  ]);
}
