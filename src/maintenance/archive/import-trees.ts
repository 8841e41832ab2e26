import { resolve } from 'node:path';
import { counted, withSeparators } from '../../core/format/number.js';
import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../core/tables.js';
import type { Action, ActionContext, Outcome, Preview, Progress } from '../action.js';
import {
  archiveLimits,
  columnsByTable,
  type ColumnsByTable,
  lockArchive,
  namedHolder,
  needArchive,
} from './trees.js';
import { idOf } from './export-trees.js';
import { readExport, verifyExport } from './export-file.js';
import {
  insertLines,
  linesOf,
  lineSettings,
  LineSum,
  noCounts,
  sumOf,
  type ExportHeader,
} from './export-lines.js';

export type ImportInput = { file: string };

export type ImportResult = {
  imported: Record<ArchivedTable, number>;
  /** Rows that were there already, equal. */
  present: number;
};

/** Characters of rows sent at a time. */
const sentAtATime = 4 * 1024 * 1024;

/** Brings an export back into the archive, every row equal to what was exported. */
export const importTrees: Action<ImportInput, ImportResult> = {
  id: 'import',
  title: 'Import into the archive',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'archive', whenTaken: 'refuse' },
  subject: ({ file }) => file,
  readInput: (stored) => {
    const { file } = (stored ?? {}) as { file?: unknown };
    return typeof file === 'string' ? { file } : undefined;
  },
  tables: () => [...archivedTables, ...archivedTables.map(archiveOf)],
  preview: async ({ database, signal }, { file }): Promise<Preview> => {
    needArchive(database);
    const { header, end } = await verifyExport(file, signal);
    knownColumns(header, await columnsByTable(database));
    return {
      title: `Import ${resolve(file)} into the archive`,
      facts: [
        { label: 'Exported', value: `${header.exportedAt}, from the schema ${header.schema}` },
        { label: 'Checksum', value: `${end.checksum}, as it should be` },
        ...archivedTables.map((table) => ({
          label: archiveOf(table),
          value: counted(end.rows[table], 'row'),
        })),
      ],
      sql: ['INSERT INTO …_archive … ON CONFLICT DO NOTHING; -- each table, per batch'],
      warnings: [],
    };
  },
  run,
};

async function* run(
  { database, signal }: ActionContext,
  { file }: ImportInput,
): AsyncGenerator<Progress, Outcome<ImportResult>> {
  yield { phase: 'verifying the file' };
  const { header, end } = await verifyExport(file, signal);
  const columns = knownColumns(header, await columnsByTable(database));
  const total = Object.values(end.rows).reduce((sum, rows) => sum + rows, 0);
  const result: ImportResult = { imported: noCounts(), present: 0 };
  let lines: { table: ArchivedTable; line: string }[] = [];
  let done = 0;
  for await (const part of readExport(file)) {
    if (part.kind === 'row') lines.push(part);
    if (part.kind !== 'batch') continue;
    yield { phase: 'importing', done, total, unit: 'rows' };
    if (signal.aborted) break;
    const counts = await importBatch(database, columns, lines, part.batch);
    const inserted = archivedTables.reduce((sum, table) => sum + counts[table], 0);
    for (const table of archivedTables) result.imported[table] += counts[table];
    result.present += part.batch.rows - inserted;
    done += part.batch.rows;
    lines = [];
  }
  yield { phase: 'importing', done, total, unit: 'rows' };
  const cancelled = signal.aborted && done < total;
  const rows = archivedTables.reduce((sum, table) => sum + result.imported[table], 0);
  const summary = [
    `${cancelled ? 'Cancelled after' : 'Imported'} ${counted(rows, 'row')}, equal to what was exported`,
    ...(result.present > 0 ? [`${withSeparators(result.present)} were there already`] : []),
  ];
  return { summary: `${summary.join('; ')}.`, cancelled, result };
}

/** Only the columns of the file: the archive may have got more since. */
function knownColumns(header: ExportHeader, found: ColumnsByTable): ColumnsByTable {
  const known = (table: ArchivedTable) =>
    header.columns[table].map((name) => {
      const column = found[table].find((candidate) => candidate.name === name);
      if (column) return column;
      throw new ConsoleError(
        'schema_incompatible',
        `${archiveOf(table)} has no column ${name}, which the file has rows with.`,
      );
    });
  return {
    execution_traces: known('execution_traces'),
    agent_routing_decisions: known('agent_routing_decisions'),
    hook_executions: known('hook_executions'),
    endpoint_calls: known('endpoint_calls'),
  };
}

async function importBatch(
  database: Database,
  columns: ColumnsByTable,
  lines: readonly { table: ArchivedTable; line: string }[],
  batch: { rows: number; checksum: string },
): Promise<Record<ArchivedTable, number>> {
  const counts = noCounts();
  const work = database.transaction({ ...archiveLimits, settings: lineSettings }, async (tx) => {
    await lockArchive(tx, database.capabilities.schema);
    const sum = new LineSum();
    for (const table of archivedTables) {
      const own = lines.filter((line) => line.table === table).map(({ line }) => line);
      const ids = own.map(idOf);
      await refuseLive(tx, table, ids);
      for (const json of chunksOf(own)) {
        const { rowCount } = await tx.query(insertLines(table, columns[table]), [json]);
        counts[table] += rowCount ?? 0;
      }
      const source = `${quoteIdent(archiveOf(table))} WHERE id = ANY ($1::uuid[])`;
      const { rows } = await tx.query<{ rows: number; checksum: string }>(
        sumOf(linesOf(table, columns[table], source)),
        [ids],
      );
      const [{ rows: count, checksum } = { rows: 0, checksum: '0' }] = rows;
      sum.addSum(count, checksum);
    }
    if (!sum.equals(batch)) {
      throw new ConsoleError(
        'query_failed',
        'Rows in the archive would not be as they were exported: this batch is rolled back.',
        { hint: 'The archive has other rows with the same ids, or columns of other types.' },
      );
    }
  });
  await work.catch(async (error: unknown) => {
    throw await namedHolder(database, error);
  });
  return counts;
}

/** Refuses traces that are live: one that was restored meanwhile must not be in the archive as well. */
async function refuseLive(tx: Queryable, table: ArchivedTable, ids: string[]): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(
    `SELECT id FROM ${quoteIdent(table)} WHERE id = ANY ($1::uuid[]) LIMIT 1`,
    [ids],
  );
  const [live] = rows;
  if (!live) return;
  throw new ConsoleError('query_failed', `${live.id} of ${table} is live: it was restored.`, {
    hint: 'The batches before it were imported. Archive what is live, or leave the file.',
  });
}

/** The lines as JSON arrays, none much longer than is sent at a time. */
function* chunksOf(lines: readonly string[]): Generator<string> {
  let chunk: string[] = [];
  let length = 0;
  for (const line of lines) {
    chunk.push(line);
    length += line.length;
    if (length < sentAtATime) continue;
    yield `[${chunk.join(',')}]`;
    chunk = [];
    length = 0;
  }
  if (chunk.length > 0) yield `[${chunk.join(',')}]`;
}
