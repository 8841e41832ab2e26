import type pg from 'pg';
import { cancelKeyOf } from './busy-clients.js';
import type { CancelKey } from './connection/cancel-request.js';
import { translateError, type Where } from './connection/translate-error.js';
import type { Queryable } from './queryable.js';
import type { StatementLog } from './statement-log.js';

/** A session of its own, outside the pool and any transaction; see Database.connectDirect. */
export class DirectConnection implements Queryable {
  readonly #client: pg.Client;
  readonly #where: Where;

  /** Written down in the log, like every statement. */
  readonly query: Queryable['query'];

  constructor(client: pg.Client, where: Where, statements: StatementLog) {
    this.#client = client;
    this.#where = where;
    this.query = statements.watching((text, values) => this.#send(text, values), 'maintenance');
  }

  get cancelKey(): CancelKey {
    return cancelKeyOf(this.#client);
  }

  async #send<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
    try {
      return await this.#client.query<Row>(text, values.length > 0 ? [...values] : undefined);
    } catch (error) {
      throw translateError(error, this.#where);
    }
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }
}
