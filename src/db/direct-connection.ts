import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { AnswerWatch, type Pace, type Sight, cancelKeyOf, type CancelKey } from './answer-watch.js';
import { translateError, type Where } from './connection/translate-error.js';
import { ConsoleError } from './errors.js';
import type { Capabilities } from './capabilities.js';
import type { Queryable } from './queryable.js';
import { quoteLiteral } from './quote.js';
import type { StatementLog } from './statement-log.js';
import { ownSettings } from './transaction.js';

type Session = Pick<Capabilities, 'serverVersion' | 'searchPath' | 'embedded'>;

/**
 * The settings of a session of its own. Time limits of the role or the database would end a long build; so
 * whatever is cancelled there was cancelled by somebody. The embedded engine's own limit stays.
 */
function sessionStatement({ serverVersion, searchPath, embedded }: Session): string {
  const settings: Record<string, string> = {
    ...ownSettings,
    // A concurrent build waits for every transaction that is older than it.
    lock_timeout: '0',
    idle_session_timeout: '0',
    idle_in_transaction_session_timeout: '0',
    ...(serverVersion >= 170_000 ? { transaction_timeout: '0' } : {}),
  };
  return [
    // First, and so quickly that no limit of the role ends it. The engine's daemon takes 0 for none at all: only a limit that somebody has set.
    embedded
      ? `SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'statement_timeout' AND setting <> '0'`
      : `SET statement_timeout = 0`,
    ...Object.entries(settings).map(([name, value]) => `SET ${name} = ${quoteLiteral(value)}`),
    `SET search_path = ${searchPath}`,
  ].join('; ');
}

/**
 * Makes a new session one for long statements. It has what the role and the database have set since the console's other sessions began:
 * REINDEX and VACUUM would run where it is read-only by default, and could not be written down.
 *
 * @throws ConsoleError `read_only`; errors of pg as they are
 */
export async function prepareSession(client: pg.ClientBase, capabilities: Session): Promise<void> {
  await client.query(sessionStatement(capabilities));
  const { rows } = await client.query<{ on: boolean }>(
    `SELECT current_setting('default_transaction_read_only')::bool AS on`,
  );
  if (rows[0]?.on !== true) return;
  throw new ConsoleError(
    'read_only',
    'Refused: default_transaction_read_only is on for new connections.',
    { hint: 'It was set for the role, the database or the server since this console connected.' },
  );
}

/** What other connections see of the backend of this one, and do to it. */
type FromOutside = {
  look: () => Promise<Sight>;
  /** Ends it where it is at nothing. */
  end: () => Promise<unknown>;
  pace: Pace | undefined;
};

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
  readonly #end: FromOutside['end'];
  #isLost = false;

  /** Written down in the log, like every statement. */
  readonly query: Queryable['query'];

  constructor(
    client: pg.Client,
    where: Where,
    statements: StatementLog,
    { look, end, pace }: FromOutside,
  ) {
    this.#client = client;
    this.#where = where;
    this.#end = end;
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
      const failure = translateError(error, this.#where);
      this.#isLost ||= failure.code === 'connection_lost';
      throw failure;
    }
  }

  /** A connection that does not end by itself is cut; one that went silent is ended on the server, too. */
  async close(): Promise<void> {
    if (this.#isLost) {
      this.#isLost = false;
      // The other connection may itself have to be made first, which takes as long as connect_timeout allows.
      const ended = this.#end().catch(() => undefined);
      await Promise.race([ended, sleep(goodbyeMs, undefined, { ref: false })]);
    }
    const timer = setTimeout(() => this.abandon(), goodbyeMs);
    await this.#client.end().catch(() => undefined);
    clearTimeout(timer);
  }
}
