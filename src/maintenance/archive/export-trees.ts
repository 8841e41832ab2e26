import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../core/tables.js';
import type { Progress } from '../action.js';
import {
  archiveLimits,
  type ChosenTrees,
  columnsByTable,
  type ColumnsByTable,
  lockArchive,
  namedHolder,
  nextTrees,
  traceKey,
  type TreeCursor,
} from './trees.js';
import { ExportWriter, readExport } from './export-file.js';
import { linesOf, lineSettings, LineSum, sumOf, type ExportEnd, noCounts } from './export-lines.js';
import { ConsoleError } from '../../db/errors.js';

const mostTrees = 100;
/** So few rows at a time that megabyte prompts fit into memory. */
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

type Deleting = {
  end: ExportEnd['end'];
  /** Rows deleted so far: counted up as they are. */
  deleted: Record<ArchivedTable, number>;
  signal: AbortSignal;
};

const noIds = (): Record<ArchivedTable, string[]> => ({
  execution_traces: [],
  agent_routing_decisions: [],
  hook_executions: [],
  endpoint_calls: [],
});

/**
 * Deletes what a verified export holds, and nothing else: batch by batch, each rolled back unless the
 * deleted rows have the count and checksum of the batch in the file.
 *
 * @returns whether it came to the end; it did not when cancelled
 */
export async function* deleteExported(
  database: Database,
  file: string,
  { end, deleted, signal }: Deleting,
): AsyncGenerator<Progress, boolean> {
  const columns = await columnsByTable(database);
  const total = Object.values(end.rows).reduce((sum, rows) => sum + rows, 0);
  let ids = noIds();
  let done = 0;
  for await (const part of readExport(file)) {
    if (part.kind === 'row') ids[part.table].push(idOf(part.line));
    if (part.kind !== 'batch') continue;
    yield { phase: 'deleting', done, total, unit: 'rows' };
    if (signal.aborted) return false;
    const counts = await deleteBatch(database, columns, ids, part.batch);
    for (const table of archivedTables) deleted[table] += counts[table];
    done += part.batch.rows;
    ids = noIds();
  }
  return true;
}

/** @throws ConsoleError when the line has no row with an id */
export function idOf(line: string): string {
  const { row } = JSON.parse(line) as { row?: { id?: unknown } };
  if (typeof row?.id === 'string') return row.id;
  throw new ConsoleError('file_failed', 'A row of the export has no id.');
}

async function deleteBatch(
  database: Database,
  columns: ColumnsByTable,
  ids: Record<ArchivedTable, string[]>,
  batch: { rows: number; checksum: string },
): Promise<Record<ArchivedTable, number>> {
  const counts = noCounts();
  const sum = new LineSum();
  const work = database.transaction({ ...archiveLimits, settings: lineSettings }, async (tx) => {
    await lockArchive(tx, database.capabilities.schema);
    for (const table of archivedTables) {
      const { rows } = await tx.query<{ rows: number; checksum: string }>(
        `WITH gone AS (DELETE FROM ${quoteIdent(archiveOf(table))} WHERE id = ANY ($1::uuid[]) RETURNING *)
           ${sumOf(linesOf(table, columns[table], 'gone'))}`,
        [ids[table]],
      );
      const [{ rows: count, checksum } = { rows: 0, checksum: '0' }] = rows;
      counts[table] = count;
      sum.addSum(count, checksum);
    }
    if (!sum.equals(batch)) {
      throw new ConsoleError(
        'query_failed',
        'The archive has changed since it was exported: this batch is not deleted.',
        { hint: 'Nothing that is not in the file was deleted. Export the rest to another file.' },
      );
    }
  });
  await work.catch(async (error: unknown) => {
    throw await namedHolder(database, error);
  });
  return counts;
}
