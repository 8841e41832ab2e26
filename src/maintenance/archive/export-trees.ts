import type { Database, Queryable } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../shared/tables.js';
import type { Progress } from '../action.js';
import { columnsByTable, traceKey, type ColumnsByTable } from './archive-columns.js';
import { ExportWriter } from './export-file.js';
import { linesOf, lineSettings, LineSum, sumOf, type ExportEnd } from './export-lines.js';
import { nextTrees, type ChosenTrees, type TreeCursor } from './trees.js';

const mostTrees = 100;
/** Few enough that megabyte prompts fit into memory. */
const rowsAtATime = 100;

/**
 * Writes trees to a file, batch by batch, each as one consistent state with the count and checksum that
 * the server itself gives for it. Nothing is changed. Undefined when cancelled: the file is gone then.
 */
export async function* exportTrees(
  database: Database,
  chosen: ChosenTrees,
  file: string,
  total: number,
  signal: AbortSignal,
): AsyncGenerator<Progress, ExportEnd['end'] | undefined> {
  const columns = await columnsByTable(database);
  const names = Object.fromEntries(
    archivedTables.map((table) => [table, columns[table].map(({ name }) => name)]),
  ) as Record<ArchivedTable, string[]>;
  const writer = await ExportWriter.create(file, {
    traceConsoleArchive: 1,
    schema: database.capabilities.schema,
    exportedAt: new Date().toISOString(),
    columns: names,
  });
  try {
    let cursor: TreeCursor | undefined;
    let done = 0;
    do {
      yield { phase: 'exporting', done, total, unit: 'trees' };
      const after = cursor;
      const batch = await database.transaction(
        {
          readOnly: true,
          isolation: 'REPEATABLE READ',
          statementTimeoutMs: 60_000,
          settings: lineSettings,
        },
        async (tx) => {
          const trees = await nextTrees(tx, chosen, { after, columns, most: mostTrees });
          if (trees.roots.length > 0) await writeBatch(tx, writer, columns, trees.roots);
          return trees;
        },
      );
      done += batch.roots.length;
      cursor = batch.next;
    } while (cursor && !signal.aborted);
    if (!signal.aborted) return await writer.finish();
  } catch (error) {
    await writer.discard();
    throw error;
  }
  await writer.discard();
  return undefined;
}

async function writeBatch(
  tx: Queryable,
  writer: ExportWriter,
  columns: ColumnsByTable,
  roots: readonly string[],
): Promise<void> {
  const { rows } = await tx.query<{ ids: string[] }>(
    'SELECT array_agg(id::text) AS ids FROM execution_traces_archive WHERE root_id = ANY ($1::uuid[])',
    [roots],
  );
  const ids = rows[0]?.ids ?? [];
  const sum = new LineSum();
  for (const table of archivedTables) {
    const source = `${quoteIdent(archiveOf(table))} WHERE ${traceKey(table)} = ANY ($1::uuid[])`;
    const lines = linesOf(table, columns[table], source);
    const counted = await tx.query<{ rows: number; checksum: string }>(sumOf(lines), [ids]);
    const [{ rows: count, checksum } = { rows: 0, checksum: '0' }] = counted.rows;
    sum.addSum(count, checksum);
    await tx.query(`DECLARE exporting NO SCROLL CURSOR FOR ${lines}`, [ids]);
    for (;;) {
      const fetched = await tx.query<{ line: string }>(`FETCH ${rowsAtATime} FROM exporting`);
      if (fetched.rows.length === 0) break;
      await writer.rows(
        table,
        fetched.rows.map(({ line }) => line),
      );
    }
    await tx.query('CLOSE exporting');
  }
  await writer.endBatch({ rows: sum.rows, checksum: sum.checksum });
}
