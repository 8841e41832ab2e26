import type pg from 'pg';
import { AnswerWatch, type Pace, type Sight, cancelKeyOf, type CancelKey } from './answer-watch.js';
import { translateError, type Where } from './connection/translate-error.js';
import { ConsoleError } from './errors.js';
import type { Queryable } from './queryable.js';
import type { StatementLog } from './statement-log.js';

/** How long a connection may take to say goodbye (ms). */
const goodbyeMs = 2_000;

/**
 * A session of its own, outside the pool and any transaction; see Database.connectDirect. Its statements
 * have no time limit, but none waits for ever: when the connection goes silent, another one sees whether
 * the server is still at the statement, and the wait ends with `connection_lost`.
 */
export class DirectConnection implements Queryable {
  readonly #client: pg.Client;
  readonly #where: Where;
  readonly #watch: AnswerWatch;

  /** Written down in the log, like every statement. */
  readonly query: Queryable['query'];

  /** @param look what another connection sees of the backend of this one */
  constructor(
    client: pg.Client,
    where: Where,
    statements: StatementLog,
    look: () => Promise<Sight>,
    pace?: Pace,
  ) {
    this.#client = client;
    this.#where = where;
    this.#watch = new AnswerWatch(client, look, pace);
    this.query = statements.watching((text, values) => this.#send(text, values), 'maintenance');
  }

  get cancelKey(): CancelKey {
    return cancelKeyOf(this.#client);
  }

  /** After a cancel: an answer that does not come is given up within seconds, not minutes. */
  expectEnd(): void {
    this.#watch.hurry();
  }

  /** Ends the connection at once; a waiting statement fails with `interrupted`. The server may carry on. */
  abandon(): void {
    this.#watch.abandon(
      new ConsoleError('interrupted', 'The connection was given up while a statement ran.', {
        hint: 'The server may carry on with it.',
      }),
    );
  }

  async #send<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
    try {
      return await this.#watch.wait(
        this.#client.query<Row>(text, values.length > 0 ? [...values] : undefined),
      );
    } catch (error) {
      throw translateError(error, this.#where);
    }
  }

  /** A connection that does not end by itself is cut. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.abandon(), goodbyeMs);
    await this.#client.end().catch(() => undefined);
    clearTimeout(timer);
  }
}
