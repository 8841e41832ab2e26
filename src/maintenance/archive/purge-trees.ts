import { resolve } from 'node:path';
import { counted } from '../../core/format/number.js';
import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../core/tables.js';
import type { Action, ActionContext, Outcome, Preview, Progress } from '../action.js';
import {
  archiveLimits,
  choiceText,
  chooseTrees,
  type ChosenTrees,
  columnsByTable,
  countTrees,
  lockArchive,
  namedHolder,
  nextTrees,
  readChoice,
  traceKey,
  type TreeChoice,
  type TreeCursor,
  treePreview,
} from './trees.js';
import { deleteExported, exportTrees } from './export-trees.js';
import { verifyExport } from './export-file.js';
import { noCounts } from './export-lines.js';
import { archivedRows, treesOf } from './restore-trees.js';

export type PurgeInput = TreeChoice & {
  /** Write them to this file first, as JSON lines. */
  exportFile?: string;
};

export type PurgeResult = {
  deleted: Record<ArchivedTable, number>;
  exportFile: string | null;
  /** Of the whole export. */
  checksum: string | null;
};

const mostTrees = 500;

/** Deletes archived trees for good; with a file they are exported and the export verified first. */
export const purgeTrees: Action<PurgeInput, PurgeResult> = {
  id: 'purge',
  title: 'Purge archived traces',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'archive', whenTaken: 'refuse' },
  subject: choiceText,
  readInput,
  tables: () => [...archivedTables, ...archivedTables.map(archiveOf)],
  offers: [
    {
      ...archivedRows,
      command: {
        id: 'purge',
        key: 'D',
        title: 'delete the chosen archived trace for good, after a typed word',
      },
      choose(rows) {
        const { traces, what } = treesOf(rows);
        return { title: `Purge ${what}`, input: { traces } };
      },
    },
  ],
  preview: ({ database }, input) => preview(database, input),
  run,
};

function readInput(stored: unknown): PurgeInput | undefined {
  const value = (stored ?? {}) as Record<string, unknown>;
  const choice = readChoice(value);
  if (value.exportFile === undefined) return choice;
  return choice && typeof value.exportFile === 'string'
    ? { ...choice, exportFile: value.exportFile }
    : undefined;
}

function preview(database: Database, input: PurgeInput): Promise<Preview> {
  const { exportFile } = input;
  const [to, warning] =
    exportFile === undefined
      ? [
          'nowhere',
          'They are gone for good: nothing keeps a copy. archive purge --export FILE does.',
        ]
      : [
          `${resolve(exportFile)}, verified first`,
          'They come back by trace-console archive import.',
        ];
  return treePreview(database, input, {
    title: `Purge from the archive: ${choiceText(input)}`,
    facts: [{ label: 'Exported to', value: to }],
    sql: ['DELETE FROM …_archive WHERE …; -- each table, in batches of whole trees'],
    warnings: [warning],
    typed: 'purge',
  });
}

async function* run(
  { database, signal }: ActionContext,
  input: PurgeInput,
): AsyncGenerator<Progress, Outcome<PurgeResult>> {
  const chosen = await chooseTrees(database, input);
  const { trees: total } = await countTrees(database, chosen);
  const result: PurgeResult = { deleted: noCounts(), exportFile: null, checksum: null };
  let finished: boolean;
  if (input.exportFile === undefined) {
    finished = yield* deleteTrees(database, chosen, { total, deleted: result.deleted, signal });
  } else {
    const file = resolve(input.exportFile);
    const end = yield* exportTrees(database, chosen, file, total, signal);
    if (!end) {
      return { summary: 'Cancelled; nothing was deleted.', cancelled: true, result };
    }
    yield { phase: 'verifying the export' };
    const read = await verifyExport(file, signal);
    if (read.end.checksum !== end.checksum) {
      throw new ConsoleError(
        'file_failed',
        `${file} is not as it was written; nothing was deleted.`,
      );
    }
    result.exportFile = file;
    result.checksum = end.checksum;
    finished = yield* deleteExported(database, file, { end, deleted: result.deleted, signal });
  }
  return { summary: summaryOf(result, !finished), cancelled: !finished, result };
}

type Deleting = { total: number; deleted: PurgeResult['deleted']; signal: AbortSignal };

/** @returns whether it came to the end; it did not when cancelled */
async function* deleteTrees(
  database: Database,
  chosen: ChosenTrees,
  { total, deleted, signal }: Deleting,
): AsyncGenerator<Progress, boolean> {
  const columns = await columnsByTable(database);
  let done = 0;
  // Continues behind the last batch: at the beginning the index still holds the deleted rows.
  let after: TreeCursor | undefined;
  for (;;) {
    yield { phase: 'deleting', done, total: Math.max(total, done), unit: 'trees' };
    if (signal.aborted) return false;
    const where = { after, columns, most: mostTrees };
    const trees = await database
      .transaction(archiveLimits, async (tx) => {
        await lockArchive(tx, database.capabilities.schema);
        const batch = await nextTrees(tx, chosen, where);
        if (batch.roots.length > 0) await deleteRoots(tx, batch.roots, deleted);
        return batch;
      })
      .catch(async (error: unknown) => {
        throw await namedHolder(database, error);
      });
    if (!trees.next) return true;
    done += trees.roots.length;
    after = trees.next;
  }
}

async function deleteRoots(
  tx: Queryable,
  roots: readonly string[],
  deleted: PurgeResult['deleted'],
): Promise<void> {
  const { rows } = await tx.query<{ ids: string[] }>(
    'SELECT array_agg(id::text) AS ids FROM execution_traces_archive WHERE root_id = ANY ($1::uuid[])',
    [roots],
  );
  const ids = rows[0]?.ids ?? [];
  for (const table of archivedTables.toReversed()) {
    const { rowCount } = await tx.query(
      `DELETE FROM ${quoteIdent(archiveOf(table))} WHERE ${traceKey(table)} = ANY ($1::uuid[])`,
      [ids],
    );
    deleted[table] += rowCount ?? 0;
  }
}

function summaryOf({ deleted, exportFile }: PurgeResult, cancelled: boolean): string {
  const rows = deleted.agent_routing_decisions + deleted.hook_executions + deleted.endpoint_calls;
  return [
    `${cancelled ? 'Cancelled after' : 'Purged'} ${counted(deleted.execution_traces, 'trace')} and ` +
      `${counted(rows, 'row')} that belong to them`,
    ...(exportFile === null ? [] : [`all of them are in ${exportFile}`]),
  ]
    .join('; ')
    .concat('.');
}
