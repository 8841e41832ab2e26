import { ConsoleError } from '../../db/errors.js';
import type { DirectConnection } from '../../db/database.js';
import type { ActionContext, Progress } from '../action.js';
import {
  followStatement,
  readBuildProgress,
  connectForMaintenance,
  defaultLockTimeoutMs,
  setLockTimeout,
} from '../long-statement.js';
import {
  readIndexStates,
  type IndexState,
  reindexStatement,
  type RebuildPlan,
} from './rebuild-plan.js';
import { dropLeftovers } from './leftovers.js';
import { measureRecall, sampleQueries, type Recall, type RecallSample } from './recall.js';
import { lockRebuild, rebuiltMeanwhile } from './rebuild-lock.js';
import { finishedReplacement, replaceIndex, type Replaced } from './replace-index.js';

export type RebuiltIndex = {
  index: string;
  table: string;
  bytesBefore: number;
  bytesAfter: number;
  milliseconds: number;
  /** Leftovers that were dropped, of this or earlier builds. */
  dropped: string[];
  /** The old index that was replaced, when somebody still reads it: the clean-up drops it later. */
  leftBehind: string | null;
  /** Of a vector index. */
  vector: {
    method: string;
    listsBefore: number | null;
    listsAfter: number | null;
    /** Null: not measured. */
    recallBefore: Recall | null;
    recallAfter: Recall | null;
    /** Whose vectors the sample was. */
    sample: string | null;
  } | null;
};

/** Milliseconds that the server may take to end a session that was closed. */
const patienceMs = 5_000;

export type RebuildOptions = { lockTimeoutMs?: number; recall?: boolean };

/** `left`: the server goes on with it alone. */
export type RebuildEnd = 'finished' | 'left' | 'cancelled';

/**
 * Rebuilds one index on a connection of its own, while readers and writers go on. Cancelled or failed, what
 * it has made so far is dropped again, and the index is as it was.
 *
 * @throws ConsoleError when it fails; the hint says what could not be tidied up
 */
export async function* rebuildIndex(
  context: ActionContext,
  plan: RebuildPlan,
  { lockTimeoutMs = defaultLockTimeoutMs, recall = true }: RebuildOptions,
): AsyncGenerator<Progress, { end: RebuildEnd; rebuilt: RebuiltIndex }> {
  const { database, signal } = context;
  const { state } = plan;
  const started = performance.now();
  let sample: RecallSample | undefined;
  let recallBefore: Recall | undefined;
  if (state.vector && recall) {
    yield { phase: `measuring the recall of ${state.index}` };
    sample = await sampleQueries(database, state, signal);
    if (sample) recallBefore = await recallOf(context, state, sample);
  }
  const dropped: string[] = [];
  const { end, leftBehind } = yield* buildOrTidyUp(context, plan, lockTimeoutMs, dropped);
  const [after = state] = await readIndexStates(database, { indexes: [state.index] });
  let recallAfter: Recall | undefined;
  if (sample && end === 'finished') {
    yield { phase: `measuring the recall of ${state.index}` };
    recallAfter = await recallOf(context, after, sample);
  }
  const rebuilt: RebuiltIndex = {
    index: state.index,
    table: state.table,
    bytesBefore: state.bytes,
    bytesAfter: after.bytes,
    milliseconds: Math.round(performance.now() - started),
    dropped,
    leftBehind,
    vector: state.vector && {
      method: after.method,
      listsBefore: state.vector.lists,
      listsAfter: after.vector?.lists ?? null,
      recallBefore: recallBefore ?? null,
      recallAfter: recallAfter ?? null,
      sample: sample?.from ?? null,
    },
  };
  return { end, rebuilt };
}

/** What cannot be measured is left out of the result; the rebuild does not fail by it. */
function recallOf({ database }: ActionContext, state: IndexState, sample: RecallSample) {
  return measureRecall(database, state, sample).catch(() => undefined);
}

