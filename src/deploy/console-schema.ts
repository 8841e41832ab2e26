import { consoleVersion } from '../core/version.js';
import { ConsoleError } from '../db/errors.js';
import type { Queryable } from '../db/queryable.js';
import type { SchemaFile } from './schema-files.js';

/** The console's own schema; its files are recorded in the ledger under this name. */
const consoleSchema = 'trace_console';

const insufficientPrivilege = '42501';

/** One file that was applied: history, not truth. What is missing is read from the catalogue. */
export type LedgerEntry = {
  file: string;
  checksum: string;
  applied_at: Date;
  applied_by: string;
  console_version: string;
};

/**
 * Brings the console's own schema up to date as far as the role may, and tells whether the role may write
 * the table of this name. False is no error: that role goes without.
 *
 * Runs in the caller's transaction, each file in a savepoint of its own; so a file is there whole or not at
 * all, and is undone with the caller. How to add a file: schema/trace_console/README.md.
 *
 * @throws ConsoleError the server's errors other than a missing privilege
 */
export async function openConsoleTable(transaction: Queryable, name: string): Promise<boolean> {
  await upgradeConsoleSchema(transaction);
  return hasPrivileges(transaction, name, ['SELECT', 'INSERT', 'UPDATE']);
}

/** Whether a table of the console exists and may be read. Creates nothing. */
export function hasConsoleTable(transaction: Queryable, name: string): Promise<boolean> {
  return hasPrivileges(transaction, name, ['SELECT']);
}

/**
 * As {@link hasConsoleTable}, for what is shown: what may not be read is not shown as empty.
 *
 * @throws ConsoleError `privilege_missing` when it is there, and not for this role
 */
export async function findConsoleTable(transaction: Queryable, name: string): Promise<boolean> {
  if (await hasConsoleTable(transaction, name)) return true;
  const { rows } = await transaction.query<{ user: string }>(
    `SELECT current_user::text AS user FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relname = $1`,
    [name],
  );
  if (!rows[0]) return false;
  throw new ConsoleError(
    'privilege_missing',
    `The role "${rows[0].user}" may not read trace_console.${name}.`,
    { hint: 'Its owner can GRANT it; docs/deploy.md has roles that may.' },
  );
}

async function hasPrivileges(
  transaction: Queryable,
  name: string,
  privileges: readonly string[],
): Promise<boolean> {
  const { rows } = await transaction.query<{ allowed: boolean }>(
    `SELECT COALESCE(has_schema_privilege(n.oid, 'USAGE') AND (
       SELECT bool_and(has_table_privilege(c.oid, privilege)) FROM unnest($2::text[]) AS privilege), false
     ) AS allowed
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relname = $1`,
    [name, privileges],
  );
  return rows[0]?.allowed ?? false;
}

async function upgradeConsoleSchema(transaction: Queryable): Promise<void> {
  if ((await missingFiles(transaction)).length === 0) return;
  const { rows } = await transaction.query<{ exists: boolean; creates: boolean }>(
    `SELECT n.oid IS NOT NULL AS exists,
       CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
       ELSE has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE') END AS creates
     FROM (SELECT) AS one LEFT JOIN pg_namespace AS n ON n.nspname = 'trace_console'`,
  );
  if (!rows[0]?.creates) return;
  await waitForTurn(transaction);
  if (!rows[0].exists) await createConsoleSchema(transaction);
  for (const file of await missingFiles(transaction)) {
    if (!(await runFile(transaction, file))) return;
  }
}

/** On a cluster that makes each new schema a team's: the console's own is nobody's, and stays where it is. */
async function createConsoleSchema(transaction: Queryable): Promise<void> {
  await transaction.query(
    `SELECT set_config('citus.enable_schema_based_sharding', 'off', true)
     FROM pg_extension WHERE extname = 'citus'`,
  );
  await transaction.query('CREATE SCHEMA IF NOT EXISTS trace_console');
}

