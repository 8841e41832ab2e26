import type { Database } from '../db/database.js';
import { quoteIdent } from '../db/quote.js';
import { backfill } from './backfill.js';
import { systemClock, type Clock } from './clock.js';
import { Embeddings, Random } from './random.js';
import { Incidents } from './incidents.js';
import { runLive } from './live.js';
import { planDemo, type DemoOptions, type DemoPlan } from './options.js';
import { PatternBook, patternRow } from './patterns.js';
import { checkWritable } from './preflight.js';
import type { World } from './simulation/tree.js';
import { intents } from './vocabulary/intents.js';
import { recordset, runInChunks } from './writing/recordset.js';
import { Writer, type RowCounts } from './writing/writer.js';

export type RunContext = {
  /** Ends the run cleanly: what is open is cancelled, what was done is counted. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: DemoProgress) => void) | undefined;
  clock?: Clock | undefined;
};

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
  const plan = planDemo(options, database.capabilities.embedded, clock.now());
  await checkWritable(database);
  const run = new DemoRun(database, plan, { ...context, clock });
  await run.prepare();
  const history = await run.fillHistory();
  const live = await run.makeTraffic();
  return {
    seed: plan.seed,
    start: new Date(plan.start).toISOString(),
    rows: { ...run.writer.inserted },
    backfill: history,
    live,
    interrupted: context.signal?.aborted ?? false,
  };
}

class DemoRun {
  readonly writer: Writer;
  readonly #database: Database;
  readonly #plan: DemoPlan;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  readonly #report: (progress: DemoProgress) => void;
  readonly #embeddings = new Embeddings();
  readonly #patterns: PatternBook;
  readonly #incidents: Incidents;

  constructor(database: Database, plan: DemoPlan, context: RunContext & { clock: Clock }) {
    this.#database = database;
    this.#plan = plan;
    this.#clock = context.clock;
    this.#signal = context.signal;
    this.#report = context.onProgress ?? (() => undefined);
    this.#patterns = new PatternBook(patternVariants(plan.history?.traces ?? 0));
    this.#incidents = new Incidents(plan.seed, plan.start);
    this.writer = this.#writer(plan.live ? Infinity : backfillPatienceMs);
  }

  async prepare(): Promise<void> {
    const { start, seed, history } = this.#plan;
    const times = { from: start - (history?.lengthMs ?? 0), until: start, seed };
    const rows = await storePatterns(
      this.#patterns,
      this.#embeddings,
      this.writer,
      times,
      this.#signal,
    );
    this.#report({ phase: 'patterns', rows });
  }

  async fillHistory(): Promise<DemoSummary['backfill']> {
    const { history, seed, start } = this.#plan;
    if (!history || this.#signal?.aborted) return null;
    const begun = this.#clock.now();
    const rowsBefore = total(this.writer.inserted);
    const rows = () => total(this.writer.inserted) - rowsBefore;
    const perSecond = () => rate(rows(), this.#clock.now() - begun);
    const world = this.#world(Math.min(0.2, mostHistoricEmbeddings / history.traces));
    const traces = await backfill(world, this.writer, {
      seed,
      end: start,
      lengthMs: history.lengthMs,
      traces: history.traces,
      signal: this.#signal,
      onProgress: (done) =>
        this.#report({
          phase: 'backfill',
          traces: done,
          ofTraces: history.traces,
          rows: rows(),
          rowsPerSecond: perSecond(),
        }),
    });
    const seconds = round2((this.#clock.now() - begun) / 1_000);
    const summary = { traces, rows: rows(), seconds, rowsPerSecond: perSecond() };
    await this.#analyze();
    return summary;
  }

  async makeTraffic(): Promise<DemoSummary['live']> {
    const { live, seed, startIsGiven } = this.#plan;
    if (!live || this.#signal?.aborted) return null;
    const begun = this.#clock.now();
    const start = startIsGiven ? this.#plan.start : begun;
    const rowsBefore = total(this.writer.inserted);
    let last = { at: begun, traces: 0 };
    const state = await runLive(this.#world(liveEmbeddingShare), this.writer, {
      seed,
      start,
      ...live,
      clock: this.#clock,
      signal: this.#signal,
      onStep: ({ traces, open, lagMs, missed }) => {
        const now = this.#clock.now();
        if (now - last.at < reportEveryMs) return;
        const rows = total(this.writer.inserted) - rowsBefore;
        const tracesPerSecond = rate(traces - last.traces, now - last.at);
        last = { at: now, traces };
        this.#report({ phase: 'live', traces, rows, tracesPerSecond, open, lagMs, missed });
      },
    });
    const ms = this.#clock.now() - begun;
    return {
      traces: state.traces,
      rows: total(this.writer.inserted) - rowsBefore,
      seconds: round2(ms / 1_000),
      tracesPerSecond: rate(state.traces, ms),
      missed: state.missed,
      cancelled: state.cancelled,
      longestLagMs: state.longestLagMs,
    };
  }

  #world(embeddingShare: number): World {
    return {
      incidents: this.#incidents,
      embeddings: this.#embeddings,
      patterns: this.#patterns,
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
        tx.query(`ANALYZE ${Object.keys(this.writer.inserted).join(', ')}`),
      )
      .catch(() => undefined);
  }
}

/** A pattern for every 40 traces of history, at least six of each intent. */
function patternVariants(traces: number): number {
  return Math.max(6, Math.min(60, Math.round(traces / 40 / intents.length)));
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
  book: PatternBook,
  embeddings: Embeddings,
  writer: Writer,
  times: { from: number; until: number; seed: number },
  signal: AbortSignal | undefined,
): Promise<number> {
  const known = await writer.run(async (tx) => {
    const { rows } = await tx.query<{ pattern_hash: string }>(
      `SELECT pattern_hash FROM ${quoteIdent('success_patterns')} WHERE pattern_hash = ANY ($1)`,
      [book.patterns.map(({ hash }) => hash)],
    );
    return new Set(rows.map(({ pattern_hash }) => pattern_hash));
  });
  const missing = book.patterns.filter(({ hash }) => !known.has(hash));
  let stored = 0;
  for (let index = 0; index < missing.length && !signal?.aborted; index += perTransaction) {
    const rows = missing.slice(index, index + perTransaction).map((one) => {
      const random = new Random('learned', times.seed, one.hash);
      // Most are known early, so that history can use them.
      const age = (times.until - times.from) * (1 - 0.3 * random.next() ** 2);
      return patternRow(one, Math.round(times.until - age), embeddings);
    });
    stored += await writer.run((tx) => runInChunks(tx, insert, 'success_patterns', rows));
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
