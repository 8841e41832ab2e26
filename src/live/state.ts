import type { Capabilities } from '../db/capabilities.js';
import type { ConsoleError } from '../db/errors.js';
import type { AnyPane, PaneId } from '../panes/registry.js';
import type { Collecting } from './collecting.js';
import type { Vitals } from './vitals.js';
import type { Clock } from '../core/clock.js';

/** What a pane shows now. A new object whenever anything of it changes. */
export type PaneSnapshot = {
  id: PaneId;
  /** The last good rows; empty before the first. */
  rows: readonly object[];
  /** What the pane knows besides its rows; undefined before the first good reading. */
  extras: object | undefined;
  /** The server's clock when it answered, or the chosen moment in the past; null before the first good reading. */
  asOf: Date | null;
  /** The engine's clock at that moment: `clock.now() - receivedAtMs` is the age of the rows. */
  receivedAtMs: number | null;
  /** Server time of the last good reading, in milliseconds. */
  costMs: number | null;
  /** From one reading to the next, in milliseconds; longer than the cadence where it would cost too much. */
  intervalMs: number;
  /** Why the last reading failed; null when it did not. The rows are those of the last good one. */
  error: ConsoleError | null;
  /** There is an error, and rows from before it. */
  stale: boolean;
  notes: readonly string[];
  /** While a window is fetched for the first time: which share of it is there. */
  loading: { share: number } | null;
  /** The moment in the past at which its window ends, milliseconds since 1970; absent: it shows now. */
  untilMs?: number | undefined;
  /** What the server was asked to filter the rows by; absent: nothing. */
  filter?: string | undefined;
  /** The chosen variant and grouping of a pane that has some; absent: it has none. */
  variant?: string | undefined;
  grouping?: string | undefined;
  /** The figures are exact on request (slow hooks), not put together from kept buckets. */
  exact: boolean;
};

export type ConnectionState =
  | { state: 'connecting' }
  | { state: 'connected' }
  | {
      state: 'reconnecting';
      /** The engine's clock when the first question was asked that had no answer. */
      sinceMs: number;
      attempts: number;
      /** The engine's clock at the next attempt; undefined while one runs. */
      nextAttemptMs: number | undefined;
      error: ConsoleError;
    };

/** Everything the console draws that comes from the database. Immutable. */
export type LiveState = {
  panes: Readonly<Record<PaneId, PaneSnapshot>>;
  /** What alert rules look at, by {@link Watch.key}: never what somebody chose for the screen. Absent: a recording. */
  watched?: ReadonlyMap<string, PaneSnapshot>;
  vitals: Vitals | null;
  /** How events of agents come in; null: nothing collects, nor ever has; absent: not known. */
  collecting?: Collecting | null | undefined;
  connection: ConnectionState;
  /** Among the newest traces, or the learned errors, are some of the demo; absent: not known. */
  holdsDemo?: boolean | undefined;
  /** As read at connect, and whenever the server is seen to have changed. */
  capabilities: Readonly<Capabilities>;
  paused: boolean;
  cadenceMs: number;
  windowMs: number;
  /** The chosen moment in the past at which the windows end, milliseconds since 1970; absent: now. */
  untilMs?: number | undefined;
};

/** A pane as an alert rule sees it: now, over its own window, with the first variant and grouping, without a filter. */
export type Watch = { key: string; pane: PaneId; windowMs: number };

export type EngineOptions = {
  panes?: readonly AnyPane[];
  cadenceMs?: number;
  windowMs?: number;
  stuckAfterMs?: number;
  /** US dollars; absent: no budget is set. */
  budgetUsdPerDay?: number | undefined;
  /** What alert rules look at, asked besides the visible panes. */
  watches?: readonly Watch[];
  /** Opened as the demo, even if nothing of it is written yet. */
  isDemo?: boolean;
  /** The panes are asked behind this: before it they would only hear that nothing is written yet. */
  asksAfter?: Promise<void>;
  /** The share of one server core for everything together; default 0.02. */
  share?: number;
  clock?: Clock;
};

/** Changes of less than a frame are told together. */
const batchMs = 30;

/**
 * Holds one immutable state and tells its listeners that there is a new one: at once, or with a clock at most once in
 * 30 ms. Fits React's useSyncExternalStore without knowing it.
 */
export class Store<State extends object> {
  #state: State;
  #cancelTimer: (() => void) | undefined;
  readonly #clock: Clock | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(initial: State, clock?: Clock) {
    this.#state = initial;
    this.#clock = clock;
  }

  /** The same object until something changes. */
  readonly getState = (): State => this.#state;

  /** Calls `listener` after changes; the result ends it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** @param isAwaited somebody waits for it: it is told at once */
  update(change: Partial<State>, isAwaited = false): void {
    this.#state = { ...this.#state, ...change };
    if (!this.#clock || isAwaited) this.#tell();
    else {
      this.#cancelTimer ??= this.#clock.after(batchMs, () => {
        this.#cancelTimer = undefined;
        this.#tell();
      });
    }
  }

  /** No listener is called any more. */
  close(): void {
    this.#cancelTimer?.();
    this.#listeners.clear();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Where the screen's state comes from: the engine, which asks a database, or a recording. */
export interface LiveSource {
  readonly clock: Clock;
  /** The same object until something changes. */
  readonly getState: () => LiveState;
  /** Calls `listener` after changes, several at once; the result ends it. */
  readonly subscribe: (listener: () => void) => () => void;
  start(): void;
  stop(): Promise<void>;
  setVisible(ids: Iterable<PaneId>): void;
  setPaused(paused: boolean): void;
  setCadence(cadenceMs: number): void;
  setWindow(windowMs: number): void;
  /** The windows end at this moment in the past, milliseconds since 1970; undefined: now. */
  setUntil(untilMs: number | undefined): void;
  setExact(id: PaneId, exact: boolean): void;
  /** Another variant, or another grouping, of a pane that has it; others are ignored. */
  setVariant(id: PaneId, variant: string): void;
  setGrouping(id: PaneId, grouping: string): void;
  /** What the rows of a pane that asks the server for it are filtered by; '' for nothing. */
  setFilter(id: PaneId, filter: string): void;
  /** Everything anew, also what is kept. */
  refreshNow(): void;
  schemaChanged(): Promise<void>;
}

/** The demo's history is being written, and nothing of it has come to this pane yet. */
export function isBeingFilled(
  { rows, error, filter }: Pick<PaneSnapshot, 'rows' | 'error' | 'filter'>,
  filling: number | undefined,
): filling is number {
  return filling !== undefined && rows.length === 0 && error === null && filter === undefined;
}

/** Nothing of what was chosen has come yet: the rows are those of another group, variant or moment. */
export const showsOldRows = ({ loading, rows }: PaneSnapshot): boolean =>
  loading?.share === 0 && rows.length > 0;
