import { counted } from '../../core/format/number.js';
import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../core/tables.js';
import {
  type Action,
  type ActionContext,
  type Outcome,
  type Preview,
  type Progress,
  oneOrCount,
  textsOf,
  type OfferCommand,
} from '../action.js';
import {
  archiveLimits,
  choiceText,
  chooseTrees,
  columnsByTable,
  type ColumnsByTable,
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
import { noCounts } from './export-lines.js';

export type RestoreResult = {
  trees: number;
  restored: Record<ArchivedTable, number>;
  /** Usage logs of patterns that point to their trace again. */
  relinked: number;
  /** Trees that stay in the archive, because a live trace has the id or correlation_id of one of theirs. */
  skipped: { trees: number; /** Some of them. */ roots: string[] };
};

const mostNamed = 20;

/** One transaction each: about 0.1 s. */
const mostTrees = 200;

/** Brings archived trees back into the live tables, whole and unchanged. */
export const restoreCommand: OfferCommand = {
  id: 'restore',
  key: 'b',
  title: 'bring back the chosen archived trace, or resume the chosen crashed run',
};

/** Each trace stands for its tree. */
export const archivedRows = { rows: 'archived trace', needs: 'an archived trace' } as const;

/** The trees of chosen rows, and what they are called. */
export function treesOf(rows: readonly object[]): { traces: string[]; what: string } {
  const traces = textsOf(rows, 'id');
  return { traces, what: traces.length === 1 ? 'a trace' : oneOrCount(traces, 'traces') };
}

export const restoreTrees: Action<TreeChoice, RestoreResult> = {
  id: 'restore',
  title: 'Restore archived traces',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'archive', whenTaken: 'refuse' },
  subject: choiceText,
  readInput: (stored) => readChoice((stored ?? {}) as Record<string, unknown>),
  tables: () => [...archivedTables, ...archivedTables.map(archiveOf)],
  offers: [
    {
      ...archivedRows,
      command: restoreCommand,
      choose(rows) {
        const { traces, what } = treesOf(rows);
        return { title: `Restore ${what}`, input: { traces } };
      },
    },
  ],
  preview: ({ database }, choice) => preview(database, choice),
  run,
};

const preview = (database: Database, choice: TreeChoice): Promise<Preview> =>
  treePreview(database, choice, {
    title: `Restore from the archive: ${choiceText(choice)}`,
    facts: [{ label: 'Locks', value: 'rows of one batch at a time; readers are not blocked' }],
    sql: [
      'WITH back AS (DELETE FROM …_archive … RETURNING …) INSERT INTO … SELECT … FROM back; -- each table, per batch',
    ],
    warnings: ['They are as old as before: the next archiving takes them again.'],
  });

async function* run(
  { database, signal }: ActionContext,
  choice: TreeChoice,
): AsyncGenerator<Progress, Outcome<RestoreResult>> {
  const chosen = await chooseTrees(database, choice);
  const { trees: total } = await countTrees(database, chosen);
  const columns = await columnsByTable(database);
  const restored: RestoreResult['restored'] = noCounts();
  const skipped: RestoreResult['skipped'] = { trees: 0, roots: [] };
  const result: RestoreResult = { trees: 0, restored, relinked: 0, skipped };
  const looked = () => result.trees + skipped.trees;
  let cursor: TreeCursor | undefined;
  do {
    yield { phase: 'restoring', done: looked(), total, unit: 'trees' };
    const after = cursor;
    const batch = await database
      .transaction(
        // Tells the trigger that completes new rows to leave restored ones alone.
        { ...archiveLimits, settings: { 'trace_console.restoring': 'on' } },
        async (tx) => {
          await lockArchive(tx, database.capabilities.schema);
          const { roots, next } = await nextTrees(tx, chosen, {
            after,
            columns,
            most: mostTrees,
          });
          return { ...(await moveBack(tx, columns, roots)), roots, next };
        },
      )
      .catch(async (error: unknown) => {
        throw await namedHolder(database, error);
      });
    cursor = batch.next;
    result.trees += batch.roots.length - batch.taken.length;
    skipped.trees += batch.taken.length;
    skipped.roots.push(...batch.taken.slice(0, mostNamed - skipped.roots.length));
    result.relinked += batch.relinked;
    for (const table of archivedTables) restored[table] += batch.moved[table];
  } while (cursor && !signal.aborted);
  yield { phase: 'restoring', done: looked(), total, unit: 'trees' };
  const cancelled = signal.aborted && cursor !== undefined;
  return { summary: summaryOf(result, cancelled), cancelled, result };
}

