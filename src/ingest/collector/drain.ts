import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError, isRecordsFault } from '../../db/errors.js';
import { atMsOf, type SpoolRecord } from '../spool/frame.js';
import { listSegments, readSpool, removeRead, type SpoolBatch } from '../spool/reader.js';
import { sourceOf } from './status-file.js';
import {
  countQuarantined,
  countSources,
  forgetSegments,
  lockSpool,
  moveOffsets,
  openCollectorTables,
  quarantine,
  readOffsets,
  type Quarantined,
  type SourceCount,
  type SpoolKey,
} from './tables.js';

/** What a writer could not turn into rows. */
export type WriteResult = {
  /** Records of events that no adapter knows; they are counted. */
  unknown: readonly SpoolRecord[];
  /** Records that an adapter could not read; they are put aside. */
  failed: readonly Quarantined[];
  /** How many were taken back that had been put aside. */
  back?: number;
};

/** What belongs to the rows of a batch: it runs in their transaction, behind them. */
export type Commit = (tx: Queryable, result: WriteResult) => Promise<void>;

/**
 * Turns records into rows, in one transaction that ends with `commit`; what that throws rolls the rows back. The same
 * records twice give the same rows.
 */
export type RecordWriter = {
  write: (records: readonly SpoolRecord[], key: SpoolKey, commit: Commit) => Promise<void>;
  /**
   * Makes records ready that are written next, while the server is at those before them. They may not be written
   * after all.
   */
  prepare?: (records: readonly SpoolRecord[]) => Promise<void>;
};

export type Spool = {
  folder: string;
  /** The id of the spool: it stays the same when the folder is moved. */
  id: string;
  /** The machine's name, for those who look into the database. */
  host: string;
  /** How much that was read already may stay in segments to which hooks still write (bytes). */
  keptBytes?: number;
};

export type Drained = {
  records: readonly SpoolRecord[];
  /** Frames that a killed hook left in part. */
  torn: number;
  quarantined: number;
  /** Why the last of them was put aside. */
  asideReason?: string | undefined;
};

/**
 * How many records a transaction takes: with fewer, what each of them costs takes longer than their rows. The embedded engine
 * does one thing after the other, and a console beside it waits for a whole batch: there batches are small as long as they
 * keep up. When they do not, larger ones do: 400 records in one are written in less than half the time of eight times 50.
 */
export class BatchSize {
  readonly #least: number;
  readonly #most: number;
  #now: number;

  constructor({ embedded }: { embedded: boolean }) {
    [this.#least, this.#most] = embedded ? [50, 400] : [2_000, 2_000];
    this.#now = this.#least;
  }

  get now(): number {
    return this.#now;
  }

  /** A batch that was full leaves more behind. */
  took(records: number): void {
    this.#now = records < this.#now ? this.#least : Math.min(this.#now * 2, this.#most);
  }
}

/** A smaller part of a batch is not made ready ahead: it would be written as a batch of its own. */
const fewestAhead = 4;

/** Longer (ms) than a segment stays because it is young. */
const readLatelyMs = 3_000;

/** Another collector of the same spool may be at its batch. */
const limits = { statementTimeoutMs: 30_000, lockTimeoutMs: 5_000, purpose: 'collector' } as const;

/**
 * Brings a spool into a database, a batch a transaction. How far it was read is written with the rows: whatever is killed,
 * an event is in the database once.
 */
export class SpoolDrain {
  readonly #database: Database;
  readonly #spool: Spool;
  readonly #writer: RecordWriter;
  #readMs = 0;
  /** As committed; undefined: to be read from the database. */
  #offsets: Map<string, number> | undefined;
  /** What comes behind the batch that was written last. */
  #ahead: SpoolBatch | undefined;

  constructor(database: Database, spool: Spool, writer: RecordWriter) {
    this.#database = database;
    this.#spool = spool;
    this.#writer = writer;
  }

