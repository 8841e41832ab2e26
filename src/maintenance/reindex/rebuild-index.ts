import { probesFor } from '../../core/vector-lists.js';
import type { Database, DirectConnection, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import type { ActionContext, Progress } from '../action.js';
import {
  connectForMaintenance,
  defaultLockTimeoutMs,
  followStatement,
  readBuildProgress,
  setLockTimeout,
} from '../long-statement.js';
import { dropLeftovers } from './leftovers.js';
import { lockRebuild, rebuiltMeanwhile } from './rebuild-lock.js';
import {
  type IndexState,
  readIndexStates,
  type RebuildPlan,
  reindexStatement,
} from './rebuild-plan.js';
import { finishedReplacement, type Replaced, replaceIndex } from './replace-index.js';

/** A sample of query vectors with their true neighbours, to hold an index against. */
type RecallSample = {
  queries: { vector: string; own: string | null; nearest: ReadonlySet<string> }[];
  /** Which vectors they are: of routed prompts, or of the table itself. */
  from: string;
};

type Recall = {
  /** Share of the true neighbours that the index finds, 0..1. */
  recall: number;
  queries: number;
  /** Milliseconds of one question, the median. */
  milliseconds: number;
};

const neighbours = 10;
const mostQueries = 40;

/** The exact answers read the whole table: they take no longer than this altogether, milliseconds. */
const exactBudgetMs = 10_000;

/** With fewer vectors a recall cannot be measured. */
const fewestQueries = 3;

const operators = new Map(
  Object.entries({
    vector_cosine_ops: '<=>',
    vector_l2_ops: '<->',
    vector_ip_ops: '<#>',
    vector_l1_ops: '<+>',
  }),
);

/**
 * Query vectors with their exact nearest neighbours, found without any index: embeddings of prompts that
 * were routed where there are some, since those are what is asked, else the table's own. Of 100 k vectors one
 * exact answer takes about 0.3 s, so there are as many as the budget allows.
 *
 * Undefined when nothing can be measured: no vectors, too slow, an operator class that is not known.
 */
async function sampleQueries(
  database: Database,
  state: IndexState,
  signal: AbortSignal,
): Promise<RecallSample | undefined> {
  const operator = operators.get(state.vector?.operatorClass[1] ?? '');
  if (!operator || !state.vector || state.rows <= neighbours) return undefined;
  const { vectors, from } = await chooseVectors(database, state);
  const queries: RecallSample['queries'] = [];
  const started = performance.now();
  for (const query of vectors) {
    if (signal.aborted || performance.now() - started > exactBudgetMs) break;
    const nearest = await database
      .transaction(
        {
          readOnly: true,
          statementTimeoutMs: exactBudgetMs,
          settings: { enable_indexscan: 'off' },
        },
        (tx) => ask(tx, state, operator, query),
      )
      .catch(() => undefined);
    if (!nearest) break;
    queries.push({ ...query, nearest: new Set(nearest) });
  }
  return queries.length < fewestQueries ? undefined : { queries, from };
}

/**
 * The recall@10 of the index as the schema's functions ask it: ivfflat with the square root of its lists as
 * probes, hnsw with an ef_search of 100.
 */
async function measureRecall(
  database: Database,
  state: IndexState,
  { queries }: RecallSample,
): Promise<Recall | undefined> {
  const operator = operators.get(state.vector?.operatorClass[1] ?? '');
  if (!operator || !state.vector || !state.valid) return undefined;
  const { method, lists } = state.vector;
  const setting =
    method === 'hnsw' ? 'hnsw.ef_search = 100' : `ivfflat.probes = ${probesFor(lists ?? 1)}`;
  // Makes the planner use the index: without sorts nothing else gives this order as cheaply.
  const settings = { enable_seqscan: 'off', enable_sort: 'off', enable_bitmapscan: 'off' };
  return database.transaction({ readOnly: true, settings }, async (tx) => {
    // Loads the library, which knows the settings.
    await tx.query(`SELECT '[1]'::vector; SET LOCAL ${setting}`);
    let found = 0;
    let wanted = 0;
    const times: number[] = [];
    for (const { nearest, ...query } of queries) {
      const begun = performance.now();
      const ids = await ask(tx, state, operator, query);
      times.push(performance.now() - begun);
      found += ids.filter((id) => nearest.has(id)).length;
      wanted += nearest.size;
    }
    times.sort((a, b) => a - b);
    const milliseconds = times[Math.floor(times.length / 2)] ?? 0;
    return { recall: wanted === 0 ? 1 : found / wanted, queries: queries.length, milliseconds };
  });
}

/** A vector to ask for, and the row it was taken from, which is no neighbour of itself. */
type Query = { vector: string; own: string | null };

/** The ids of the nearest rows. All tables of the schema have an id; where there is none nothing is measured. */
async function ask(
  tx: Queryable,
  { schema, table, vector }: IndexState,
  operator: string,
  query: Query,
): Promise<string[]> {
  const column = quoteIdent(vector?.column ?? '');
  const where = vector?.predicate ? `${vector.predicate} AND ` : '';
  const { rows } = await tx.query<{ id: string }>(
    `SELECT id::text AS id FROM ${quoteIdent(schema, table)}
     WHERE ${where}${column} IS NOT NULL
     ORDER BY ${column} ${operator} $1::vector LIMIT ${neighbours + (query.own === null ? 0 : 1)}`,
    [query.vector],
  );
  return rows.map(({ id }) => id).filter((id) => id !== query.own);
}

async function chooseVectors(
  database: Database,
  { schema, table, vector }: IndexState,
): Promise<{ vectors: Query[]; from: string }> {
  if (table === 'success_patterns') {
    const asked = await readSample(database, schema, 'agent_routing_decisions', 'query_embedding');
    if (asked.length >= mostQueries) {
      return { vectors: asked.map((query) => ({ ...query, own: null })), from: 'routed prompts' };
    }
  }
  const own = await readSample(database, schema, table, vector?.column ?? '');
  return { vectors: own, from: 'its own rows' };
}

/** Rows of pages from all over the table; a small one is read whole. */
async function readSample(
  database: Database,
  schema: string,
  table: string,
  column: string,
): Promise<Query[]> {
  const name = quoteIdent(schema, table);
  const vector = quoteIdent(column);
  const [size] = await database.read<{ rows: number }>(
    'SELECT reltuples AS rows FROM pg_class WHERE oid = to_regclass($1)',
    [name],
  );
  const percent = Math.min(100, (100 * 4_000) / Math.max(1, size?.rows ?? 1));
  return database
    .read<Query>(
      `SELECT ${vector}::text AS vector, id::text AS own FROM ${name} TABLESAMPLE SYSTEM (${percent})
       WHERE ${vector} IS NOT NULL ORDER BY random() LIMIT ${mostQueries}`,
    )
    .catch(() => []);
}

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

type RebuildOptions = { lockTimeoutMs?: number; recall?: boolean };

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
    // Its lock ends with the connection: cleaning up takes it again.
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
  // The drop is not cancelled by the signal: its lock time-out limits it.
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