async function moveBack(
  tx: Queryable,
  columns: ColumnsByTable,
  roots: readonly string[],
): Promise<{ moved: Record<ArchivedTable, number>; relinked: number; taken: string[] }> {
  const { rows: trees } = await tx.query<{ root: string; ids: string[]; taken: boolean }>(
    `SELECT t.root_id AS root, array_agg(t.id::text) AS ids, bool_or(EXISTS (
       SELECT FROM execution_traces AS live WHERE live.id = t.id OR live.correlation_id = t.correlation_id)) AS taken
     FROM execution_traces_archive AS t WHERE t.root_id = ANY ($1::uuid[]) GROUP BY t.root_id`,
    [roots],
  );
  const ids = trees.flatMap((tree) => (tree.taken ? [] : tree.ids));
  const taken = trees.filter((tree) => tree.taken).map(({ root }) => root);
  const moved: Record<ArchivedTable, number> = noCounts();
  // Parents first: hooks before the calls that point to them.
  for (const table of archivedTables) {
    moved[table] = await moveRows(tx, columns, table, ids);
  }
  const relinked = await tx.query(
    `UPDATE pattern_usage_log AS l SET trace_id = t.id FROM execution_traces AS t
     WHERE t.id = ANY ($1::uuid[]) AND l.correlation_id = t.correlation_id AND l.trace_id IS NULL`,
    [ids],
  );
  return { moved, relinked: relinked.rowCount ?? 0, taken };
}

async function moveRows(
  tx: Queryable,
  columns: ColumnsByTable,
  table: ArchivedTable,
  ids: readonly string[],
): Promise<number> {
  const list = columns[table]
    .filter(({ inLive }) => inLive)
    .map(({ name }) => quoteIdent(name))
    .join(', ');
  const archive = quoteIdent(archiveOf(table));
  const key = traceKey(table);
  const { rows } = await tx.query<{ count: number }>(
    `SELECT count(*) AS count FROM ${archive} WHERE ${key} = ANY ($1::uuid[])`,
    [ids],
  );
  const { rowCount } = await tx.query(
    `WITH back AS (DELETE FROM ${archive} WHERE ${key} = ANY ($1::uuid[]) RETURNING ${list})
     INSERT INTO ${quoteIdent(table)} (${list}) SELECT ${list} FROM back`,
    [ids],
  );
  const expected = rows[0]?.count ?? 0;
  if (rowCount !== expected) {
    throw new ConsoleError(
      'query_failed',
      `Of ${expected} archived rows of ${table} ${rowCount ?? 0} came back: the batch is rolled back.`,
      { hint: 'Look for triggers and rules on both tables.' },
    );
  }
  return expected;
}

function summaryOf(
  { trees, restored, relinked, skipped }: RestoreResult,
  cancelled: boolean,
): string {
  const rows =
    restored.agent_routing_decisions + restored.hook_executions + restored.endpoint_calls;
  return [
    `${cancelled ? 'Cancelled after' : 'Restored'} ${counted(trees, 'tree')}`,
    `${counted(restored.execution_traces, 'trace')} and ${counted(rows, 'row')} that belong to them`,
    ...(relinked > 0 ? [`${counted(relinked, 'usage log')} linked again`] : []),
    ...(skipped.trees > 0
      ? [
          `${counted(skipped.trees, 'tree')} ${skipped.trees === 1 ? 'stays archived, since a live trace has its' : 'stay archived, since a live trace has their'} id or correlation_id: ${skipped.roots.slice(0, 3).join(', ')}${skipped.trees > 3 ? ', …' : ''}`,
        ]
      : []),
  ]
    .join('; ')
    .concat('.');
}
