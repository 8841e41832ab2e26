import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import { quoteIdent } from '../../db/quote.js';
import type { TableCount, TableProgress } from './export-database.js';
import { countRows, existingTables, insertRows, readRows, writableColumns } from './table-rows.js';

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
    throw new ConsoleError('internal', `${table}: ${total} rows here, ${arrived} there.`, {
      hint: 'Nothing was kept in the target.',
    });
  }
  return total;
}
