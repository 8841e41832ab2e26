import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { whoLocks } from '../panes/locks.js';
import type { AnyPane, AnyPaneResult, PaneReader } from '../panes/pane.js';
import { shapeNotes, unmetNeed, type SchemaShape } from '../panes/shape.js';
import type { Clock } from './clock.js';
import type { CostMeter } from './measured.js';
import type { PaneSnapshot } from './state.js';

export type Reading = { windowMs: number; stuckAfterMs: number; shape: SchemaShape };

/** Reads one pane again and again, and turns each outcome into its next snapshot. */
export class PaneFeed {
  readonly pane: AnyPane;
  exact = false;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #meter: CostMeter;
  readonly #reader: PaneReader<object, object>;
  #snapshot: PaneSnapshot;

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

  /** @returns the next snapshot, and what the reading cost the server, successful or not. */
  async read(reading: Reading): Promise<{ snapshot: PaneSnapshot; costMs: number }> {
    const { pane, exact } = this;
    let costMs = 0;
    try {
      const unmet = unmetNeed(pane.needs, reading.shape);
      if (unmet) throw unmet;
      const result = await this.#reader.read({
        ...reading,
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
      this.#snapshot = this.#good(result, costMs, exact, reading.shape);
    } catch (failure) {
      const error = await this.#explain(failure);
      this.#snapshot = { ...this.#snapshot, error, stale: this.#snapshot.asOf !== null };
      // Waiting for a lock keeps no core busy; anything else that failed may have.
      if (error.code === 'lock_timeout') costMs = 0;
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

  /** After a reconnect; the last good rows stay until there are new ones. */
  reset(): void {
    this.#reader.reset?.();
  }

  #good(result: AnyPaneResult, costMs: number, exact: boolean, shape: SchemaShape): PaneSnapshot {
    return {
      ...this.#snapshot,
      rows: result.rows,
      extras: result.extras,
      asOf: result.asOf,
      receivedAtMs: this.#clock.now(),
      costMs,
      error: null,
      stale: false,
      notes: [...result.notes, ...shapeNotes(this.pane.needs, shape)],
      loading: result.loading ?? null,
      exact,
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
