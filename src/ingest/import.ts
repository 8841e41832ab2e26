import { breather } from '../core/clock.js';
import type { Database } from '../db/database.js';
import type { Queryable } from '../db/queryable.js';
import { hasConsoleTable, openConsoleTable } from '../deploy/console-schema.js';
import type { AgentEvent } from './events.js';
import { reasonOf, type FoundFile, type Unreadable } from './discover.js';
import { type Counted, CountedOfFile, ImportCounter, type ImportCounts } from './import-counter.js';
import { fingerprint, hasGrownFrom, readLines, readWhole, wholeFingerprint } from './lines.js';
import type { Prices } from './prices.js';
import type { CleanEvent } from './patches.js';
import { noRows, type Recorder, type RecordOptions, type Written } from './recorder.js';
import { ConsoleError, isRecordsFault } from '../db/errors.js';
import { redact } from './redact.js';
import { toJson } from './rows.js';
import type { ReaderState } from './sources/source.js';

export type ImportProgress = {
  bytes: number;
  totalBytes: number;
  files: number;
  totalFiles: number;
};

/** For a progress bar. */
export function shownProgress({ bytes, totalBytes }: ImportProgress) {
  const [unit, size] = totalBytes < 10 << 20 ? ['kB', 1 << 10] : ['MB', 1 << 20];
  return { phase: 'reading transcripts', done: bytes / size, total: totalBytes / size, unit };
}

export type ImportResult = ImportCounts & {
  written: Written;
  /** Files that were found, and could not be read. */
  unreadable: Unreadable[];
};

type Offset = {
  path: string;
  bytes: number;
  fingerprint: string;
  state: ReaderState & { counted?: Counted };
};

/**
 * Events of one transaction, and the bytes they were read from: large tool results must not pile up. One that has
 * `few` ends with its file, one that has `enough` before the next prompt: nothing of a turn that is written whole is
 * read again. None has more than `most`.
 */
const few = { events: 500, bytes: 1 << 20 };
const enough = { events: 2_000, bytes: 4 << 20 };
const most = { events: 4_000, bytes: 6 << 20 };
/** Lines are parsed for so long (ms) without hearing the server. */
const deafMs = 0.2;
/** A turn without a sign of life for so long is over. */
export const staleAfterMs = 15 * 60_000;