/** Waits for another console that is making the files; longer than the caller would wait for a row. */
async function waitForTurn(transaction: Queryable): Promise<void> {
  const { rows } = await transaction.query<{ before: string }>(
    `SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', '30s', true)`,
  );
  await transaction.query(
    `SELECT pg_advisory_xact_lock(hashtextextended('trace_console.files', 0))`,
  );
  await transaction.query(`SELECT set_config('lock_timeout', $1, true)`, [rows[0]?.before ?? '0']);
}

/** False when the role may not: an ALTER needs the owner of the table. */
async function runFile(transaction: Queryable, file: SchemaFile): Promise<boolean> {
  await transaction.query('SAVEPOINT console_file');
  try {
    await transaction.query(file.sql);
    await recordFile(transaction, consoleSchema, file);
  } catch (error) {
    if (!(error instanceof ConsoleError) || error.sqlState !== insufficientPrivilege) throw error;
    await transaction.query('ROLLBACK TO SAVEPOINT console_file');
    return false;
  }
  await transaction.query('RELEASE SAVEPOINT console_file');
  return true;
}

/** Also files that were applied, and of which a table has gone since: each may run again. */
async function missingFiles(transaction: Queryable): Promise<SchemaFile[]> {
  const recorded = new Set((await readLedger(transaction, consoleSchema)).map(({ file }) => file));
  const { consoleFiles } = await import('./schema-files.js');
  const there = await consoleTables(transaction);
  return consoleFiles.filter(
    ({ name, sql }) => !recorded.has(name) || tablesOf(sql).some((table) => !there.has(table)),
  );
}

/** The tables of the console that its files made here and that have gone since: `trace_console.telemetry_spans`. */
export async function lostConsoleTables(transaction: Queryable): Promise<string[]> {
  const there = await consoleTables(transaction);
  if (there.size === 0) return [];
  const recorded = new Set((await readLedger(transaction, consoleSchema)).map(({ file }) => file));
  const { consoleFiles } = await import('./schema-files.js');
  return consoleFiles
    .filter(({ name }, index) => index === 0 || recorded.has(name))
    .flatMap(({ sql }) => tablesOf(sql))
    .filter((table) => !there.has(table))
    .map((table) => `${consoleSchema}.${table}`);
}

const tablesOf = (sql: string): string[] =>
  [...sql.matchAll(/CREATE TABLE IF NOT EXISTS trace_console\.(\w+)/g)].map(
    ([, name = '']) => name,
  );

/** Whoever may read them. The tables in which the embedded database keeps its counters are not of these files. */
async function consoleTables(transaction: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await transaction.query<{ name: string }>(
    `SELECT c.relname::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relkind IN ('r', 'p') AND c.relname NOT LIKE 'kept\\_%'`,
  );
  return new Set(rows.map(({ name }) => name));
}

/**
 * Opens the ledger: one for all target schemas of a database, so its rows carry the schema's name. A role
 * that may not write it goes without (false).
 */
export function openLedger(transaction: Queryable): Promise<boolean> {
  return openConsoleTable(transaction, 'schema_files');
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

/** The files applied to a schema, in their order; none without a ledger that the role may read. */
export async function readLedger(transaction: Queryable, schema: string): Promise<LedgerEntry[]> {
  if (!(await hasConsoleTable(transaction, 'schema_files'))) return [];
  const { rows } = await transaction.query<LedgerEntry>(
    `SELECT file, checksum, applied_at, applied_by::text, console_version
     FROM trace_console.schema_files WHERE target_schema = $1 ORDER BY file`,
    [schema],
  );
  return rows;
}

/** Forgets what was applied to a schema, so that the next apply starts anew. */
export async function clearLedger(transaction: Queryable, schema: string): Promise<void> {
  if (!(await hasConsoleTable(transaction, 'schema_files'))) return;
  await transaction.query('DELETE FROM trace_console.schema_files WHERE target_schema = $1', [
    schema,
  ]);
}
