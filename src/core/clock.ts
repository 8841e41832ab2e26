/** Time as the console and the demo see it; tests put their own in its place. */
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

/** Resolves after so long, or when the signal aborts; never rejects. */
export function sleepOn(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener('abort', end);
  });
}

/**
 * For long work beside a server that answers: between its steps others are let have the thread, at most every `deafMs`
 * milliseconds. While it works nothing is heard, and the server waits with it.
 */
export function breather(deafMs: number): () => Promise<void> {
  let heardAt = performance.now();
  return async () => {
    if (performance.now() - heardAt < deafMs) return;
    await new Promise(setImmediate);
    heardAt = performance.now();
  };
}