async function* buildOrTidyUp(
  context: ActionContext,
  plan: RebuildPlan,
  lockTimeoutMs: number,
  dropped: string[],
): AsyncGenerator<Progress, { end: RebuildEnd; leftBehind: string | null }> {
  const connection = await connectForMaintenance(context.database, lockTimeoutMs);
  const { index, oid } = plan.state;
  try {
    await lockRebuild(context.database, connection, index);
    const [locked] = await readIndexStates(context.database, { indexes: [index] });
    if (locked?.oid !== oid) throw rebuiltMeanwhile(index);
  } catch (error) {
    await connection.close();
    throw error;
  }
  try {
    return yield* build(context, connection, plan, lockTimeoutMs, dropped);
  } catch (error) {
    // Its lock goes with it: who tidies up takes it again.
    await connection.close();
    const [now] = await readIndexStates(context.database, { indexes: [index] });
    try {
      yield* tidyUp(context, plan.state, error, dropped, lockTimeoutMs);
    } catch (failure) {
      // In the last phases the new index is in use already; only the old one was still to go.
      if (!isReplaced(now, oid)) throw failure;
      return { end: 'finished', leftBehind: `what was ${index}` };
    }
    if (isReplaced(now, oid)) return { end: 'finished', leftBehind: null };
    if (!context.signal.aborted) throw error;
    return { end: 'cancelled', leftBehind: null };
  } finally {
    await connection.close();
  }
}

function isReplaced(now: IndexState | undefined, oid: number): boolean {
  return now !== undefined && now.valid && now.oid !== oid;
}

async function* build(
  context: ActionContext,
  connection: DirectConnection,
  { state, way, wanted }: RebuildPlan,
  lockTimeoutMs: number,
  dropped: string[],
): AsyncGenerator<Progress, Replaced> {
  const another = way === 'replace' ? wanted : null;
  const finished = another ? await finishedReplacement(connection, state, another) : undefined;
  const filter = { of: state.index, except: finished };
  const options = { phase: 'dropping the leftover' };
  dropped.push(...(yield* dropLeftovers(context, connection, filter, options)));
  await setLockTimeout(connection, lockTimeoutMs);
  if (wanted) await raiseMemory(connection, wanted.memoryBytes);
  if (another) return yield* replaceIndex(context, connection, state, another, finished);
  const end = yield* followStatement(context, connection, reindexStatement(state), {
    phase: `rebuilding ${state.index}`,
    readProgress: readBuildProgress,
    detachable: true,
  });
  return { end, leftBehind: null };
}

/** For this session only; never lowered. */
async function raiseMemory(connection: DirectConnection, bytes: number): Promise<void> {
  await connection.query(
    `SELECT set_config('maintenance_work_mem', $1 || 'kB', false)
     WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < $1::bigint * 1024`,
    [String(Math.ceil((bytes * 1.1) / 1024))],
  );
}

/**
 * Drops what a failed build has left. It may be that the connection broke and the server goes on building:
 * then nothing is dropped.
 */
async function* tidyUp(
  { database }: ActionContext,
  state: IndexState,
  failure: unknown,
  dropped: string[],
  lockTimeoutMs: number,
): AsyncGenerator<Progress, void> {
  // It is not cancelled as well: its lock time-out bounds it.
  const context = { database, signal: new AbortController().signal };
  try {
    const connection = await connectForMaintenance(database);
    try {
      await lockRebuild(database, connection, state.index, patienceMs);
      const filter = { of: state.index };
      dropped.push(...(yield* dropLeftovers(context, connection, filter, { lockTimeoutMs })));
    } finally {
      await connection.close();
    }
  } catch (cause) {
    // The server goes on building, or another console has begun; that one drops leftovers first.
    if (cause instanceof ConsoleError && cause.code === 'busy') return;
    const why = failure instanceof Error ? failure.message : String(failure);
    throw new ConsoleError(
      cause instanceof ConsoleError ? cause.code : 'query_failed',
      `${why} What it left of ${state.index} could not be dropped: ${cause instanceof Error ? cause.message : String(cause)}`,
      { hint: 'Later: trace-console reindex --clean-up', cause },
    );
  }
}
