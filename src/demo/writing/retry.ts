import { ConsoleError, type ErrorCode } from '../../db/errors.js';
import type { Clock } from '../clock.js';

/** What passes by itself: a server that restarts or fails over, a table that is locked for a while. */
const passing: readonly ErrorCode[] = [
  'connection_refused',
  'connection_timeout',
  'connection_lost',
  'too_many_connections',
  'lock_timeout',
  'statement_timeout',
  'standby',
  'busy',
];
const deadlock = '40P01';

export type RetryOptions = {
  clock: Clock;
  /** Ends the waiting: the error is thrown. */
  signal: AbortSignal | undefined;
  /** How long to go on trying, ms. */
  patienceMs: number;
  onWait?: (error: ConsoleError) => void;
};

/** Runs `attempt` until it works, waiting longer each time, while its errors are of a passing kind. */
export async function withRetries<Result>(
  attempt: (tries: number) => Promise<Result>,
  { clock, signal, patienceMs, onWait }: RetryOptions,
): Promise<Result> {
  const giveUpAt = clock.now() + patienceMs;
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt(tries);
    } catch (error) {
      if (!passes(error) || signal?.aborted || clock.now() >= giveUpAt) throw error;
      onWait?.(error);
      await clock.sleep(Math.min(3_000, 100 * 2 ** tries), signal);
    }
  }
}

function passes(error: unknown): error is ConsoleError {
  return (
    error instanceof ConsoleError && (passing.includes(error.code) || error.sqlState === deadlock)
  );
}
