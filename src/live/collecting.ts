import { fileError } from '../db/errors.js';
import { stat } from 'node:fs/promises';
import os from 'node:os';
import type { Database } from '../db/database.js';
import type { Queryable } from '../db/queryable.js';
import { hasConsoleTable } from '../deploy/console-schema.js';
import { collectorOf, readStatus, silenceOf, targetOf } from '../ingest/collector/status-file.js';
import { spoolFolder } from '../ingest/spool/append.js';
import { backlogOf } from '../ingest/spool/reader.js';
import type { Clock } from '../core/clock.js';

/** How events of agents come into this database, for the header. */
export type Collecting = {
  /** Of the collector of this machine: absent where it writes elsewhere, or none has run. */
  state?: 'following' | 'waiting' | 'ended' | undefined;
  /** Why it waits. */
  reason?: string | undefined;
  /** Where it takes telemetry, `127.0.0.1:4318`; absent: nowhere. */
  listensOn?: string | undefined;
  /** Since the newest event of any machine, milliseconds; null: none has come yet. */
  eventAgeMs: number | null;
  /** Bytes of events in the spool of this machine that are not in the database yet. */
  waitingBytes: number;
  /** Events that could not be written; at most {@link mostCounted}. */
  quarantined: number;
  /** Transcripts of this machine that were imported, and have grown since while nothing follows them; absent: none. */
  grown?: { files: number; importAgeMs: number } | undefined;
};

/** What this machine knows of its own collector. */
type LocalCollecting = Pick<Collecting, 'state' | 'reason' | 'listensOn' | 'waitingBytes'>;

export const mostCounted = 1_000;
const readEveryMs = 2_000;
const tablesLookedForEveryMs = 10_000;

/** Reads the collector's status file and its tables, every other second at most. */
export class CollectingReader {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #folder: string;
  #kept: { atMs: number; collecting: Collecting | null } | undefined;
  #tables: { atMs: number; areThere: boolean } | undefined;
  readonly #grown: GrownTranscripts;

  /** @param folder of the spool; default: of this user */
  constructor(database: Database, clock: Clock, folder = spoolFolder(process.env, os.homedir)) {
    this.#database = database;
    this.#clock = clock;
    this.#folder = folder;
    this.#grown = new GrownTranscripts(database, clock);
  }

  /** @returns null where nothing collects, nor ever has */
  async read(tx: Queryable): Promise<Collecting | null> {
    const kept = this.#kept;
    const nowMs = this.#clock.now();
    if (kept && nowMs - kept.atMs < readEveryMs) return kept.collecting;
    const collecting = await this.#read(tx);
    this.#kept = { atMs: nowMs, collecting };
    return collecting;
  }

  async #read(tx: Queryable): Promise<Collecting | null> {
    const local = this.#local();
    const stored = (await this.#hasTables(tx, this.#clock.now()))
      ? await storedOf(tx, this.#database.capabilities.schema)
      : nothingStored;
    const grown = await this.#grown.read(tx, local?.state === 'following');
    if (!local && !grown && stored.eventAgeMs === null && stored.quarantined === 0) return null;
    return { ...stored, ...(local ?? { waitingBytes: 0 }), ...(grown ? { grown } : {}) };
  }

  /** Whether the collector's tables can be read. Most databases have none, and rarely get them while a console is open. */
  async #hasTables(tx: Queryable, nowMs: number): Promise<boolean> {
    if (!this.#tables || nowMs - this.#tables.atMs >= tablesLookedForEveryMs) {
      const areThere =
        (await hasConsoleTable(tx, 'spool_sources')) &&
        (await hasConsoleTable(tx, 'quarantined_events'));
      this.#tables = { atMs: nowMs, areThere };
    }
    return this.#tables.areThere;
  }

