import pg from 'pg';
import { BusyClients } from './busy-clients.js';
import { readCapabilities, type Capabilities } from './capabilities.js';
import { sendCancelRequest } from './connection/cancel-request.js';
import { clientConfig } from './connection/client-config.js';
import { establish } from './connection/establish.js';
import type { ServerSource, SourceOrigin } from './connection/source.js';
import type { TlsAttempt } from './connection/tls.js';
import { translateError } from './connection/translate-error.js';
import { ConsoleError } from './errors.js';
import type { Queryable } from './queryable.js';
import { DirectConnection } from './direct-connection.js';
import { StatementLog } from './statement-log.js';
import { beginStatement, defaultLimits, type TransactionOptions } from './transaction-settings.js';

export type { Queryable } from './queryable.js';
export { DirectConnection } from './direct-connection.js';
export type { TransactionOptions } from './transaction-settings.js';

export type DatabaseOptions = {
  /** Target schema (`--schema`); default: the first schema of the role's search_path that exists. */
  schema?: string | undefined;
  /** Connections at most, 5 to 20. */
  poolSize?: number | undefined;
  /** `--read-only`: every transaction is READ ONLY. Maintenance is refused by its registry as well. */
  readOnly?: boolean | undefined;
  /** The name of a connection marked as production: it is typed to confirm an action. */
  production?: string | undefined;
  /**
   * Starts the server when nobody answers: the embedded one ends when nobody uses it for a while.
   *
   * @throws ConsoleError
   */
  wake?: (() => Promise<unknown>) | undefined;
};

/**
 * A database behind a small pool. Every statement runs in a transaction that sets its own limits
 * (SET LOCAL), so that nothing leaks through a transaction pooler; a broken connection is thrown
 * away and the next statement opens a new one.
 */
export class Database {
  readonly origin: SourceOrigin;
  readonly capabilities: Capabilities;
  /** What was asked, with its times. */
  readonly statements = new StatementLog();
  readonly #source: ServerSource;
  readonly #tls: TlsAttempt;
  readonly #pool: pg.Pool;
  readonly #readOnly: boolean;
  readonly #busy = new BusyClients();
  #closing: Promise<void> | undefined;
  readonly production: string | undefined;
  readonly #wake: DatabaseOptions['wake'];

  private constructor(
    source: ServerSource,
    tls: TlsAttempt,
    pool: pg.Pool,
    capabilities: Capabilities,
    { readOnly = false, production, wake }: DatabaseOptions,
  ) {
    this.origin = source.origin;
    this.#source = source;
    this.#tls = tls;
    this.#pool = pool;
    this.capabilities = capabilities;
    this.#readOnly = readOnly;
    this.production = production;
    this.#wake = wake;
  }

  /**
   * Connects and reads the server's capabilities once.
   *
   * @throws ConsoleError with exit code 3 when there is no connection to be had.
   */
  static async open(source: ServerSource, options: DatabaseOptions = {}): Promise<Database> {
    const tls = await establish(source);
    const pool = new pg.Pool({
      ...clientConfig(source, tls),
      max: options.poolSize ?? poolSizes.default,
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: true,
    });
    // A connection that breaks while idle is dropped by the pool; the next statement reports it.
    pool.on('error', () => undefined);
    // The pool listens to its idle connections only. One that breaks between two statements of a transaction
    // would end the process; so its next statement reports it.
    pool.on('connect', (client) => client.on('error', () => undefined));
    try {
      const capabilities = await readCapabilities(pool, { schema: options.schema });
      return new Database(source, tls, pool, capabilities, options);
    } catch (error) {
      await pool.end();
      throw translateError(error, source);
    }
  }

  /** Host, port, user and database, without any secret. */
  get address(): { host: string; port: number; user: string; database: string; tls: boolean } {
    const { host, port, user, database } = this.#source;
    return { host, port, user, database, tls: this.#tls !== false };
  }

  get readOnly(): boolean {
    return this.#readOnly;
  }

  /** One statement in its own read-only transaction. */
  async read<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
    options: Omit<TransactionOptions, 'readOnly'> = {},
  ): Promise<Row[]> {
    return this.transaction({ ...options, readOnly: true }, async (tx) => {
      const { rows } = await tx.query<Row>(text, values);
      return rows;
    });
  }

