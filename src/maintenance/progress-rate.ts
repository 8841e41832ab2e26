import type { Progress } from './action.js';

/**
 * Adds rate and time left where an action does not know them itself, from how its phase has
 * advanced. A new phase begins a new measurement.
 */
export class ProgressRate {
  #phase: string | undefined;
  #first: { done: number; atMs: number } | undefined;

  /** @param nowMs a clock that never jumps, milliseconds */
  complete(progress: Progress, nowMs: number): Progress {
    const { phase, done, total, rate } = progress;
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#first = undefined;
    }
    if (done === undefined || rate !== undefined) return progress;
    this.#first ??= { done, atMs: nowMs };
    const seconds = (nowMs - this.#first.atMs) / 1000;
    const measured = (done - this.#first.done) / seconds;
    // The first second says little.
    if (seconds < 1 || !(measured > 0)) return progress;
    return {
      ...progress,
      rate: measured,
      ...(total === undefined ? {} : { secondsLeft: Math.max(0, total - done) / measured }),
    };
  }
}