export type ImportOptions = {
  database: Database;
  /** Undefined: reads and counts only. */
  recorder?: Recorder | undefined;
  /** Prices of what is counted; undefined: costs are not counted. */
  prices?: Prices | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Reads transcripts into rows. How far each file was read moves in the transaction that writes its rows, so an
 * import that was killed goes on where it was, and one that is run again changes nothing.
 *
 * @throws ConsoleError
 */
export async function* importSessions(
  files: readonly FoundFile[],
  { database, recorder, prices, signal }: ImportOptions,
): AsyncGenerator<ImportProgress, ImportResult> {
  const run = await ImportRun.begin(files, { database, recorder, prices });
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  const progress = { bytes: 0, totalBytes, files: 0, totalFiles: files.length };
  try {
    for (const found of files) {
      let before = 0;
      try {
        for await (const end of run.read(found)) {
          progress.bytes += end - before;
          before = end;
          yield { ...progress };
          if (signal?.aborted) return await run.finish();
        }
      } catch (error) {
        if (!isOfFileSystem(error)) throw error;
        run.passOver({ path: found.file.path, reason: reasonOf(error) });
      }
      progress.bytes += Math.max(0, found.size - before);
      progress.files += 1;
      yield { ...progress };
      if (signal?.aborted) break;
    }
    return await run.finish();
  } finally {
    await run.settle();
  }
}

/** A file may be somebody else's, or go while it is read. Errors of the database's connection are its own kind. */
const isOfFileSystem = (error: unknown): boolean =>
  !(error instanceof ConsoleError) && typeof (error as { syscall?: unknown }).syscall === 'string';

class ImportRun {
  readonly #unreadable: Unreadable[] = [];
  readonly #database: Database;
  readonly #recorder: Recorder | undefined;
  readonly #counter: ImportCounter;
  readonly #written: Written = { rows: noRows(), unchanged: 0 };
  #events: CleanEvent[] = [];
  #bytes = 0;
  readonly #offsets = new Map<string, Offset>();
  /** The transaction that writes what was read last: while the server is at it, the next lines are read. */
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  readonly #breathe = breather(deafMs);
  /** Whether the role may write how far files were read; undefined: not known yet. */
  #keepsOffsets: boolean | undefined;
  /** How far files were read before this run. */
  readonly #known: ReadonlyMap<string, Offset>;

  private constructor(
    { database, recorder, prices }: ImportOptions,
    known: ReadonlyMap<string, Offset>,
  ) {
    this.#database = database;
    this.#recorder = recorder;
    const counted = [...known.values()].map(({ state }) => state.counted ?? {});
    this.#counter = new ImportCounter(prices, counted);
    this.#known = known;
  }

  static async begin(files: readonly FoundFile[], options: ImportOptions): Promise<ImportRun> {
    const paths = files.map(({ file }) => file.path);
    return new ImportRun(options, await loadOffsets(options.database, paths));
  }

  /** Yields at each transaction: up to which byte the file was read. */
  async *read({ source, file }: FoundFile): AsyncGenerator<number> {
    const known = this.#known.get(file.path);
    const whole = file.isWhole === true ? await wholeFingerprint(file.path) : undefined;
    const isSame =
      known !== undefined &&
      (whole === undefined
        ? await hasGrownFrom(file.path, known.fingerprint)
        : whole === known.fingerprint);
    const start = isSame ? known.bytes : 0;
    const print = whole ?? (isSame ? known.fingerprint : await fingerprint(file.path));
    const reader = source.open(file, isSame ? known.state : undefined);
    const ofFile = new CountedOfFile(isSame ? known.state.counted : undefined);
    this.#counter.counts.files += 1;
    let end = start;
    const offset = () => ({
      path: file.path,
      bytes: end,
      fingerprint: print,
      state: { ...reader.state, counted: ofFile.counted },
    });
    const lines = whole === undefined ? readLines : readWhole;
    for await (const line of lines(file.path, start)) {
      const before = this.#has(enough) ? offset() : undefined;
      const events =
        line.bytes === undefined
          ? undefined
          : line.bytes.length === 0
            ? []
            : reader.read(line.bytes);
      if (before && events?.some(beginsTurn)) {
        this.#offsets.set(file.path, before);
        await this.#flush();
        yield end;
      }
      end = line.end;
      if (events === undefined) this.#counter.counts.skippedLines += 1;
      else for (const event of events) this.#take(event, ofFile);
      this.#bytes += line.bytes?.length ?? 0;
      // A transaction is some thirty answers of the server and what follows each: they are let in between.
      if (this.#isWriting) await this.#breathe();
      if (this.#has(most)) {
        this.#offsets.set(file.path, offset());
        await this.#flush();
        yield end;
      }
    }
    if (end > start) this.#offsets.set(file.path, offset());
    if (!this.#has(few)) return;
    await this.#flush();
    yield end;
  }

  passOver(unreadable: Unreadable): void {
    this.#unreadable.push(unreadable);
  }

  #has({ events, bytes }: typeof most): boolean {
    return this.#events.length >= events || this.#bytes >= bytes;
  }

  /** Waits for a transaction that is still going on, whatever comes of it. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  async finish(): Promise<ImportResult> {
    await this.#flush();
    await this.#writing;
    if (this.#recorder) {
      while ((await this.#recorder.closeStale(staleAfterMs)) >= 100);
    }
    return {
      ...(await this.#counter.finish()),
      written: this.#written,
      unreadable: this.#unreadable,
    };
  }

  #take(event: AgentEvent, ofFile: CountedOfFile): void {
    this.#counter.count(event);
    ofFile.note(event);
    // Secrets are removed now, while the server writes what was read before.
    if (this.#recorder) this.#events.push(this.#recorder.clean(event));
  }

  async #flush(): Promise<void> {
    const [events, offsets] = [this.#events, [...this.#offsets.values()]];
    this.#events = [];
    this.#bytes = 0;
    this.#offsets.clear();
    if (!this.#recorder || (events.length === 0 && offsets.length === 0)) return;
    // One transaction at a time, because batches of one session would wait for each other.
    await this.#writing;
    this.#isWriting = true;
    this.#writing = this.#write(events, offsets).finally(() => (this.#isWriting = false));
    this.#writing.catch(() => undefined);
  }

  async #write(events: readonly CleanEvent[], offsets: readonly Offset[]): Promise<void> {
    const { schema } = this.#database.capabilities;
    const inTransaction = async (tx: Queryable) => {
      this.#keepsOffsets ??= await openConsoleTable(tx, 'ingest_files');
      if (this.#keepsOffsets) await saveOffsets(tx, schema, offsets);
    };
    try {
      await this.#record(events, { inTransaction });
    } catch (error) {
      if (!isRecordsFault(error)) throw error;
      // Tables that were created in the failed transaction are gone.
      this.#keepsOffsets = undefined;
      await this.#recordInParts(events);
      await this.#record([], { inTransaction });
    }
  }

  async #record(events: readonly CleanEvent[], options?: RecordOptions): Promise<void> {
    const written = await this.#recorder?.recordClean(events, options);
    if (written === undefined) return;
    this.#written.unchanged += written.unchanged;
    for (const [table, rows] of Object.entries(written.rows) as [keyof Written['rows'], number][]) {
      this.#written.rows[table] += rows;
    }
  }

  /** The database refuses one of these events: it is counted as skipped, and the others are written. */
  async #recordInParts(events: readonly CleanEvent[]): Promise<void> {
    const half = Math.ceil(events.length / 2);
    for (const part of [events.slice(0, half), events.slice(half)]) {
      try {
        if (part.length > 0) await this.#record(part);
      } catch (error) {
        if (!isRecordsFault(error)) throw error;
        if (part.length > 1) await this.#recordInParts(part);
        else this.#counter.counts.skippedLines += 1;
      }
    }
  }
}

const beginsTurn = ({ kind, subagent }: AgentEvent): boolean =>
  kind === 'prompt' && subagent === undefined;

async function loadOffsets(
  database: Database,
  paths: readonly string[],
): Promise<Map<string, Offset>> {
  const { schema } = database.capabilities;
  const rows = await database.transaction({ readOnly: true, purpose: 'ingest' }, async (tx) => {
    if (paths.length === 0 || !(await hasConsoleTable(tx, 'ingest_files'))) return [];
    const found = await tx.query<Offset>(
      `SELECT path, read_bytes AS bytes, fingerprint, state FROM trace_console.ingest_files
       WHERE target_schema = $1 AND path = ANY($2::text[])`,
      [schema, paths],
    );
    return found.rows;
  });
  return new Map(rows.map((row) => [row.path, row]));
}

/** Notes how far files were read, in a table that was opened. */
async function saveOffsets(
  tx: Queryable,
  schema: string,
  offsets: readonly Offset[],
): Promise<void> {
  if (offsets.length === 0) return;
  await tx.query(
    `INSERT INTO trace_console.ingest_files (target_schema, path, read_bytes, fingerprint, state)
     SELECT $1, path, bytes, fingerprint, state
     FROM json_to_recordset($2::json) AS r (path text, bytes bigint, fingerprint text, state jsonb)
     ON CONFLICT (target_schema, path) DO UPDATE SET read_bytes = excluded.read_bytes,
       fingerprint = excluded.fingerprint, state = excluded.state, read_at = now()`,
    // A reader remembers prompts of subagents that have not begun.
    [schema, toJson(offsets.map((offset) => ({ ...offset, state: redact(offset.state) })))],
  );
}
