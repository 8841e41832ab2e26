import { ConsoleError } from '../../db/errors.js';
import type { DirectConnection } from '../../db/database.js';
import type { ActionContext, Progress } from '../action.js';
import { followStatement } from '../follow-statement.js';
import { connectForMaintenance } from '../maintenance-connection.js';
import { readBuildProgress } from '../server-progress.js';
import { readIndexStates, type IndexState } from './index-state.js';
import { dropLeftovers } from './leftovers.js';
import { measureRecall, sampleQueries, type Recall } from './recall.js';
import { reindexStatement, type RebuildPlan } from './rebuild-plan.js';
import { replaceIndex } from './replace-index.js';

export type RebuiltIndex = {
  index: string;
  table: string;
  bytesBefore: number;
  bytesAfter: number;
  milliseconds: number;
  /** Leftovers that were dropped, of this or earlier builds. */
  dropped: string[];
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
  { lockTimeoutMs, recall = true }: RebuildOptions,
): AsyncGenerator<Progress, { end: RebuildEnd; rebuilt: RebuiltIndex }> {
  const { database, signal } = context;
  const { state } = plan;
  const started = performance.now();
  let sample: Awaited<ReturnType<typeof sampleQueries>>;
  let recallBefore: Recall | undefined;
  if (state.vector && recall) {
    yield { phase: `measuring the recall of ${state.index}` };
    sample = await sampleQueries(database, state, signal);
    if (sample) recallBefore = await recallOf(context, state, sample);
  }
  const dropped: string[] = [];
  const end = yield* buildOrTidyUp(context, plan, lockTimeoutMs, dropped);
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
function recallOf(
  { database }: ActionContext,
  ...rest: Parameters<typeof measureRecall> extends [unknown, ...infer Rest] ? Rest : never
) {
  return measureRecall(database, ...rest).catch(() => undefined);
}

async function* buildOrTidyUp(
  context: ActionContext,
  plan: RebuildPlan,
  lockTimeoutMs: number | undefined,
  dropped: string[],
): AsyncGenerator<Progress, RebuildEnd> {
  const connection = await connectForMaintenance(context.database, lockTimeoutMs);
  try {
    return yield* build(context, connection, plan, dropped);
  } catch (error) {
    yield* tidyUp(context, plan.state, error, dropped);
    if (!context.signal.aborted) throw error;
    return 'cancelled';
  } finally {
    await connection.close();
  }
}

async function* build(
  context: ActionContext,
  connection: DirectConnection,
  { state, way, wanted }: RebuildPlan,
  dropped: string[],
): AsyncGenerator<Progress, RebuildEnd> {
  if (wanted) await raiseMemory(connection, wanted.memoryBytes);
  if (way === 'replace' && wanted) {
    return yield* replaceIndex(context, connection, state, wanted);
  }
  const filter = { of: state.index };
  dropped.push(...(yield* dropLeftovers(context, connection, filter, 'dropping the leftover')));
  return yield* followStatement(context, connection, reindexStatement(state), {
    phase: `rebuilding ${state.index}`,
    readProgress: readBuildProgress,
    detachable: true,
  });
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
 * then the safe rule finds nothing, and nothing is dropped.
 */
async function* tidyUp(
  { database }: ActionContext,
  state: IndexState,
  failure: unknown,
  dropped: string[],
): AsyncGenerator<Progress, void> {
  // It is not cancelled as well: its lock time-out bounds it.
  const context = { database, signal: new AbortController().signal };
  try {
    const connection = await connectForMaintenance(database);
    try {
      const filter = { of: state.index };
      dropped.push(...(yield* dropLeftovers(context, connection, filter, 'dropping')));
    } finally {
      await connection.close();
    }
  } catch (cause) {
    const why = failure instanceof Error ? failure.message : String(failure);
    throw new ConsoleError(
      cause instanceof ConsoleError ? cause.code : 'query_failed',
      `${why} What it left of ${state.index} could not be dropped: ${cause instanceof Error ? cause.message : String(cause)}`,
      { hint: 'Later: trace-console reindex --clean-up', cause },
    );
  }
}
