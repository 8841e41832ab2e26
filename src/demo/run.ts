import type { Database } from '../db/database.js';
import { quoteIdent } from '../db/quote.js';
import { backfill } from './backfill.js';
import { systemClock, type Clock } from '../core/clock.js';
import { Embeddings, Random } from './random.js';
import { Incidents } from './incidents.js';
import { runLive } from './live.js';
import { demoTag, planDemo, type DemoOptions, type DemoPlan } from './options.js';
import { type Pattern, PatternBook, patternRow } from './patterns.js';
import type { PatternRow } from './rows.js';
import { checkWritable, recordset, runInChunks } from './writing/recordset.js';
import type { World } from './simulation/tree.js';
import { intents } from './vocabulary/intents.js';
import { noRows, Writer, type RowCounts } from './writing/writer.js';

export type RunContext = {
  /** Ends the run cleanly: what is open is cancelled, what was done is counted. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: DemoProgress) => void) | undefined;
  clock?: Clock | undefined;
  /** Made before, while the database was being opened. */
  learned?: Learned | undefined;
};

/** What the agents have learned before they begin. Needs no database, and a tenth of a second. */
export type Learned = {
  patterns: PatternBook;
  embeddings: Embeddings;
  rows: ReadonlyMap<Pattern, PatternRow>;
};

export function makeLearned({ history, start }: DemoPlan, embedded: boolean): Learned {
  const patterns = new PatternBook(patternVariants(history?.traces ?? 0, embedded));
  const embeddings = new Embeddings();
  const rows = new Map(
    patterns.patterns.map((one) => [one, patternRow(one, start, embeddings)] as const),
  );
  return { patterns, embeddings, rows };
}

/** Embeddings of routing decisions: 6 kB each, and an insert into an ivfflat index. */
const mostHistoricEmbeddings = 1_000;
const liveEmbeddingShare = 0.04;
/** How long a server may be away. Live traffic waits for ever, a backfill gives up. */
const backfillPatienceMs = 30_000;
const reportEveryMs = 5_000;

/**
 * Fills in history, then makes live traffic, as the options say. Everything that it writes can be
 * taken away by {@link removeDemo}.
 *
 * @throws ConsoleError `usage`, `read_only`, `standby`, `schema_missing`, `schema_incompatible`,
 * `row_security`; errors of the connection, after waiting for it.
 */
export async function runDemo(
  database: Database,
  options: DemoOptions,
  context: RunContext = {},
): Promise<DemoSummary> {
  const clock = context.clock ?? systemClock;
  const plan = planDemo(options, database.capabilities.embedded, clock.wallNow());
  await checkWritable(database);
  const run = new DemoRun(database, plan, { ...context, clock });
  await run.prepare();
  const [history, live] = await run.write();
  return {
    seed: plan.seed,
    start: new Date(plan.start).toISOString(),
    rows: run.inserted,
    backfill: history,
    live,
    interrupted: context.signal?.aborted ?? false,
  };
}

/** What an earlier run has written, milliseconds since 1970; undefined: nothing. */
type Earlier = { oldestMs: number; newestMs: number } | undefined;

class DemoRun {
  readonly #history: Writer;
  readonly #live: Writer;
  readonly #ended = new AbortController();
  #earlier: Earlier;
  readonly #database: Database;
  readonly #plan: DemoPlan;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #report: (progress: DemoProgress) => void;
  readonly #learned: Learned;
  readonly #incidents: Incidents;

  constructor(database: Database, plan: DemoPlan, context: RunContext & { clock: Clock }) {
    this.#database = database;
    this.#plan = plan;
    this.#clock = context.clock;
    const { signal } = context;
    this.#signal = signal ? AbortSignal.any([signal, this.#ended.signal]) : this.#ended.signal;
    this.#report = context.onProgress ?? (() => undefined);
    this.#learned = context.learned ?? makeLearned(plan, database.capabilities.embedded);
    this.#incidents = new Incidents(plan.seed, plan.start);
    this.#history = this.#writer(plan.live ? Infinity : backfillPatienceMs);
    this.#live = this.#writer(Infinity);
  }

