import type { Capabilities } from '../db/capabilities.js';
import type { ConsoleError } from '../db/errors.js';
import type { PaneId } from '../panes/pane.js';
import type { Vitals } from './vitals.js';

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
  /** The figures are exact on request (slow hooks), not put together from kept buckets. */
  exact: boolean;
};

export type ConnectionState =
  | { state: 'connecting' }
  | { state: 'connected' }
  | {
      state: 'reconnecting';
      /** The engine's clock when the connection was found broken. */
      sinceMs: number;
      attempts: number;
      /** The engine's clock at the next attempt; undefined while one runs. */
      nextAttemptMs: number | undefined;
      error: ConsoleError;
    };

/** Everything the console draws that comes from the database. Immutable. */
export type LiveState = {
  panes: Readonly<Record<PaneId, PaneSnapshot>>;
  vitals: Vitals | null;
  connection: ConnectionState;
  /** As read at connect and after each reconnect. */
  capabilities: Readonly<Capabilities>;
  paused: boolean;
  cadenceMs: number;
  windowMs: number;
  /** The chosen moment in the past at which the windows end, milliseconds since 1970; absent: now. */
  untilMs?: number | undefined;
};
