import type { Queryable } from '../db/database.js';
import { consoleVersion } from '../shared/version.js';
import { hasConsoleTable, openConsoleTable, type ConsoleTable } from './console-table.js';
import type { SchemaFile } from './schema-files.js';

/** One file that was applied: history, not truth. What is missing is read from the catalogue. */
export type LedgerEntry = {
  file: string;
  checksum: string;
  applied_at: Date;
  applied_by: string;
  console_version: string;
};

const table: ConsoleTable = {
  name: 'schema_files',
  ddl: `
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
      'Which schema file was applied to which schema, when and by whom; written by trace-console'`,
};

/**
 * Creates the ledger where it is missing: one for all target schemas of a database, so its rows carry
 * the schema's name. It is history only: a role that may not write it goes without (false).
 */
export function openLedger(transaction: Queryable): Promise<boolean> {
  return openConsoleTable(transaction, table);
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
export function hasLedger(transaction: Queryable): Promise<boolean> {
  return hasConsoleTable(transaction, table.name);
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
