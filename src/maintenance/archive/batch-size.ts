import { ConsoleError } from '../../db/errors.js';

/**
 * Traces a batch. A batch costs about 10 ms of its own, whatever it moves, and 1,000 traces about 100 ms;
 * on a slow or busy machine both grow alike. So batches of 1,000 keep 0.94 of the rate of one endless
 * statement, of 2,000 0.98, of 5,000 all of it; larger ones hold locks longer for no more.
 */
export const batchSizes = { first: 1_000, least: 2_000, beside: 500, highest: 5_000 } as const;

/**
 * Milliseconds: the time target is given up for the rate as long as the smallest batch worth its costs
 * takes no longer. Beyond it a batch's own cost is a hundredth, and smaller ones are cheap.
 */
const longestMs = 1_000;

/**
 * Towards the time target, at most doubled or halved, so that one slow batch changes little; but not
 * under 2,000 traces, or as many as take a second where 2,000 take longer. When sessions have `waited` for
 * rows of the batch, they count more than the rate.
 */
export function nextSize(size: number, ms: number, targetMs: number, waiting = 0): number {
  if (waiting > 0) return Math.min(size, Math.max(batchSizes.beside, Math.ceil(size / 2)));
  const aTrace = Math.max(ms, 1) / size;
  const bounded = Math.min(size * 2, Math.max(size / 2, targetMs / aTrace));
  const least = Math.min(batchSizes.least, longestMs / aTrace, size * 2);
  return Math.max(1, Math.round(Math.min(batchSizes.highest, Math.max(least, bounded))));
}

/**
 * How many traces to try after a batch that was rolled back because it took too long, or met rows that
 * somebody else keeps locked: a single one tells which it is. Undefined when a smaller batch is no answer.
 */
export function sizeAfterFailure(size: number, error: unknown): number | undefined {
  if (!(error instanceof ConsoleError) || size <= 1) return undefined;
  // 40P01: the server ended a deadlock with somebody who writes to hooks of the batch.
  if (error.code === 'lock_timeout' || error.sqlState === '40P01') return 1;
  return error.code === 'statement_timeout' ? Math.ceil(size / 10) : undefined;
}
