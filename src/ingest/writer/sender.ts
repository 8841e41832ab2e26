import { parseExactJson } from '../../core/exact-json.js';
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveSource, type ServerSource } from '../../db/connection/source.js';
import { Database } from '../../db/database.js';
import { ConsoleError, isRecordsFault } from '../../db/errors.js';
import { appendFrame, spoolFolder, spoolLimit } from '../spool/append.js';
import { encodeFrame, writerCli } from '../spool/frame.js';
import {
  RowQueue,
  RowStatements,
  transactionId,
  wasCommitted,
  type Chunk,
  type RowJson,
  type WriterTable,
} from './statements.js';
import type { TracerOptions, WriterProblem, WriterStats } from './types.js';

/** Bytes of one transaction: a commit costs as much as some hundred rows. */
const togetherBytes = 4 << 20;

/** So many rows do not wait for the clock. */
const dueRows = 500;

const foreignKeyViolation = '23503';

/** How long (ms) is waited after a failure: at first, at last. */
const retryMs = { first: 250, last: 5_000 };

/** How long (ms) a connection may take to say goodbye. */
const goodbyeMs = 1_000;

const limits = { statementTimeoutMs: 30_000, lockTimeoutMs: 10_000, purpose: 'writer' } as const;

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
      message: this.#isClosed
        ? 'The writer is closed: new rows are dropped, and counted.'
        : 'More comes than the database takes: new rows are dropped, and counted.',
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
      if (this.#opened === undefined && !this.#isNamed()) return false;
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
    this.#dropRest();
    return isDone;
  }

  /** Whether there is a database to wait for: where none is named, none will come. */
  #isNamed(): boolean {
    try {
      this.#source();
      return true;
    } catch (error) {
      this.#sayAway(error);
      return false;
    }
  }

  /** What nobody has taken when the writer is closed. */
  #dropRest(): void {
    const { count } = this.#queue;
    if (count === 0) return;
    this.#queue.take();
    this.#pending = [];
    this.#queue.count = 0;
    this.#queue.bytes = 0;
    this.#counts.dropped += count;
    this.#said.delete('full');
    const rows = count === 1 ? '1 row is' : `${count} rows are`;
    this.say({
      kind: 'full',
      message: `${rows} dropped: the writer was closed before the database had them.`,
    });
  }

  #sayAway(error: unknown): void {
    this.say({ kind: 'away', message: `Traces wait: ${messageOf(error)}` });
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
        await this.#write(this.#together());
        wait = retryMs.first;
        this.#said.delete('away');
        if (this.#queue.share < 0.5) this.#said.delete('full');
      } catch (error) {
        if (this.#pending[0] !== chunk) continue;
        this.#sayAway(error);
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

  /** What goes into the next transaction: a trace and what belongs to it come at once. */
  #together(): Chunk[] {
    let bytes = 0;
    const end = this.#pending.findIndex((chunk, index) => {
      bytes += chunk.bytes;
      return index > 0 && (bytes > togetherBytes || goesAlone(chunk));
    });
    const [first] = this.#pending;
    const count = first && goesAlone(first) ? 1 : end;
    return this.#pending.slice(0, count === -1 ? undefined : count);
  }

  /** @throws Error when the database does not take it now */
  async #write(chunks: readonly Chunk[]): Promise<void> {
    const [chunk] = chunks;
    if (chunk === undefined) return;
    const { database, statements } = await this.#open();
    if (chunk.transaction !== undefined && (await wasCommitted(database, chunk.transaction))) {
      this.#settle(chunk, 0);
      return;
    }
    try {
      const refused = await database.transaction(limits, async (tx) => {
        // Everything else is the same when it is written twice.
        if (chunk.table === 'pattern_usage_log') chunk.transaction = await transactionId(tx);
        const counts: number[] = [];
        for (const { table, rows, isChecked = false } of chunks) {
          counts.push(await statements.write(tx, table, rows, isChecked));
        }
        return counts;
      });
      for (const [index, each] of chunks.entries()) this.#settle(each, refused[index] ?? 0);
    } catch (error) {
      chunk.transaction =
        error instanceof ConsoleError && error.sqlState ? undefined : chunk.transaction;
      if (isOfOtherTables(error)) {
        this.#opened = undefined;
        await database.close().catch(() => undefined);
      }
      if (!isRecordsFault(error)) throw error;
      if (chunks.length > 1) {
        for (const each of chunks) each.isAlone = true;
        return;
      }
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
      isAlone: true,
      rows,
      bytes: rows.reduce((sum, row) => sum + row.length, 0),
    }));
    this.#pending.splice(0, 1, ...parts);
  }

  #settle(
    chunk: Chunk,
    refused: number,
    reason = chunk.table === 'pattern_usage_log'
      ? 'the pattern that they name is not there.'
      : 'the trace that they belong to is not there.',
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
      payload: chunk.rows.map((row) => parseExactJson(row)),
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

  /** @throws ConsoleError where no server is named */
  #source(): ServerSource {
    const source = resolveSource({ url: this.#options.url });
    if (source.kind === 'server') return source;
    throw new ConsoleError(
      'usage',
      'No database is named: set DATABASE_URL, or give createTracer a url. That of the embedded database is printed by "trace-console embedded status".',
    );
  }

  async #open(): Promise<{ database: Database; statements: RowStatements }> {
    if (this.#opened) return this.#opened;
    const { schema } = this.#options;
    const database = await Database.open(this.#source(), { schema });
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

/** Uses of patterns are counted: whether their transaction has happened must be known of them alone. */
const goesAlone = ({ table, isAlone = false }: Chunk): boolean =>
  isAlone || table === 'pattern_usage_log';

/** The tables are no longer as they were when the statements were made: no such key, table or column. */
const isOfOtherTables = (error: unknown): boolean =>
  error instanceof ConsoleError && ['42P10', '42P01', '42703'].includes(error.sqlState ?? '');

const positive = (value: number | undefined, otherwise: number): number =>
  typeof value === 'number' && value > 0 ? value : otherwise;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
