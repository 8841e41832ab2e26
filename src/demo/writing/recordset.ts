import type { Queryable } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { columns, type ColumnType, type DemoTables } from './columns.js';

/** Rows and JSON bytes of one statement at most; the embedded database takes messages of 2 MB well. */
const mostRows = 1_000;
const mostCharacters = 1_000_000;

/** Rows of one table as the source of a statement: one parameter, however many rows. */
export type Recordset = {
  /** `jsonb_to_recordset($1) AS r(…)` */
  source: string;
  /** `id, trace_id, …` */
  names: string;
  /** `r.c0, r.c1, …`, in the order of `names` */
  values: string;
  /** `column = r.cN` for each of these. */
  assignments: (of: readonly string[]) => string;
  /** `r.cN` of one column. */
  value: (column: string) => string;
};

/**
 * The columns go by short keys (`c0`, `c1`, …): with their names, keys would be two thirds of the
 * text of a row.
 */
export function recordset(table: keyof DemoTables): Recordset {
  const entries = Object.entries(columns[table]);
  const keys = new Map(entries.map(([name], index) => [name, `c${index}`]));
  const value = (column: string) => `r.${keys.get(column) ?? 'unknown'}`;
  return {
    source: `jsonb_to_recordset($1) AS r(${entries.map(([, type], index) => `c${index} ${type}`).join(', ')})`,
    names: entries.map(([name]) => quoteIdent(name)).join(', '),
    values: entries.map(([name]) => value(name)).join(', '),
    assignments: (of) => of.map((name) => `${quoteIdent(name)} = ${value(name)}`).join(', '),
    value,
  };
}

/** Runs `statement` once for every thousand rows or megabyte; gives the number of rows affected. */
export async function runInChunks<Table extends keyof DemoTables>(
  transaction: Queryable,
  statement: string,
  table: Table,
  rows: Iterable<DemoTables[Table]>,
): Promise<number> {
  let affected = 0;
  for (const json of chunks(table, rows)) {
    affected += (await transaction.query(statement, [json])).rowCount ?? 0;
  }
  return affected;
}

function* chunks<Table extends keyof DemoTables>(
  table: Table,
  rows: Iterable<DemoTables[Table]>,
): Generator<string> {
  const entries = Object.entries(columns[table]);
  let texts: string[] = [];
  let characters = 0;
  for (const row of rows) {
    const text = rowText(entries, row);
    if (
      texts.length >= mostRows ||
      (texts.length > 0 && characters + text.length > mostCharacters)
    ) {
      yield `[${texts.join(',')}]`;
      texts = [];
      characters = 0;
    }
    texts.push(text);
    characters += text.length;
  }
  if (texts.length > 0) yield `[${texts.join(',')}]`;
}

/** NULLs are left out: an absent key is NULL. */
function rowText(entries: readonly [string, ColumnType][], row: object): string {
  let text = '';
  let index = 0;
  for (const [name, type] of entries) {
    const value: unknown = row[name as keyof typeof row];
    if (value !== null) text += `${text === '' ? '' : ','}"c${index}":${valueText(type, value)}`;
    index += 1;
  }
  return `{${text}}`;
}

/** JSON.stringify where something may need escapes; a third of the time of calling it always. */
function valueText(type: ColumnType, value: unknown): string {
  switch (type) {
    case 'timestamptz':
      return `"${new Date(value as number).toISOString()}"`;
    case 'uuid':
    case 'vector':
      return `"${value as string}"`;
    case 'bigint':
    case 'integer':
    case 'numeric':
    case 'boolean':
      return String(value);
    default:
      return JSON.stringify(value);
  }
}