  /**
   * Runs `work` in one transaction; commits when it returns, rolls back when it throws.
   *
   * @throws ConsoleError; what `work` throws comes out translated, with the original as cause.
   */
  async transaction<Result>(
    options: TransactionOptions,
    work: (transaction: Queryable) => Promise<Result>,
  ): Promise<Result> {
    const client = await this.#connect();
    const send = withTimeout(client, clientTimeoutMs(options));
    const run: Queryable['query'] = (text, values) =>
      send<never>(text, values).catch((error: unknown) => {
        throw translateError(error, this.#source);
      });
    let broken = false;
    this.#busy.add(client);
    try {
      await run(
        beginStatement({
          ...options,
          readOnly: this.#readOnly || (options.readOnly ?? false),
          searchPath: options.searchPath ?? this.capabilities.searchPath,
        }),
      );
      const result = await work({ query: this.statements.watching(run, options.purpose) });
      await run('COMMIT');
      return result;
    } catch (cause) {
      const error = translateError(cause, this.#source);
      broken = losesConnection(error) || !(await rollsBack(client));
      throw this.capabilities.embedded && isUnanswered(error) ? engineBusy(error) : error;
    } finally {
      this.#busy.delete(client);
      client.release(broken);
    }
  }

  /**
   * A connection of its own, outside the pool and outside any transaction, for what cannot run in
   * one (CONCURRENTLY, VACUUM) or holds session state. The caller closes it.
   *
   * @throws ConsoleError `pooled_connection` behind a transaction pooler, where a session is shared.
   */
  async connectDirect(): Promise<DirectConnection> {
    if (this.capabilities.pooled) {
      throw new ConsoleError('pooled_connection', 'This needs a direct connection to the server.', {
        hint: 'Connect past the pooler: the port of the server itself (5432), not of the pooler (6543).',
      });
    }
    await this.#wake?.();
    const client = new pg.Client(clientConfig(this.#source, this.#tls));
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(`SET search_path = ${this.capabilities.searchPath}`);
      return new DirectConnection(client, this.#source, this.statements);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw translateError(error, this.#source);
    }
  }

  /**
   * Cancels what a direct connection of ours is running; its statement then fails with SQLSTATE
   * 57014. The embedded engine is restarted by it.
   */
  async cancel(connection: DirectConnection): Promise<void> {
    if (this.capabilities.embedded) await sendCancelRequest(this.#source, connection.cancelKey);
    else await this.read('SELECT pg_cancel_backend($1)', [connection.cancelKey.processId]);
  }

  /** Reads the capabilities anew: after a reconnect, a failover, or when the schema was applied. */
  async refreshCapabilities(): Promise<Capabilities> {
    await this.#wake?.();
    try {
      const fresh = await readCapabilities(this.#pool, {
        schema: this.capabilities.schema,
      });
      Object.assign(this.capabilities, fresh);
      return fresh;
    } catch (error) {
      throw translateError(error, this.#source);
    }
  }

  /** Closes every connection; waits for running statements. A second call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= this.#pool.end();
    return this.#closing;
  }

  /**
   * Closes every connection, and has the server end the statements that these are at. The embedded engine has no
   * cancel that spares the others: there they end by themselves.
   */
  async abandon(): Promise<void> {
    const closed = this.close();
    const { host, hostAddress, port } = this.#source;
    if (!this.capabilities.embedded) {
      await this.#busy.cancelAll({ host: hostAddress ?? host, port });
    }
    await closed;
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (cause) {
      const error = translateError(cause, this.#source);
      if (error.code !== 'connection_refused' || !this.#wake) throw error;
    }
    await this.#wake();
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw translateError(error, this.#source);
    }
  }
}

/** The seed recommends 5 to 20 connections. */
export const poolSizes = { lowest: 5, default: 5, highest: 20 } as const;

/** How long the client waits beyond the server's own statement time-out before it hangs up. */
const graceMs = 5_000;

/** A cut network would hold a connection for ever; 0 where the statement itself has no limit. */
function clientTimeoutMs({ statementTimeoutMs = defaultLimits.statementTimeoutMs }): number {
  return statementTimeoutMs === 0 ? 0 : statementTimeoutMs + graceMs;
}

function withTimeout(client: pg.PoolClient, timeoutMs: number): Queryable['query'] {
  return <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
    // `query_timeout` of one statement is documented by pg but missing from its types. Without
    // values the simple protocol is used, which takes several statements at once.
    const config: pg.QueryConfig & { query_timeout?: number } = { text };
    if (values.length > 0) config.values = [...values];
    if (timeoutMs > 0) config.query_timeout = timeoutMs;
    return client.query<Row>(config);
  };
}

/** After these the connection is of no use; a ROLLBACK would wait behind the lost statement. */
function losesConnection(error: ConsoleError): boolean {
  return error.code === 'connection_lost' || isUnanswered(error);
}

/** The client gave up waiting, not the server. */
function isUnanswered(error: ConsoleError): boolean {
  return error.code === 'statement_timeout' && error.sqlState === undefined;
}

/** No network is between: it runs one statement after the other, and another client's takes long. */
function engineBusy(cause: ConsoleError): ConsoleError {
  return new ConsoleError('busy', 'The embedded engine is busy with another statement.', {
    hint: 'It runs one at a time; this one did not get its turn in time.',
    cause,
  });
}

async function rollsBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await withTimeout(client, graceMs)('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}
