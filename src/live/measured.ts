import type { Database, Queryable, TransactionOptions } from '../db/database.js';
import type { Clock } from './clock.js';

/**
 * Runs transactions and adds up what their statements cost the server: the time from asking to the
 * answer, less one round trip of the network. The round trip is the fastest statement seen so far, which
 * is never more than any statement took.
 */
export class CostMeter {
  readonly #database: Database;
  readonly #clock: Clock;
  #roundTripMs = Infinity;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** After a reconnect the way to the server may be another. */
  reset(): void {
    this.#roundTripMs = Infinity;
  }

  /** A read-only transaction; `spent` is told what each of its statements cost, in milliseconds. */
  transaction<Result>(
    options: TransactionOptions,
    spent: (costMs: number) => void,
    work: (tx: Queryable) => Promise<Result>,
  ): Promise<Result> {
    return this.#database.transaction({ ...options, readOnly: true }, (tx) =>
      work({
        query: async (text, values) => {
          const before = this.#clock.now();
          try {
            return await tx.query(text, values);
          } finally {
            const elapsed = this.#clock.now() - before;
            this.#roundTripMs = Math.min(this.#roundTripMs, elapsed);
            spent(elapsed - this.#roundTripMs);
          }
        },
      }),
    );
  }
}
