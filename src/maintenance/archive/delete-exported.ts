import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../shared/tables.js';
import type { Progress } from '../action.js';
import { archiveLimits, lockArchive, namedHolder } from './archive-lock.js';
import { readExport } from './export-file.js';
import { linesOf, lineSettings, LineSum, noCounts, sumOf, type ExportEnd } from './export-lines.js';
import { columnsByTable, type ColumnsByTable } from './archive-columns.js';

type Deleting = {
  end: ExportEnd['end'];
  /** Counts up. */
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