  /** What the collector of this machine says, where it writes to this database. */
  #local(): LocalCollecting | undefined {
    try {
      return this.#readLocal();
    } catch (error) {
      // The vitals do not hang on a folder of this machine.
      if (fileError(error)) return undefined;
      throw error;
    }
  }

  #readLocal(): LocalCollecting | undefined {
    const status = readStatus(this.#folder);
    if (status === undefined) return undefined;
    if (status.target !== targetOf(this.#database)) return undefined;
    const lives = collectorOf(this.#folder) !== undefined;
    const silence = silenceOf(this.#folder);
    const reason = silence ? `it does not answer (process ${silence.pid})` : status.reason;
    const { listen } = status;
    const { bytes } = backlogOf(this.#folder, new Map(Object.entries(status.offsets)));
    return {
      state: silence ? 'waiting' : lives ? status.state : 'ended',
      ...(lives && reason !== undefined ? { reason } : {}),
      ...(lives && listen !== undefined && 'url' in listen
        ? { listensOn: listen.url.replace(/^https?:\/\//, '') }
        : {}),
      waitingBytes: bytes,
    };
  }
}

/** How often (ms) the imported files are looked at: while some have grown more often, for an import may come at any time. */
const filesLookedAtEveryMs = { usually: 30_000, grown: 5_000 };
/** So many of them, those that were read last. */
const mostFiles = 500;

type KnownFile = { path: string; read_bytes: number; read_ms: number; now_ms: number };

/**
 * Says which of the imported transcripts have grown, by their sizes alone. A collector reads on in those that it follows
 * within a second: while one runs, a file counts that was as far behind half a minute before.
 */
export class GrownTranscripts {
  readonly #database: Database;
  readonly #clock: Clock;
  #lookedMs = -Infinity;
  #found: { atMs: number; grown: NonNullable<Collecting['grown']> } | undefined;
  /** How far the files were read that had grown at the last look. */
  #behind: ReadonlyMap<string, number> = new Map();

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  async read(tx: Queryable, isFollowed: boolean): Promise<Collecting['grown']> {
    const nowMs = this.#clock.now();
    const everyMs = filesLookedAtEveryMs[this.#found ? 'grown' : 'usually'];
    if (nowMs - this.#lookedMs >= everyMs) {
      this.#lookedMs = nowMs;
      const files = await knownFiles(tx, this.#database.capabilities.schema);
      await this.#look(files, isFollowed);
    }
    const found = this.#found;
    if (!found) return undefined;
    const { files, importAgeMs } = found.grown;
    return { files, importAgeMs: importAgeMs + nowMs - found.atMs };
  }

  async #look(files: readonly KnownFile[], isFollowed: boolean): Promise<void> {
    const sizes = await Promise.all(files.map(({ path }) => stat(path).catch(() => undefined)));
    // The end of a line that was not complete was there before: only what was written since counts.
    const grown = files.filter((file, at) => {
      const found = sizes[at];
      return found && found.size > file.read_bytes && found.mtimeMs > file.read_ms;
    });
    const counted = isFollowed
      ? grown.filter(({ path, read_bytes: read }) => this.#behind.get(path) === read)
      : grown;
    this.#behind = new Map(grown.map(({ path, read_bytes: read }) => [path, read]));
    const ages = files.map(({ now_ms: now, read_ms: at }) => now - at);
    this.#found =
      counted.length === 0
        ? undefined
        : {
            atMs: this.#clock.now(),
            grown: { files: counted.length, importAgeMs: Math.max(0, Math.min(...ages)) },
          };
  }
}

async function knownFiles(tx: Queryable, schema: string): Promise<KnownFile[]> {
  if (!(await hasConsoleTable(tx, 'ingest_files'))) return [];
  const { rows } = await tx.query<KnownFile>(
    `SELECT path, read_bytes::float8 AS read_bytes, (date_part('epoch', read_at) * 1000)::float8 AS read_ms,
       (date_part('epoch', now()) * 1000)::float8 AS now_ms
     FROM trace_console.ingest_files WHERE target_schema = $1 ORDER BY read_at DESC LIMIT ${mostFiles}`,
    [schema],
  );
  return rows;
}

/** How often (ms) the spool is checked while a collector runs, and how long an event may take from the spool into the database. */
const lookEveryMs = 250;
const onItsWayMs = 1_500;

/**
 * Notices events that come into the spool of this machine: they are in the database a moment later, which is sooner than
 * panes are asked by themselves.
 */
export class SpoolWatch {
  readonly #clock: Clock;
  readonly #onEvents: () => void;
  readonly #folder: string;
  #size: number | undefined;
  #changedAt = -Infinity;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, onEvents: () => void, folder = spoolFolder(process.env, os.homedir)) {
    this.#clock = clock;
    this.#onEvents = onEvents;
    this.#folder = folder;
  }

  /** @param isFollowed whether what is in the spool comes into the database that is shown */
  set isFollowed(isFollowed: boolean) {
    if (isFollowed) this.#cancel ??= this.#clock.after(lookEveryMs, () => this.#look());
    else this.stop();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#size = undefined;
  }

  #look(): void {
    const size = this.#bytes();
    const now = this.#clock.now();
    if (this.#size !== undefined && size !== this.#size) this.#changedAt = now;
    this.#size = size;
    this.#cancel = this.#clock.after(lookEveryMs, () => this.#look());
    if (now - this.#changedAt < onItsWayMs) this.#onEvents();
  }

  #bytes(): number {
    try {
      return backlogOf(this.#folder, new Map()).bytes;
    } catch {
      return 0;
    }
  }
}

const nothingStored = { eventAgeMs: null, quarantined: 0 };

async function storedOf(
  tx: Queryable,
  schema: string,
): Promise<Pick<Collecting, 'eventAgeMs' | 'quarantined'>> {
  const { rows } = await tx.query<{ age_ms: number | null; quarantined: number }>(
    `SELECT
       (SELECT 1000 * date_part('epoch', now() - max(last_event_at))
        FROM trace_console.spool_sources WHERE target_schema = $1) AS age_ms,
       (SELECT count(*)::int FROM (
          SELECT 1 FROM trace_console.quarantined_events WHERE target_schema = $1 LIMIT ${mostCounted}) AS counted
       ) AS quarantined`,
    [schema],
  );
  const [row] = rows;
  if (!row) return nothingStored;
  return {
    eventAgeMs: row.age_ms === null ? null : Math.max(0, row.age_ms),
    quarantined: row.quarantined,
  };
}
