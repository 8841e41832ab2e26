import { withSeparators } from '../../shared/format/number.js';
import { ConsoleError } from '../../db/errors.js';
import type { Database, DirectConnection } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { formatBytes } from '../../shared/format/bytes.js';
import { manifest } from '../../deploy/manifest.js';
import type { Action, ActionContext, Outcome, Preview, Progress } from '../action.js';
import { pauseUnlessAborted } from '../pause.js';
import { readBuildProgress } from './build-progress.js';
import { readIndexState, readLongTransactions, type IndexState } from './index-state.js';
import { dropLeftovers } from './leftovers.js';

export type ReindexInput = { index: string };

export type ReindexResult = {
  index: string;
  bytesBefore: number;
  bytesAfter: number;
  milliseconds: number;
  /** Leftovers of this or earlier builds that were dropped. */
  dropped: string[];
};

/** How often the progress view is asked. */
const pollMs = 500;

/**
 * Rebuilds one index CONCURRENTLY on a connection of its own, while readers and writers go on. A
 * cancelled or failed rebuild leaves an invalid `_ccnew` index, which is dropped again.
 */
export const reindexIndex: Action<ReindexInput, ReindexResult> = {
  id: 'reindex',
  title: 'Reindex',
  requires: ['primary', 'direct-connection', 'ownership'],
  subject: ({ index }) => index,
  tables: ({ index }) => {
    const table = manifest.indexes[index]?.table;
    return table === undefined ? [] : [table];
  },
  preview: async ({ database }, { index }) => {
    const [state, blockers] = await Promise.all([
      checkedState(database, index),
      readLongTransactions(database),
    ]);
    return preview(database, index, state, blockers);
  },
  run,
};

async function checkedState(database: Database, index: string): Promise<IndexState> {
  const state = await readIndexState(database, index);
  if (!state) {
    throw new ConsoleError(
      'usage',
      `There is no index ${index} in ${database.capabilities.schema}.`,
      {
        hint: 'The pane "index usage" lists them.',
      },
    );
  }
  if (!state.owned) {
    throw new ConsoleError(
      'privilege_missing',
      `Reindex: refused, "${database.capabilities.user}" does not own ${index}.`,
      {
        hint: 'Connect as the owner, as a member of the owning role, or as a superuser.',
      },
    );
  }
  if (state.exclusion) {
    throw new ConsoleError(
      'query_failed',
      `${index} belongs to an exclusion constraint and cannot be rebuilt CONCURRENTLY.`,
      {
        hint: 'REINDEX INDEX without CONCURRENTLY blocks all writers; run it by hand in a quiet hour.',
      },
    );
  }
  return state;
}

function preview(
  database: Database,
  index: string,
  state: IndexState,
  blockers: Awaited<ReturnType<typeof readLongTransactions>>,
): Preview {
  const empty = state.tableRows === 0 && state.accessMethod === 'ivfflat';
  return {
    title: `Reindex ${index}`,
    sql: [statementOf(database, index)],
    facts: [
      {
        label: 'Table',
        value: `${state.table}, about ${withSeparators(state.tableRows)} rows`,
      },
      { label: 'Size now', value: formatBytes(state.bytes) },
      { label: 'Disk needed', value: `about ${formatBytes(state.bytes)} more while it runs` },
      { label: 'State', value: state.valid ? 'valid' : 'invalid: not used by queries' },
      { label: 'Locks', value: 'SHARE UPDATE EXCLUSIVE; readers and writers go on' },
      ...(state.leftovers.length > 0
        ? [{ label: 'Dropped first', value: `leftovers ${state.leftovers.join(', ')}` }]
        : []),
    ],
    warnings: [
      ...blockers.map(
        ({ pid, user, seconds, query }) =>
          `It will wait for a transaction of ${user} (pid ${pid}), open for ${seconds} s: ${query}`,
      ),
      ...(empty ? ['The table is empty: an ivfflat index built now has random lists.'] : []),
      ...(database.capabilities.embedded
        ? ['Cancelling on the embedded database restarts its engine (about a second).']
        : []),
    ],
  };
}

function statementOf(database: Database, index: string): string {
  return `REINDEX INDEX CONCURRENTLY ${quoteIdent(database.capabilities.schema, index)}`;
}

async function* run(
  { database, signal }: ActionContext,
  { index }: ReindexInput,
): AsyncGenerator<Progress, Outcome<ReindexResult>> {
  const before = await checkedState(database, index);
  const started = performance.now();
  const connection = await database.connectDirect();
  const dropped: string[] = [];
  try {
    if (before.leftovers.length > 0) {
      yield { phase: 'dropping leftovers of an earlier build' };
      dropped.push(...(await dropLeftovers(database, connection, before.table, before.leftovers)));
    }
    let cancelled = false;
    try {
      yield* rebuild(database, connection, index, signal);
    } catch (error) {
      const left = await readIndexState(database, index);
      if (left && left.leftovers.length > 0) {
        yield { phase: 'dropping what the rebuild left' };
        dropped.push(...(await dropLeftovers(database, connection, left.table, left.leftovers)));
      }
      if (!signal.aborted) throw error;
      cancelled = true;
    }
    const after = await readIndexState(database, index);
    const result = {
      index,
      bytesBefore: before.bytes,
      bytesAfter: after?.bytes ?? before.bytes,
      milliseconds: Math.round(performance.now() - started),
      dropped,
    };
    return { summary: summaryOf(result, cancelled), cancelled, result };
  } finally {
    await connection.close();
  }
}

/** Runs the statement and yields the server's progress until it ends; cancels it on the signal. */
async function* rebuild(
  database: Database,
  connection: DirectConnection,
  index: string,
  signal: AbortSignal,
): AsyncGenerator<Progress, void> {
  const { processId } = connection.cancelKey;
  const { embedded } = database.capabilities;
  const statement = connection.query(statementOf(database, index));
  const settled = statement.then(
    () => true,
    () => true,
  );
  yield { phase: embedded ? 'rebuilding (the embedded database tells no progress)' : 'starting' };
  for (let cancelled = false; ;) {
    if (signal.aborted && !cancelled) {
      cancelled = true;
      await database.cancel(connection);
    }
    if (await Promise.race([settled, pauseUnlessAborted(pollMs, signal).then(() => false)])) break;
    // The embedded engine runs one statement at a time: a question would only wait behind this one.
    if (embedded) continue;
    // A progress that cannot be read must not end the rebuild.
    const progress = await readBuildProgress(database, processId).catch(() => undefined);
    if (progress) yield progress;
  }
  await statement;
}

function summaryOf(result: ReindexResult, cancelled: boolean): string {
  const seconds = (result.milliseconds / 1000).toFixed(1);
  if (cancelled) return `Cancelled the rebuild of ${result.index}; the index is as it was.`;
  return `Rebuilt ${result.index} in ${seconds} s: ${formatBytes(result.bytesBefore)} before, ${formatBytes(result.bytesAfter)} now.`;
}
