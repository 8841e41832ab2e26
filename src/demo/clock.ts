import { setTimeout as wait } from 'node:timers/promises';

/** The time that live traffic follows; tests bring one that does not wait. */
export type Clock = {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after so long, or when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    await wait(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
  },
};
