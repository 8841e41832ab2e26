/** Time as the engine sees it; tests put their own in its place. */
export interface Clock {
  /** Milliseconds that never jump, from an arbitrary origin. */
  now(): number;
  /** Milliseconds since 1970 by this machine's clock. */
  wallNow(): number;
  /** Calls `callback` once after `ms`; the result cancels it. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
