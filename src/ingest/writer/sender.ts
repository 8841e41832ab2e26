import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveSource } from '../../db/connection/source.js';
import { Database, type Queryable } from '../../db/database.js';
import { ConsoleError, isRecordsFault } from '../../db/errors.js';
import { appendFrame, spoolFolder, spoolLimit } from '../spool/append.js';
import { encodeFrame, writerCli } from '../spool/frame.js';
import { RowStatements, writerTables, type RowJson, type WriterTable } from './statements.js';
import type { TracerOptions, WriterProblem, WriterStats } from './types.js';

/** Rows of one transaction, and bytes of it: the caller's event loop sends them, and reads the answer. */
const chunkRows = 2_000;
const chunkBytes = 1 << 20;

/** So many rows do not wait for the clock. */
const dueRows = 500;

const foreignKeyViolation = '23503';

/** How long (ms) is waited after a failure: at first, at last. */
const retryMs = { first: 250, last: 5_000 };

/** How long (ms) a connection may take to say goodbye. */
const goodbyeMs = 1_000;

const limits = { statementTimeoutMs: 30_000, lockTimeoutMs: 10_000, purpose: 'writer' } as const;

type Chunk = {
  table: WriterTable;
  rows: RowJson[];
  bytes: number;
  transaction?: string | undefined;
  /** A trace, or a hook, that rows belong to is not there. */
  isChecked?: boolean;
};

/**
 * Rows that wait, by table and id: a later image of a row takes the place of one that waits. What waits is bounded; with
 * more, the newest are dropped and counted.
 */
class RowQueue {
  #rows = new Map<WriterTable, Map<string, RowJson>>();
  readonly #most: { rows: number; bytes: number };
  /** With those that are being sent. */
  count = 0;
  bytes = 0;

  constructor(most: { rows: number; bytes: number }) {
    this.#most = most;
  }

  hasRoom(factor = 1): boolean {
    return this.count < this.#most.rows * factor && this.bytes < this.#most.bytes * factor;
  }

  get share(): number {
    return Math.max(this.count / this.#most.rows, this.bytes / this.#most.bytes);
  }

  /** @param factor how much more than others this row may find room for: the end of what is there already */
  put(table: WriterTable, id: string, json: RowJson, factor: number): boolean {
    const rows = this.#rows.get(table) ?? new Map<string, RowJson>();
    const old = rows.get(id);
    if (old === undefined && !this.hasRoom(factor)) return false;
    if (old === undefined) this.count += 1;
    this.bytes += json.length - (old?.length ?? 0);
    rows.set(id, json);
    this.#rows.set(table, rows);
    return true;
  }

  /** All that waits, traces first: what belongs to them finds them there. */
  take(): Chunk[] {
    const taken = this.#rows;
    this.#rows = new Map();
    return writerTables.flatMap((table) => {
      const chunks: Chunk[] = [];
      for (const json of taken.get(table)?.values() ?? []) {
        let chunk = chunks.at(-1);
        if (!chunk || chunk.rows.length >= chunkRows || chunk.bytes >= chunkBytes) {
          chunk = { table, rows: [], bytes: 0 };
          chunks.push(chunk);
        }
        chunk.rows.push(json);
        chunk.bytes += json.length;
      }
      return chunks;
    });
  }
}

/** Brings rows into the database, off the caller's path. */
export class Sender {
  readonly #options: TracerOptions;
  readonly #queue: RowQueue;
  readonly #beforeTake: () => void;
  readonly #said = new Set<WriterProblem['kind']>();
  #pending: Chunk[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;
  #sending: Promise<void> | undefined;
  #opened: { database: Database; statements: RowStatements } | undefined;
  #isClosed = false;
  /** Waits between tries are cut short by it. */
  #hurry = new AbortController();
  readonly #counts = { written: 0, spooled: 0, dropped: 0, refused: 0 };

