import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { whoLocks } from '../panes/locks.js';
import { looksBack, type AnyPane, type AnyPaneResult, type PaneReader } from '../panes/pane.js';
import { shapeNotes, unmetNeed, type SchemaShape } from '../panes/shape.js';
import type { Clock } from './clock.js';
import type { CostMeter } from './measured.js';
import type { PaneSnapshot } from './state.js';

export type Reading = {
  windowMs: number;
  stuckAfterMs: number;
  shape: SchemaShape;
};

/** What stands below a pane that goes on showing now while the others show a moment in the past. */
const showsNow = 'shows now: it cannot look back';

/** Reads one pane again and again, and turns each outcome into its next snapshot. */
export class PaneFeed {
  readonly pane: AnyPane;
  exact = false;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #meter: CostMeter;
  readonly #reader: PaneReader<object, object>;
  /** Of moments in the past: what is kept of now stays as it is, a tail where it was. */
  #pastReader: PaneReader<object, object> | undefined;
  /** The chosen moment in the past, for a pane that looks back. */
  #untilMs: number | undefined;
  #snapshot: PaneSnapshot;
  #forgets = false;

  constructor(pane: AnyPane, database: Database, clock: Clock, meter: CostMeter) {
    this.pane = pane;
    this.#database = database;
    this.#clock = clock;
    this.#meter = meter;
    this.#reader = pane.createReader();
    this.#snapshot = emptySnapshot(pane);
  }

  get snapshot(): PaneSnapshot {
    return this.#snapshot;
  }

  /**
   * Shows the window that ends at a moment in the past; undefined: now. The rows that are there are of another
   * moment until the next reading: they count as being fetched.
   */
  setUntil(untilMs: number | undefined): void {
    if (!looksBack(this.pane)) {
      const notes = this.#snapshot.notes.filter((note) => note !== showsNow);
      this.#snapshot = { ...this.#snapshot, notes: this.#notes(notes, untilMs) };
      this.#untilMs = untilMs;
      return;
    }
    if (this.#untilMs === untilMs) return;
    this.#untilMs = untilMs;
    if (this.#snapshot.asOf) this.#snapshot = { ...this.#snapshot, loading: { share: 0 } };
  }

  /** @returns the next snapshot, and what the reading cost the server, successful or not. */
  async read(reading: Reading): Promise<{ snapshot: PaneSnapshot; costMs: number }> {
    const { pane, exact } = this;
    const untilMs = looksBack(pane) ? this.#untilMs : undefined;
    let costMs = 0;
    // Not at once: a reading under way would keep what it has counted before.
    if (this.#forgets) this.reset();
    try {
      const unmet = unmetNeed(pane.needs, reading.shape);
      if (unmet) throw unmet;
      const result = await this.#readerOf(untilMs).read({
        ...reading,
        untilMs,
        capabilities: this.#database.capabilities,
        exact,
        transaction: (work) =>
          this.#meter.transaction(
            {
              ...pane.limits,
              purpose: pane.id,
              ...(exact ? { statementTimeoutMs: exactTimeoutMs } : {}),
            },
            (spent) => (costMs += spent),
            work,
          ),
      });
      this.#snapshot = this.#good(result, { costMs, exact, untilMs, shape: reading.shape });
    } catch (failure) {
      const error = await this.#explain(failure);
      // Rows of another moment would be taken for those of this one.
      const last = this.#snapshot.untilMs === untilMs ? this.#snapshot : this.#withoutRows();
      this.#snapshot = { ...last, error, stale: last.asOf !== null };
      // Waiting for a lock, or for its turn, keeps no core busy; anything else that failed may have.
      if (error.code === 'lock_timeout' || error.code === 'busy') costMs = 0;
    }
    return { snapshot: this.#snapshot, costMs };
  }

  /** The interval is the schedule's to know. */
  withInterval(intervalMs: number): PaneSnapshot {
    if (this.#snapshot.intervalMs !== intervalMs) {
      this.#snapshot = { ...this.#snapshot, intervalMs };
    }
    return this.#snapshot;
  }

  /** Forgets what was counted, before the next reading: rows of the past have changed. */
  forget(): void {
    this.#forgets = true;
  }

  /** After a reconnect; the last good rows stay until there are new ones. */
  reset(): void {
    this.#forgets = false;
    this.#reader.reset?.();
    this.#pastReader?.reset?.();
  }

  #readerOf(untilMs: number | undefined): PaneReader<object, object> {
    if (untilMs === undefined) return this.#reader;
    return (this.#pastReader ??= this.pane.createReader());
  }

  #withoutRows(): PaneSnapshot {
    const { intervalMs } = this.#snapshot;
    return { ...emptySnapshot(this.pane), intervalMs };
  }

  #notes(notes: readonly string[], untilMs: number | undefined): readonly string[] {
    return untilMs === undefined || looksBack(this.pane) ? notes : [showsNow, ...notes];
  }

  #good(
    result: AnyPaneResult,
    how: { costMs: number; exact: boolean; untilMs: number | undefined; shape: SchemaShape },
  ): PaneSnapshot {
    const { costMs, exact, untilMs, shape } = how;
    const notes = [...result.notes, ...shapeNotes(this.pane.needs, shape)];
    // Another moment was chosen while this was read.
    const isOld = looksBack(this.pane) && untilMs !== this.#untilMs;
    return {
      ...this.#snapshot,
      rows: result.rows,
      extras: result.extras,
      asOf: result.asOf,
      receivedAtMs: this.#clock.now(),
      costMs,
      error: null,
      stale: false,
      notes: this.#notes(notes, this.#untilMs),
      loading: isOld ? { share: 0 } : (result.loading ?? null),
      exact,
      untilMs,
    };
  }

  /** A lock time-out says who holds the lock. */
  async #explain(failure: unknown): Promise<ConsoleError> {
    const error =
      failure instanceof ConsoleError
        ? failure
        : new ConsoleError(
            'internal',
            failure instanceof Error ? failure.message : String(failure),
            {
              cause: failure,
            },
          );
    if (error.code !== 'lock_timeout') return error;
    return (await whoLocks(this.#database, Object.keys(this.pane.needs), error)) ?? error;
  }
}

const exactTimeoutMs = 30_000;

export function emptySnapshot(pane: AnyPane): PaneSnapshot {
  return {
    id: pane.id,
    rows: [],
    extras: undefined,
    asOf: null,
    receivedAtMs: null,
    costMs: null,
    intervalMs: pane.minIntervalMs,
    error: null,
    stale: false,
    notes: [],
    loading: null,
    exact: false,
  };
}
