import type { Queryable } from '../../db/queryable.js';
import { quoteIdent } from '../../db/quote.js';
import { archivedTables, archiveOf, coreTables } from '../../shared/tables.js';
import { linesOf, lineValues, type LineColumn } from '../archive/export-lines.js';

/** Rows fetched at a time: few enough that megabyte prompts fit into memory. */
const rowsAtATime = 200;

/** Every table with the user's data, parents before children. */
export const dataTables: readonly string[] = [...coreTables, ...archivedTables.map(archiveOf)];

/** The tables of the list that exist, in its order. */
export async function existingTables(tx: Queryable, schema: string): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2)`,
    [schema, dataTables],
  );
  const present = new Set(rows.map(({ name }) => name));
  return dataTables.filter((name) => present.has(name));
}

/** Columns that can be written: not the generated ones. */
export async function writableColumns(
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

export async function countRows(tx: Queryable, schema: string, table: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(
    `SELECT count(*) AS count FROM ${quoteIdent(schema, table)}`,
  );
  return rows[0]?.count ?? 0;
}

/** Rows as the text of a JSON array of lines, as PostgreSQL writes them: no value passes through JavaScript. */
export type RowBatch = { count: number; json: string };

/** Reads a table in batches, within the caller's transaction. */
export async function* readRows(
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
export function insertRows(target: string, columns: readonly LineColumn[], source: string): string {
  const list = columns.map(({ name }) => quoteIdent(name)).join(', ');
  return `INSERT INTO ${target} (${list})\nSELECT ${lineValues(columns)}
FROM json_array_elements(${source}) AS line, json_populate_record(NULL::${target}, line->'row') AS r`;
}
