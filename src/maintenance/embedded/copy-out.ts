import { counted } from '../../core/format/number.js';
import type { Database } from '../../db/database.js';
import { quoteIdent, quoteLiteral } from '../../db/quote.js';
import { bundleSchema } from '../../deploy/schema-files.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import { archivedTables, archiveOf, coreTables } from '../../core/tables.js';
import { linesOf, lineValues, type LineColumn } from '../archive/export-lines.js';

type TableCount = { table: string; rows: number };

type TableProgress = (table: string, done: number, total: number) => void;

/**
 * Writes the whole database as SQL that psql runs on an empty database of any supported server, or
 * on another embedded one: the schema, then every row, as one consistent state.
 * @param write takes pieces of text in order; awaited, so that a slow disk slows the reading.
 */
export async function exportDatabase(
  database: Database,
  write: (text: string) => Promise<void>,
  onProgress: TableProgress = () => undefined,
): Promise<TableCount[]> {
  const { schema } = database.capabilities;
  return database.transaction(
    { readOnly: true, isolation: 'REPEATABLE READ', statementTimeoutMs: 0 },
    async (tx) => {
      await write(bundleSchema());
      await write('\n-- Rows\n\nBEGIN;\n');
      const counts: TableCount[] = [];
      for (const table of await existingTables(tx, schema)) {
        const columns = await writableColumns(tx, schema, table);
        const total = await countRows(tx, schema, table);
        let done = 0;
        for await (const { count, json } of readRows(tx, schema, table, columns)) {
          await write(`\n${insertRows(quoteIdent(table), columns, quoteLiteral(json))};\n`);
          done += count;
          onProgress(table, done, total);
        }
        counts.push({ table, rows: done });
      }
      await write('\nCOMMIT;\n');
      return counts;
    },
  );
}

/**
 * Copies every row of one database into the empty tables of another, whose schema is there, and
 * compares the counts. All or nothing: the target commits only when every count is equal. The
 * source is read as one state; on the embedded database other clients wait meanwhile.
 *
 * @throws ConsoleError `busy` when the target has rows already, `internal` when counts differ
 */
export async function copyRows(
  source: Database,
  target: Database,
  onProgress: TableProgress = () => undefined,
): Promise<TableCount[]> {
  return source.transaction(
    { readOnly: true, isolation: 'REPEATABLE READ', statementTimeoutMs: 0 },
    (from) =>
      target.transaction({ statementTimeoutMs: 0 }, async (to) => {
        const counts: TableCount[] = [];
        for (const table of await existingTables(from, source.capabilities.schema)) {
          const rows = await copyTable(from, source, to, target, table, onProgress);
          counts.push({ table, rows });
        }
        return counts;
      }),
  );
}

async function copyTable(
  from: Queryable,
  source: Database,
  to: Queryable,
  target: Database,
  table: string,
  onProgress: TableProgress,
): Promise<number> {
  const [fromSchema, toSchema] = [source.capabilities.schema, target.capabilities.schema];
  if ((await countRows(to, toSchema, table)) > 0) {
    throw new ConsoleError('busy', `The table ${table} of the target is not empty.`, {
      hint: 'Copy into a database without traces, or into a schema of its own: --schema NAME.',
    });
  }
  const total = await countRows(from, fromSchema, table);
  const columns = await writableColumns(from, fromSchema, table);
  const insert = insertRows(quoteIdent(toSchema, table), columns, '$1::json');
  let done = 0;
  for await (const { count, json } of readRows(from, fromSchema, table, columns)) {
    await to.query(insert, [json]);
    done += count;
    onProgress(table, done, total);
  }
  const arrived = await countRows(to, toSchema, table);
  if (arrived !== total || done !== total) {
    throw new ConsoleError(
      'internal',
      `${table}: ${counted(total, 'row')} here, ${arrived} there.`,
      {
        hint: 'Nothing was kept in the target.',
      },
    );
  }
  return total;
}

/** Rows fetched at a time: few enough that megabyte prompts fit into memory. */
const rowsAtATime = 200;

/** Every table with the user's data, parents before children. */
export const dataTables: readonly string[] = [...coreTables, ...archivedTables.map(archiveOf)];

/** The tables of the list that exist, in its order. */
async function existingTables(tx: Queryable, schema: string): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2)`,
    [schema, dataTables],
  );
  const present = new Set(rows.map(({ name }) => name));
  return dataTables.filter((name) => present.has(name));
}

/** Columns that can be written: not the generated ones. */
async function writableColumns(
  tx: Queryable,
  schema: string,
  table: string,
): Promise<LineColumn[]> {
  const { rows } = await tx.query<LineColumn>(
    `SELECT attname::text AS name, atttypid = 'jsonb'::regtype AS json FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
     ORDER BY attnum`,
    [quoteIdent(schema, table)],
  );
  return rows;
}

async function countRows(tx: Queryable, schema: string, table: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `SELECT count(*) AS count FROM ${quoteIdent(schema, table)}`,
  );
  return rows[0]?.count ?? 0;
}

/** Rows as the text of a JSON array of lines, as PostgreSQL writes them: no value passes through JavaScript. */
export type RowBatch = { count: number; json: string };

/** Reads a table in batches, within the caller's transaction. */
async function* readRows(
  tx: Queryable,
  schema: string,
  table: string,
  columns: readonly LineColumn[],
): AsyncGenerator<RowBatch> {
  const lines = linesOf(table, columns, quoteIdent(schema, table));
  await tx.query(`DECLARE moving NO SCROLL CURSOR FOR ${lines}`);
  for (;;) {
    const { rows } = await tx.query<{ line: string }>(`FETCH ${rowsAtATime} FROM moving`);
    if (rows.length === 0) break;
    yield { count: rows.length, json: `[${rows.map(({ line }) => line).join(',\n')}]` };
  }
  await tx.query('CLOSE moving');
}

/** An INSERT of a JSON array of lines; `source` is an SQL expression of type json. */
function insertRows(target: string, columns: readonly LineColumn[], source: string): string {
  const list = columns.map(({ name }) => quoteIdent(name)).join(', ');
  return `INSERT INTO ${target} (${list})\nSELECT ${lineValues(columns)}
FROM json_array_elements(${source}) AS line, json_populate_record(NULL::${target}, line->'row') AS r`;
}
