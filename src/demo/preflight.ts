import type { Database } from '../db/database.js';
import { quoteIdent } from '../db/quote.js';
import { ConsoleError } from '../db/errors.js';
import { coreTables } from '../core/tables.js';
import { columns } from './writing/recordset.js';

/**
 * Checks that the demo can write all its rows, and could take them away again.
 *
 * @throws ConsoleError that says what is missing.
 */
export async function checkWritable(database: Database): Promise<void> {
  checkChangeable(database);
  const missing = await missingColumns(database);
  if (missing.length > 0) {
    throw new ConsoleError(
      'schema_incompatible',
      `The demo needs columns that are missing: ${missing.join(', ')}.`,
      {
        hint: 'Use a database of its own for the demo, or the embedded one (no --url).',
      },
    );
  }
}

/**
 * Whether traffic of the demo harms nobody here: on the embedded database, and on one without a trace that is not marked as
 * production. Elsewhere nobody is told of it.
 *
 * @throws ConsoleError
 */
export async function offersDemo(database: Database): Promise<boolean> {
  const { capabilities, readOnly, production } = database;
  if (readOnly || capabilities.standby || production !== undefined) return false;
  if (capabilities.embedded) return true;
  if (!capabilities.tables.execution_traces) return false;
  return (await database.read('SELECT 1 FROM execution_traces LIMIT 1', [])).length === 0;
}

/** @throws ConsoleError when nothing may be changed here, or the tables are not there. */
export function checkChangeable(database: Database): void {
  const { capabilities } = database;
  if (database.readOnly || capabilities.readOnlyByDefault) {
    throw new ConsoleError('read_only', 'The demo writes, and this connection is read-only.');
  }
  if (capabilities.standby) {
    throw new ConsoleError('standby', 'This server is a standby: it takes no writes.', {
      hint: 'Connect to the primary.',
    });
  }
  const missing = coreTables.filter((table) => !capabilities.tables[table]);
  if (missing.length > 0) {
    throw new ConsoleError(
      'schema_missing',
      `Tables are missing in schema ${capabilities.schema}: ${missing.join(', ')}.`,
      {
        hint: 'Create them first: trace-console schema apply',
      },
    );
  }
  const filtered = coreTables.filter((table) => capabilities.tables[table]?.filtered);
  if (filtered.length > 0) {
    throw new ConsoleError(
      'row_security',
      `Row-level security filters ${filtered.join(', ')} for ${capabilities.user}.`,
      {
        hint: 'Connect as the owner of the tables or as service_role.',
      },
    );
  }
}

async function missingColumns(database: Database): Promise<string[]> {
  const found = await database.read<{ name: string }>(
    `SELECT c.relname || '.' || a.attname AS name
     FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
     WHERE c.relnamespace = $1::regnamespace AND c.relname = ANY ($2) AND a.attnum > 0 AND NOT a.attisdropped`,
    [quoteIdent(database.capabilities.schema), [...coreTables]],
  );
  const known = new Set(found.map(({ name }) => name));
  return Object.entries(columns)
    .flatMap(([table, ofTable]) => Object.keys(ofTable).map((column) => `${table}.${column}`))
    .filter((name) => !known.has(name));
}
