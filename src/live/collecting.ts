import os from 'node:os';
import type { Database } from '../db/database.js';
import type { Queryable } from '../db/queryable.js';
import { hasConsoleTable } from '../deploy/console-schema.js';
import { collectorOf, readStatus, targetOf } from '../ingest/collector/status-file.js';
import { spoolFolder } from '../ingest/spool/append.js';
import { backlogOf } from '../ingest/spool/reader.js';
import type { Clock } from '../core/clock.js';

/** How events of agents come into this database, for the header. */
export type Collecting = {
  /** Of the collector of this machine: absent where it writes elsewhere, or none has run. */
  state?: 'following' | 'waiting' | 'ended' | undefined;
  /** Why it waits. */
  reason?: string | undefined;
  /** Since the newest event of any machine, milliseconds; null: none has come yet. */
  eventAgeMs: number | null;
  /** Bytes of events in the spool of this machine that are not in the database yet. */
  waitingBytes: number;
  /** Events that could not be written; at most {@link mostCounted}. */
  quarantined: number;
};

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

  /** @param folder of the spool; default: of this user */
  constructor(database: Database, clock: Clock, folder = spoolFolder(process.env, os.homedir)) {
    this.#database = database;
    this.#clock = clock;
    this.#folder = folder;
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
    if (!local && stored.eventAgeMs === null && stored.quarantined === 0) return null;
    return { ...stored, ...(local ?? { waitingBytes: 0 }) };
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
  #local(): Pick<Collecting, 'state' | 'reason' | 'waitingBytes'> | undefined {
    const status = readStatus(this.#folder);
    if (status === undefined) return undefined;
    if (status.target !== targetOf(this.#database)) return undefined;
    const lives = collectorOf(this.#folder) !== undefined;
    const { bytes } = backlogOf(this.#folder, new Map(Object.entries(status.offsets)));
    return {
      state: lives ? status.state : 'ended',
      ...(lives && status.reason !== undefined ? { reason: status.reason } : {}),
      waitingBytes: bytes,
    };
  }
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