  /**
   * Writes the next records; none when all are written.
   *
   * @param most records at most
   * @throws ConsoleError when the database does not take them now; nothing is lost, and the next call tries again
   */
  async next(most: number): Promise<Drained> {
    const offsets = await this.#committedOffsets();
    const batch = this.#ahead ?? this.#read(offsets, most);
    this.#ahead = undefined;
    if (batch.offsets.size === 0) return { records: [], torn: 0, quarantined: 0 };
    try {
      const drained = this.#commit(batch, this.#writer.write);
      const ahead = this.#readAhead(new Map([...offsets, ...batch.offsets]), most);
      const result = await drained.finally(() => ahead);
      this.#ahead = await ahead;
      return result;
    } catch (error) {
      if (!isRecordsFault(error)) throw error;
      // Tries a quarter of them, and so on, down to the single record that is refused: that is put aside.
      if (batch.records.length > 1) return this.next(Math.ceil(batch.records.length / 4));
      return this.#commit(batch, (records, _, commit) => {
        const failed = records.map((record) => ({ record, error: error.message }));
        return this.#database.transaction(limits, (tx) => commit(tx, { unknown: [], failed }));
      });
    }
  }

  #read(offsets: ReadonlyMap<string, number>, most: number): SpoolBatch {
    const batch = readSpool(this.#spool.folder, offsets, most);
    return { ...batch, records: inOrder(batch.records) };
  }

  /** Makes ready what is behind a batch that is being written; undefined: too little, and more may come until then. */
  async #readAhead(offsets: ReadonlyMap<string, number>, most: number) {
    if (this.#writer.prepare === undefined) return undefined;
    // The server has its first statement by then.
    await new Promise(setImmediate);
    try {
      const batch = this.#read(offsets, most);
      if (batch.records.length < most / fewestAhead) return undefined;
      await this.#writer.prepare(batch.records);
      return batch;
    } catch {
      // The next call meets it again, and tells.
      return undefined;
    }
  }

  /** Removes the segments that were read to their end, and forgets their offsets. */
  async tidy(): Promise<void> {
    const offsets = await this.#committedOffsets();
    removeRead(this.#spool.folder, offsets, { kept: this.#spool.keptBytes });
    const there = new Set(listSegments(this.#spool.folder));
    const gone = [...offsets.keys()].filter((segment) => !there.has(segment));
    if (gone.length === 0) return;
    await this.#database.transaction(limits, (tx) => forgetSegments(tx, this.#key, gone));
    for (const segment of gone) offsets.delete(segment);
  }

  /** Segments may be there that were read, and are old enough to be removed by now. */
  get hasReadLately(): boolean {
    return Date.now() - this.#readMs < readLatelyMs;
  }

  /** The events of this spool that were put aside so far. */
  countQuarantined(): Promise<number> {
    return this.#database.transaction(limits, async (tx) => {
      await openCollectorTables(tx);
      return countQuarantined(tx, this.#key);
    });
  }

  /** How far the spool was read; empty before the database was asked. */
  get offsets(): ReadonlyMap<string, number> {
    return this.#offsets ?? new Map();
  }

  get #key(): SpoolKey {
    return { schema: this.#database.capabilities.schema, spool: this.#spool.id };
  }

  async #committedOffsets(): Promise<Map<string, number>> {
    this.#offsets ??= await this.#database.transaction(limits, async (tx) => {
      await openCollectorTables(tx);
      return readOffsets(tx, this.#key);
    });
    return this.#offsets;
  }

  async #commit(batch: SpoolBatch, write: RecordWriter['write']): Promise<Drained> {
    const expected = await this.#committedOffsets();
    // The offsets are unknown until it is clear whether the commit has happened.
    this.#offsets = undefined;
    let [quarantined, asideReason]: [number, string?] = [0];
    await write(batch.records, this.#key, async (tx, { unknown, failed, back = 0 }) => {
      await lockSpool(tx, this.#key);
      requireUnmoved(expected, await readOffsets(tx, this.#key));
      await quarantine(tx, this.#key, failed);
      await countSources(tx, this.#key, this.#spool.host, sourcesOf(batch.records, unknown));
      await moveOffsets(tx, this.#key, batch.offsets);
      [quarantined, asideReason] = [failed.length - back, failed.at(-1)?.error];
    });
    this.#offsets = new Map([...expected, ...batch.offsets]);
    this.#readMs = Date.now();
    return { records: batch.records, torn: batch.torn, quarantined, asideReason };
  }
}

/** Sorted by time of receipt, since asynchronous hooks overtake each other. */
const inOrder = (records: readonly SpoolRecord[]): SpoolRecord[] =>
  records
    .map((record) => ({ record, atMs: atMsOf(record) }))
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ record }) => record);

function requireUnmoved(expected: ReadonlyMap<string, number>, there: ReadonlyMap<string, number>) {
  const moved = [...there].some(([segment, bytes]) => expected.get(segment) !== bytes);
  if (!moved) return;
  throw new ConsoleError('busy', 'Another collector has read this spool meanwhile.', {
    hint: 'One collector a spool is enough; this one goes on behind the other.',
  });
}

function sourcesOf(
  records: readonly SpoolRecord[],
  unknown: readonly SpoolRecord[],
): Map<string, SourceCount> {
  const sources = new Map<string, SourceCount>();
  for (const record of records) {
    const source = sourceOf(record.cli);
    const {
      events,
      unknown: strange,
      lastAtMs,
    } = sources.get(source) ?? {
      events: 0,
      unknown: 0,
      lastAtMs: 0,
    };
    sources.set(source, {
      events: events + 1,
      unknown: strange + (unknown.includes(record) ? 1 : 0),
      lastAtMs: Math.max(lastAtMs, atMsOf(record)),
    });
  }
  return sources;
}
