import type { RowCounts } from './writing/writer.js';

/** Where a run is. */
export type DemoProgress =
  | { phase: 'patterns'; rows: number }
  | {
      phase: 'backfill';
      traces: number;
      ofTraces: number;
      rows: number;
      rowsPerSecond: number;
    }
  | {
      phase: 'live';
      /** Since the beginning. */
      traces: number;
      rows: number;
      /** Since the last report. */
      tracesPerSecond: number;
      open: number;
      /** How late the last rows were committed, ms. */
      lagMs: number;
      /** Traces not started because the server was too far behind. */
      missed: number;
    }
  /** The server does not answer; the run goes on when it does. */
  | { phase: 'waiting'; reason: string };

/** What a run did. */
export type DemoSummary = {
  seed: number;
  /** ISO 8601 */
  start: string;
  /** Rows inserted by table; of chains and errors: occurrences counted. */
  rows: RowCounts;
  backfill: { traces: number; rows: number; seconds: number; rowsPerSecond: number } | null;
  live: {
    traces: number;
    rows: number;
    seconds: number;
    tracesPerSecond: number;
    missed: number;
    cancelled: number;
    longestLagMs: number;
  } | null;
  /** Ended by the signal. */
  interrupted: boolean;
};
