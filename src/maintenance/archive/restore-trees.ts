import { withSeparators } from '../../shared/format/number.js';
import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, archivedTables, type ArchivedTable } from '../../shared/tables.js';
import type { Action, ActionContext, Outcome, Preview, Progress } from '../action.js';
import { archiveColumns, traceKey } from './archive-columns.js';
import { lockArchive, namedHolder } from './archive-lock.js';
import { noCounts } from './export-lines.js';
import {
  choiceText,
  chooseTrees,
  countTrees,
  nextTrees,
  readChoice,
  type TreeChoice,
  type TreeCursor,
} from './trees.js';

export type RestoreResult = {
  trees: number;
  restored: Record<ArchivedTable, number>;
  /** Usage logs of patterns that point to their trace again. */
  relinked: number;
};

/** One transaction each: about 0.1 s. */
const treesAtATime = 200;

/** Brings archived trees back into the live tables, whole and unchanged. */
export const restoreTrees: Action<TreeChoice, RestoreResult> = {
  id: 'restore',
  title: 'Restore archived traces',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'archive', whenTaken: 'refuse' },
  subject: choiceText,
  readInput: (stored) => readChoice((stored ?? {}) as Record<string, unknown>),
  tables: () => [...archivedTables, ...archivedTables.map(archiveOf)],
  preview: ({ database }, choice) => preview(database, choice),
  run,
};

async function preview(database: Database, choice: TreeChoice): Promise<Preview> {
  const { trees, traces, oldest, newest } = await countTrees(
    database,
    await chooseTrees(database, choice),
  );
  const title = `Restore from the archive: ${choiceText(choice)}`;
  if (trees === 0) {
    return {
      title,
      facts: [],
      sql: [],
      warnings: [],
      nothing: 'No archived trace is meant by that.',
    };
  }
  return {
    title,
    facts: [
      { label: 'Trees', value: withSeparators(trees) },
      { label: 'Traces', value: `${withSeparators(traces)}, with all that belongs to them` },
      { label: 'Started', value: `${day(oldest)} to ${day(newest)}` },
      { label: 'Locks', value: 'rows of one batch at a time; readers are not blocked' },
    ],
    sql: [
      'WITH back AS (DELETE FROM …_archive … RETURNING …) INSERT INTO … SELECT … FROM back; -- each table, per batch',
    ],
    warnings: ['They are as old as before: the next archiving takes them again.'],
  };
}

export function day(date: Date | null): string {
  return date === null ? '-' : date.toISOString().slice(0, 10);
}

async function* run(
  { database, signal }: ActionContext,
  choice: TreeChoice,
): AsyncGenerator<Progress, Outcome<RestoreResult>> {
  const chosen = await chooseTrees(database, choice);
  const { trees: total } = await countTrees(database, chosen);
  const restored: RestoreResult['restored'] = noCounts();
  const result: RestoreResult = { trees: 0, restored, relinked: 0 };
  let cursor: TreeCursor | undefined;
  do {
    yield { phase: 'restoring', done: result.trees, total, unit: 'trees' };
    const after = cursor;
    const batch = await database
      .transaction(
        // The trigger that completes rows leaves those alone that come back.
        { statementTimeoutMs: 60_000, settings: { 'trace_console.restoring': 'on' } },
        async (tx) => {
          await lockArchive(tx, database.capabilities.schema);
          const { roots, next } = await nextTrees(tx, chosen, after, treesAtATime);
          return { ...(await moveBack(tx, database.capabilities.schema, roots)), roots, next };
        },
      )
      .catch(async (error: unknown) => {
        throw await namedHolder(database, error);
      });
    cursor = batch.next;
    result.trees += batch.roots.length;
    result.relinked += batch.relinked;
    for (const table of archivedTables) restored[table] += batch.moved[table];
  } while (cursor && !signal.aborted);
  yield { phase: 'restoring', done: result.trees, total, unit: 'trees' };
  const cancelled = signal.aborted && cursor !== undefined;
  return { summary: summaryOf(result, cancelled), cancelled, result };
}

async function moveBack(
  tx: Queryable,
  schema: string,
  roots: readonly string[],
): Promise<{ moved: Record<ArchivedTable, number>; relinked: number }> {
  const { rows } = await tx.query<{ ids: string[]; taken: string[] }>(
    `SELECT array_agg(t.id::text) AS ids, array_agg(t.correlation_id::text) FILTER (WHERE EXISTS (
       SELECT FROM execution_traces AS live WHERE live.id = t.id OR live.correlation_id = t.correlation_id)) AS taken
     FROM execution_traces_archive AS t WHERE t.root_id = ANY ($1::uuid[])`,
    [roots],
  );
  const { ids, taken } = rows[0] ?? {};
  if (taken) {
    throw new ConsoleError(
      'query_failed',
      `A live trace has the correlation_id of an archived one: ${taken.slice(0, 3).join(', ')}.`,
      { hint: 'Delete or archive that one first. The trees before it were restored.' },
    );
  }
  const moved: Record<ArchivedTable, number> = noCounts();
  // Parents first: hooks before the calls that point to them.
  for (const table of archivedTables) {
    moved[table] = await moveRows(tx, schema, table, ids ?? []);
  }
  const relinked = await tx.query(
    `UPDATE pattern_usage_log AS l SET trace_id = t.id FROM execution_traces AS t
     WHERE t.id = ANY ($1::uuid[]) AND l.correlation_id = t.correlation_id AND l.trace_id IS NULL`,
    [ids ?? []],
  );
  return { moved, relinked: relinked.rowCount ?? 0 };
}

async function moveRows(
  tx: Queryable,
  schema: string,
  table: ArchivedTable,
  ids: readonly string[],
): Promise<number> {
  const columns = (await archiveColumns(tx, schema, table))
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
    `WITH back AS (DELETE FROM ${archive} WHERE ${key} = ANY ($1::uuid[]) RETURNING ${columns})
     INSERT INTO ${quoteIdent(table)} (${columns}) SELECT ${columns} FROM back`,
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

function summaryOf({ trees, restored, relinked }: RestoreResult, cancelled: boolean): string {
  const rows =
    restored.agent_routing_decisions + restored.hook_executions + restored.endpoint_calls;
  return [
    `${cancelled ? 'Cancelled after' : 'Restored'} ${withSeparators(trees)} trees`,
    `${withSeparators(restored.execution_traces)} traces and ${withSeparators(rows)} rows that belong to them`,
    ...(relinked > 0 ? [`${withSeparators(relinked)} usage logs linked again`] : []),
  ]
    .join('; ')
    .concat('.');
}
