import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import type { Transaction } from '../db/queryable.js';
import { RowCopier } from './copy-rows.js';
import type { AgentEvent, Place } from './events.js';
import type { CopiedRow } from './otlp/decode.js';
import { Batch, type RecorderOptions } from './batch.js';
import { cleanEvent, type CleanEvent } from './patches.js';
import type { RetractedRow, TableKeys, Written } from './row-store.js';

export type { RecorderOptions } from './batch.js';
export { noRows, type Written } from './row-store.js';

export type RecordOptions = {
  /** Rows that go before. */
  retracted?: readonly RetractedRow[] | undefined;
  /** Rows of another database, or of this one: they are written where there is none with their id. */
  copies?: readonly CopiedRow[] | undefined;
  /**
   * Runs in the same transaction, behind the rows: where a reader notes how far it has come.
   *
   * @param copier writes many rows; undefined where the server takes no COPY
   */
  inTransaction?: (tx: Transaction, copier: RowCopier | undefined) => Promise<void>;
};

/** A batch takes a second at most; a busy server may take longer. */
const limits = { statementTimeoutMs: 60_000, lockTimeoutMs: 15_000 };

const uniqueViolation = '23505';
/** No unique key of just `id`: the table was partitioned meanwhile. */
const noSuchKey = '42P10';
/** Row-level security, a view, a pooler that knows no COPY. */
const copyRefusals: ReadonlySet<string | undefined> = new Set([
  uniqueViolation,
  '0A000',
  '42809',
  '08P01',
]);

const isRefusedToCopy = (error: unknown): error is ConsoleError =>
  error instanceof ConsoleError && copyRefusals.has(error.sqlState);

/**
 * Turns events into rows, idempotently: events may come in any order, twice, late, and from several sources at
 * once; the rows are the same. A batch is one transaction; batches of one session wait for each other.
 */
export class Recorder {
  readonly #database: Database;
  readonly #options: RecorderOptions;
  readonly #places = new WeakMap<Place, Place>();
  #isOpen = false;
  #copier: RowCopier | undefined;
  #keys: TableKeys = {};

  constructor(database: Database, options: RecorderOptions = {}) {
    this.#database = database;
    this.#options = options;
    this.#copier = database.capabilities.embedded ? undefined : new RowCopier();
  }

  /** @throws ConsoleError, and nothing of the batch is written */
  record(events: readonly AgentEvent[], options: RecordOptions = {}): Promise<Written> {
    return this.recordClean(
      events.map((event) => this.clean(event)),
      options,
    );
  }

  /** Takes secrets out ahead of the transaction, which the server would wait in. */
  clean(event: AgentEvent): CleanEvent {
    return cleanEvent(event, this.#places, this.#options.fieldLimit);
  }

  /** @throws ConsoleError, and nothing of the batch is written */
  async recordClean(events: readonly CleanEvent[], options: RecordOptions = {}): Promise<Written> {
    try {
      return await this.#record(events, options, this.#copier);
    } catch (error) {
      if (error instanceof ConsoleError && error.sqlState === noSuchKey) {
        return await this.#record(events, options, undefined);
      }
      if (!this.#copier || !isRefusedToCopy(error)) throw error;
      // If another writer has inserted a row meanwhile, INSERT … ON CONFLICT handles it.
      if (error.sqlState !== uniqueViolation) this.#copier = undefined;
      return await this.#record(events, options, undefined);
    }
  }

  async #record(
    events: readonly CleanEvent[],
    { inTransaction, retracted, copies }: RecordOptions,
    copier: RowCopier | undefined,
  ): Promise<Written> {
    const { schema } = this.#database.capabilities;
    const isOpen = this.#isOpen;
    // If the tables are dropped again, or become others, the next batch checks for them.
    this.#isOpen = false;
    if (!isOpen) this.#keys = {};
    const keys = this.#keys;
    const written = await this.#database.transaction(
      { ...limits, purpose: 'ingest' },
      async (tx) => {
        const batch = await Batch.begin(tx, schema, { ...this.#options, isOpen, copier, keys });
        const rows = await batch.record(events, retracted, copies);
        await inTransaction?.(tx, copier);
        return rows;
      },
    );
    this.#isOpen = true;
    return written;
  }

  /**
   * Closes what nobody has told of for longer than this (milliseconds): turns that are in progress are closed
   * as if the session had ended.
   *
   * @returns the number of sessions that were looked at
   */
  closeStale(olderThanMs: number, nowMs = Date.now()): Promise<number> {
    return this.#database.transaction({ ...limits, purpose: 'ingest' }, async (tx) => {
      const batch = await Batch.begin(tx, this.#database.capabilities.schema, this.#options);
      return batch.closeStale(nowMs - olderThanMs);
    });
  }
}
