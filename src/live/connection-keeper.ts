import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import type { Clock } from '../core/clock.js';
import type { ConnectionState } from './state.js';

/** Waits between attempts; the last one repeats for ever. */
const waitsMs = [1_000, 2_000, 4_000, 8_000, 10_000] as const;

/** With several servers a failover takes only moments: they are tried in quick succession. */
const longestWaitAmongSeveralMs = 1_000;

/**
 * Gets the connection back once it is lost: tries at once, then after 1, 2, 4, 8 and every 10 s, for
 * ever. Nothing else is asked meanwhile.
 */
export class ConnectionKeeper {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #tell: (state: ConnectionState) => void;
  readonly #restored: () => Promise<void>;
  #lost = false;
  #stopped = false;
  #wake: (() => void) | undefined;

  /** @param restored what to do when the server answers again; when it fails, the connection is lost again. */
  constructor(
    database: Database,
    clock: Clock,
    tell: (state: ConnectionState) => void,
    restored: () => Promise<void>,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#tell = tell;
    this.#restored = restored;
  }

  get lost(): boolean {
    return this.#lost;
  }

  /**
   * Starts getting it back; does nothing while that is under way. Resolves when it is back.
   *
   * @param sinceMs the clock when that was asked which was never answered
   */
  async recover(cause: ConsoleError, sinceMs: number): Promise<void> {
    if (this.#lost || this.#stopped) return;
    this.#lost = true;
    let error = cause;
    for (let attempts = 0; ; attempts += 1) {
      const usualMs = attempts === 0 ? 0 : (waitsMs[attempts - 1] ?? 10_000);
      const waitMs = this.#database.hasOtherServers
        ? Math.min(usualMs, longestWaitAmongSeveralMs)
        : usualMs;
      const nextAttemptMs = this.#clock.now() + waitMs;
      this.#tell({ state: 'reconnecting', sinceMs, attempts, nextAttemptMs, error });
      await this.#sleep(waitMs);
      if (this.#isStopped()) return;
      this.#tell({
        state: 'reconnecting',
        sinceMs,
        attempts: attempts + 1,
        nextAttemptMs: undefined,
        error,
      });
      try {
        await this.#attempt();
        this.#lost = false;
        this.#tell({ state: 'connected' });
        return;
      } catch (failure) {
        error =
          failure instanceof ConsoleError
            ? failure
            : new ConsoleError('internal', String(failure), { cause: failure });
      }
    }
  }

  /** Tries at once instead of waiting longer. */
  hurry(): void {
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  #isStopped(): boolean {
    return this.#stopped;
  }

  async #attempt(): Promise<void> {
    // First a statement with a time-out of this machine's own: it throws away connections of the pool
    // that a cut network has left hanging.
    await this.#database.read('SELECT 1', [], { statementTimeoutMs: 3_000 });
    await this.#database.refreshCapabilities();
    await this.#restored();
  }

  async #sleep(ms: number): Promise<void> {
    if (ms === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