  /** @param beforeTake puts what is still going on into the queue */
  constructor(options: TracerOptions, beforeTake: () => void) {
    this.#options = options;
    this.#beforeTake = beforeTake;
    this.#queue = new RowQueue({
      rows: positive(options.queueRows, 20_000),
      bytes: positive(options.queueBytes, 64 << 20),
    });
  }

  get stats(): WriterStats {
    return { queued: this.#queue.count, ...this.#counts };
  }

  /** @returns whether there was room */
  put(table: WriterTable, id: string, json: RowJson, factor = 1): boolean {
    if (this.#isClosed || !this.#queue.put(table, id, json, factor)) {
      this.drop();
      return false;
    }
    this.schedule();
    return true;
  }

  hasRoom(also: number): boolean {
    return (
      !this.#isClosed &&
      this.#queue.hasRoom() &&
      this.#queue.count + also < positive(this.#options.queueRows, 20_000)
    );
  }

  drop(): void {
    this.#counts.dropped += 1;
    this.say({
      kind: 'full',
      message: 'More comes than the database takes: new rows are dropped, and counted.',
    });
  }

  schedule(): void {
    if (this.#sending !== undefined) return;
    const isDue = this.#queue.count >= dueRows;
    if (this.#timer !== undefined && (this.#isDue || !isDue)) return;
    clearTimeout(this.#timer);
    this.#isDue = isDue;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#start();
      },
      isDue ? 0 : positive(this.#options.flushMs, 200),
    ).unref();
  }

  async flush(withinMs: number): Promise<boolean> {
    const until = performance.now() + withinMs;
    this.#beforeTake();
    this.#hurry.abort();
    while (!this.#isDone) {
      const left = until - performance.now();
      if (left <= 0) return false;
      // It keeps the process alive for so long.
      const timer = new AbortController();
      await Promise.race([
        this.#start(),
        sleep(left, undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
    }
    return true;
  }

  async close(withinMs: number): Promise<boolean> {
    let isDone = await this.flush(withinMs);
    this.#isClosed = true;
    this.#hurry.abort();
    if (!isDone && this.#options.spool) {
      this.spoolAll();
      isDone = this.#isDone;
    }
    clearTimeout(this.#timer);
    const opened = this.#opened;
    this.#opened = undefined;
    const closed = opened?.database.close().catch(() => undefined);
    await Promise.race([closed, sleep(goodbyeMs, undefined, { ref: false })]);
    return isDone;
  }

  get hasWaiting(): boolean {
    this.#beforeTake();
    return this.#queue.count > 0;
  }

  /** At once, without waiting: the process ends. */
  spoolAll(): void {
    if (!this.#options.spool) return;
    this.#take();
    try {
      while (this.#pending[0]) this.#toSpool(this.#pending[0]);
    } catch {
      // Neither the database nor the spool takes the rows: they are lost.
    }
  }

  say(problem: WriterProblem): void {
    if (this.#said.has(problem.kind)) return;
    this.#said.add(problem.kind);
    try {
      if (this.#options.onProblem) this.#options.onProblem(problem);
      else process.emitWarning(problem.message, 'TraceConsoleWriter');
    } catch {
      // An error in the caller's listener must not affect writing.
    }
  }

  get #isDone(): boolean {
    return this.#queue.count === 0;
  }

  #start(): Promise<void> {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
      if (!this.#isDone && !this.#isClosed) this.schedule();
    });
    return this.#sending;
  }

  #take(): void {
    this.#beforeTake();
    this.#pending.push(...this.#queue.take());
  }

  /** One round: all that waits now, until the database refuses. */
  async #send(): Promise<void> {
    if (this.#pending.length === 0) this.#take();
    let wait = retryMs.first;
    while (this.#pending[0] !== undefined && !this.#isClosed) {
      const [chunk] = this.#pending;
      try {
        await this.#write(chunk);
        wait = retryMs.first;
        this.#said.delete('away');
        if (this.#queue.share < 0.5) this.#said.delete('full');
      } catch (error) {
        if (this.#pending[0] !== chunk) continue;
        this.say({ kind: 'away', message: `Traces wait: ${messageOf(error)}` });
        if (this.#options.spool && this.#queue.share >= 0.5) {
          this.spoolAll();
          continue;
        }
        this.#hurry = new AbortController();
        await sleep(wait, undefined, { ref: false, signal: this.#hurry.signal }).catch(
          () => undefined,
        );
        wait = Math.min(wait * 2, retryMs.last);
      }
    }
  }

  /** @throws Error when the database does not take it now */
  async #write(chunk: Chunk): Promise<void> {
    const { database, statements } = await this.#open();
    if (chunk.transaction !== undefined && (await wasCommitted(database, chunk.transaction))) {
      this.#settle(chunk, 0);
      return;
    }
    try {
      const refused = await database.transaction(limits, async (tx) => {
        // Everything else is the same when it is written twice.
        if (chunk.table === 'pattern_usage_log') chunk.transaction = await transactionId(tx);
        return statements.write(tx, chunk.table, chunk.rows, chunk.isChecked === true);
      });
      this.#settle(chunk, refused);
    } catch (error) {
      chunk.transaction =
        error instanceof ConsoleError && error.sqlState ? undefined : chunk.transaction;
      if (!isRecordsFault(error)) throw error;
      if (error.sqlState === foreignKeyViolation && chunk.isChecked !== true) {
        chunk.isChecked = true;
        return;
      }
      this.#divide(chunk, error.message);
    }
  }

  /** One of the rows is what the database refuses: alone it is left out. */
  #divide(chunk: Chunk, reason: string): void {
    if (chunk.rows.length === 1) {
      this.#settle(chunk, 1, reason);
      return;
    }
    if (this.#pending[0] !== chunk) return;
    const middle = Math.ceil(chunk.rows.length / 2);
    const parts = [chunk.rows.slice(0, middle), chunk.rows.slice(middle)].map((rows) => ({
      table: chunk.table,
      rows,
      bytes: rows.reduce((sum, row) => sum + row.length, 0),
    }));
    this.#pending.splice(0, 1, ...parts);
  }

  #settle(
    chunk: Chunk,
    refused: number,
    reason = 'the trace that they belong to is not there.',
  ): void {
    // The process may have ended its wait, and put it into the spool.
    if (this.#pending[0] !== chunk) return;
    this.#pending.shift();
    this.#queue.count -= chunk.rows.length;
    this.#queue.bytes -= chunk.bytes;
    this.#counts.written += chunk.rows.length - refused;
    this.#counts.refused += refused;
    if (refused > 0)
      this.say({ kind: 'refused', message: `Rows of ${chunk.table} are left out: ${reason}` });
  }

  /** @throws Error of the file system */
  #toSpool(chunk: Chunk): void {
    const folder =
      typeof this.#options.spool === 'string'
        ? this.#options.spool
        : spoolFolder(process.env, os.homedir);
    const frame = encodeFrame({
      id: randomUUID(),
      at: `${Date.now()}000000`,
      cli: writerCli,
      event: chunk.table,
      payload: chunk.rows.map((row) => JSON.parse(row) as unknown),
      bytes: chunk.bytes,
    });
    const isFull = appendFrame(folder, frame, spoolLimit(process.env)) === 'full';
    this.#pending.shift();
    this.#queue.count -= chunk.rows.length;
    this.#queue.bytes -= chunk.bytes;
    this.#counts[isFull ? 'dropped' : 'spooled'] += chunk.rows.length;
    if (isFull)
      this.say({ kind: 'full', message: `The spool ${folder} is full: rows are dropped.` });
  }

  async #open(): Promise<{ database: Database; statements: RowStatements }> {
    if (this.#opened) return this.#opened;
    const { url, schema } = this.#options;
    const source = resolveSource({ url });
    if (source.kind !== 'server') {
      throw new ConsoleError(
        'usage',
        'No database is named: set DATABASE_URL, or give createTracer a url.',
      );
    }
    const database = await Database.open(source, { schema });
    try {
      const statements = await database.transaction({ ...limits, readOnly: true }, (tx) =>
        RowStatements.read(tx),
      );
      this.#opened = { database, statements };
      return this.#opened;
    } catch (error) {
      await database.close();
      throw error;
    }
  }
}

const positive = (value: number | undefined, otherwise: number): number =>
  typeof value === 'number' && value > 0 ? value : otherwise;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

async function transactionId(tx: Queryable): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
  return rows[0]?.id;
}

/** Whether a transaction whose COMMIT was not answered has happened. */
async function wasCommitted(database: Database, transaction: string): Promise<boolean> {
  const [row] = await database.read<{ status: string | null }>(
    'SELECT pg_xact_status($1::text::xid8) AS status',
    [transaction],
  );
  if (row?.status === 'in progress') throw new Error('an earlier transaction has not ended.');
  return row?.status === 'committed';
}
