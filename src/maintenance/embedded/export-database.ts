import type { Database } from '../../db/database.js';
import { quoteIdent, quoteLiteral } from '../../db/quote.js';
import { bundleSchema } from '../../deploy/bundle.js';
import { countRows, existingTables, insertRows, readRows, writableColumns } from './table-rows.js';

export type TableCount = { table: string; rows: number };

export type TableProgress = (table: string, done: number, total: number) => void;

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