  get inserted(): RowCounts {
    const counts = noRows();
    for (const { inserted } of [this.#history, this.#live]) {
      for (const table of Object.keys(counts) as (keyof RowCounts)[]) {
        counts[table] += inserted[table];
      }
    }
    return counts;
  }

  async prepare(): Promise<void> {
    const { start, seed, history, continues } = this.#plan;
    if (continues) this.#earlier = await readEarlier(this.#database);
    const times = { from: start - (history?.lengthMs ?? 0), until: start, seed };
    const rows = await storePatterns(this.#learned, this.#history, times, this.#signal);
    this.#report({ phase: 'patterns', rows });
  }

  /** History, and the traffic beside it: its first minutes come first, so that there is something to see. */
  async write(): Promise<[DemoSummary['backfill'], DemoSummary['live']]> {
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const live = this.#makeTraffic(begin).finally(begin);
    const history = begun.then(() => this.#fillHistory());
    // What one of them cannot do ends the other, which tidies up.
    for (const one of [live, history]) one.catch(() => this.#ended.abort());
    const [filled, made] = await Promise.allSettled([history, live]);
    if (filled.status === 'rejected') throw filled.reason;
    if (made.status === 'rejected') throw made.reason;
    return [filled.value, made.value];
  }

  async #fillHistory(): Promise<DemoSummary['backfill']> {
    const { history, seed, start, leadMs } = this.#plan;
    if (!history || this.#signal.aborted) return null;
    const end = start - leadMs;
    const before = this.#earlier && Math.min(end, this.#earlier.oldestMs);
    // An earlier run has come to the end of it: time has only passed since.
    if (before !== undefined && before <= start - 0.98 * history.lengthMs) return null;
    const begun = this.#clock.wallNow();
    const rowsBefore = total(this.#history.inserted);
    const rows = () => total(this.#history.inserted) - rowsBefore;
    const perSecond = () => rate(rows(), this.#clock.wallNow() - begun);
    const world = this.#world(Math.min(0.2, mostHistoricEmbeddings / history.traces));
    const { embedded } = this.#database.capabilities;
    const traces = await backfill(world, this.#history, {
      ...history,
      ...{ seed, end, before },
      rowsPerTransaction: embedded ? 1_000 : 10_000,
      signal: this.#signal,
      onProgress: (done) =>
        this.#report({
          phase: 'backfill',
          ...done,
          rows: rows(),
          rowsPerSecond: perSecond(),
        }),
    });
    const seconds = round2((this.#clock.wallNow() - begun) / 1_000);
    const summary = { traces, rows: rows(), seconds, rowsPerSecond: perSecond() };
    await this.#analyze();
    return summary;
  }

  /** @param onBegun the first rows are written */
  async #makeTraffic(onBegun: () => void): Promise<DemoSummary['live']> {
    const { live, seed, startIsGiven } = this.#plan;
    if (!live || this.#signal.aborted) return null;
    const begun = this.#clock.wallNow();
    const lead = this.#leadBefore(begun);
    const start = startIsGiven ? this.#plan.start : begun;
    let last = { at: begun, traces: 0 };
    const state = await runLive(this.#world(liveEmbeddingShare), this.#live, {
      seed,
      start: start - lead,
      leadMs: lead,
      ...live,
      clock: this.#clock,
      signal: this.#signal,
      onStep: ({ traces, open, lagMs, missed }) => {
        onBegun();
        const now = this.#clock.wallNow();
        if (now - last.at < reportEveryMs) return;
        const rows = total(this.#live.inserted);
        const tracesPerSecond = rate(traces - last.traces, now - last.at);
        last = { at: now, traces };
        this.#report({ phase: 'live', traces, rows, tracesPerSecond, open, lagMs, missed });
      },
    });
    const ms = this.#clock.wallNow() - begun;
    return {
      traces: state.traces,
      rows: total(this.#live.inserted),
      seconds: round2(ms / 1_000),
      tracesPerSecond: rate(state.traces, ms),
      missed: state.missed,
      cancelled: state.cancelled,
      longestLagMs: state.longestLagMs,
    };
  }

  /** How far before the start the traffic begins, ms: where history ends, or that of an earlier run. */
  #leadBefore(now: number): number {
    const { start, startIsGiven, leadMs } = this.#plan;
    if (leadMs === 0) return 0;
    const begins = (startIsGiven ? start : now) - (start - leadMs);
    const pause = this.#earlier ? Math.max(0, now - this.#earlier.newestMs) : Infinity;
    return Math.min(begins, pause);
  }

  #world(embeddingShare: number): World {
    return {
      incidents: this.#incidents,
      embeddings: this.#learned.embeddings,
      patterns: this.#learned.patterns,
      embeddingShare,
    };
  }

  #writer(patienceMs: number): Writer {
    return new Writer(this.#database, {
      clock: this.#clock,
      signal: this.#signal,
      patienceMs,
      onWait: (error) => this.#report({ phase: 'waiting', reason: error.message }),
    });
  }

  /** Without fresh statistics the first queries after so many rows get poor plans. */
  async #analyze(): Promise<void> {
    await this.#database
      .transaction({ statementTimeoutMs: 60_000 }, (tx) =>
        tx.query(`ANALYZE ${Object.keys(this.#history.inserted).join(', ')}`),
      )
      .catch(() => undefined);
  }
}

async function readEarlier(database: Database): Promise<Earlier> {
  const of = (order: string) =>
    `(SELECT date_part('epoch', started_at) * 1000 FROM execution_traces WHERE tags @> ARRAY[$1] ORDER BY started_at ${order} LIMIT 1)`;
  const [row] = await database.read<{ oldest: number | null; newest: number | null }>(
    `SELECT ${of('ASC')} AS oldest, ${of('DESC')} AS newest`,
    [demoTag],
  );
  const { oldest, newest } = row ?? { oldest: null, newest: null };
  if (oldest === null || newest === null) return undefined;
  return { oldestMs: oldest, newestMs: newest };
}

/** A pattern for every 40 traces of history, at least six of each intent. On the embedded database few: all come before the first trace. */
function patternVariants(traces: number, embedded: boolean): number {
  return Math.max(6, Math.min(embedded ? 8 : 60, Math.round(traces / 40 / intents.length)));
}

function total(counts: RowCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function rate(count: number, ms: number): number {
  return ms > 0 ? round2((count * 1_000) / ms) : 0;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}

const pattern = recordset('success_patterns');

const insert = `
INSERT INTO success_patterns (${pattern.names})
SELECT ${pattern.values} FROM ${pattern.source}
ON CONFLICT (pattern_hash) DO NOTHING`;

const perTransaction = 100;

/** Stores the patterns that are not there yet, learned at some time within `from`…`until`. */
async function storePatterns(
  { patterns, rows }: Learned,
  writer: Writer,
  times: { from: number; until: number; seed: number },
  signal: AbortSignal | undefined,
): Promise<number> {
  const known = await writer.run(async (tx) => {
    const { rows } = await tx.query<{ pattern_hash: string }>(
      `SELECT pattern_hash FROM ${quoteIdent('success_patterns')} WHERE pattern_hash = ANY ($1)`,
      [patterns.patterns.map(({ hash }) => hash)],
    );
    return new Set(rows.map(({ pattern_hash }) => pattern_hash));
  });
  const missing = [...rows].filter(([{ hash }]) => !known.has(hash));
  let stored = 0;
  for (let index = 0; index < missing.length && !signal?.aborted; index += perTransaction) {
    const some = missing.slice(index, index + perTransaction).map(([one, row]) => {
      const random = new Random('learned', times.seed, one.hash);
      // Most are known early, so that history can use them.
      const age = (times.until - times.from) * (1 - 0.3 * random.next() ** 2);
      const at = Math.round(times.until - age);
      return { ...row, created_at: at, updated_at: at };
    });
    stored += await writer.run((tx) => runInChunks(tx, insert, 'success_patterns', some));
  }
  writer.inserted.success_patterns += stored;
  return stored;
}

/** Where a run is. */
export type DemoProgress =
  | { phase: 'patterns'; rows: number }
  | {
      phase: 'backfill';
      traces: number;
      ofTraces: number;
      /** All that is later is written, milliseconds since 1970: history is written backwards. */
      since: number;
      rows: number;
      rowsPerSecond: number;
    }
  | {
      phase: 'live';
      /** Since the beginning. */
      traces: number;
      rows: number;
      /** Since the last report. */
      tracesPerSecond: number;
      open: number;
      /** How late the last rows were committed, ms. */
      lagMs: number;
      /** Traces not started because the server was too far behind. */
      missed: number;
    }
  /** The server does not answer; the run goes on when it does. */
  | { phase: 'waiting'; reason: string };

/** What a run did. */
export type DemoSummary = {
  seed: number;
  /** ISO 8601 */
  start: string;
  /** Rows inserted by table; of chains and errors: occurrences counted. */
  rows: RowCounts;
  backfill: { traces: number; rows: number; seconds: number; rowsPerSecond: number } | null;
  live: {
    traces: number;
    rows: number;
    seconds: number;
    tracesPerSecond: number;
    missed: number;
    cancelled: number;
    longestLagMs: number;
  } | null;
  /** Ended by the signal. */
  interrupted: boolean;
};
