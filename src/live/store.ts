import type { Clock } from './clock.js';

/** Changes of less than a frame are told together. */
const batchMs = 30;

/**
 * Holds one immutable state and tells its listeners, at most once in 30 ms, that there is a new one. Fits
 * React's useSyncExternalStore without knowing it.
 */
export class Store<State extends object> {
  #state: State;
  #cancelTimer: (() => void) | undefined;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();

  constructor(initial: State, clock: Clock) {
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

  update(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change };
    this.#cancelTimer ??= this.#clock.after(batchMs, () => {
      this.#cancelTimer = undefined;
      for (const listener of [...this.#listeners]) listener();
    });
  }

  /** No listener is called any more. */
  close(): void {
    this.#cancelTimer?.();
    this.#listeners.clear();
  }
}
