import type pg from 'pg';
import {
  AnswerWatch,
  type Backend,
  backendOf,
  endIdleBackend,
  sightOf,
  type Sight,
  type Pace,
  BusyClients,
  sendCancelRequest,
} from './answer-watch.js';
import { capabilitiesOf, type Capabilities } from './capabilities.js';
import type { TlsAttempt } from './connection/client-config.js';
import {
  answersAsPostgres,
  checkRole,
  establish,
  isUnreachable,
  isWanted,
} from './connection/establish.js';
import type { ServerSource, SourceOrigin } from './connection/source.js';
import { ranOut, translateError } from './connection/translate-error.js';
import { ConsoleError } from './errors.js';
import type { Queryable, Transaction } from './queryable.js';
import { poolOf, type ServerPool } from './server-pool.js';
import { DirectConnection, prepareSession } from './direct-connection.js';
import { StatementLog } from './statement-log.js';
import {
  againUnlessBegun,
  Asked,
  behind,
  beginStatementOn,
  briefLimits,
  clientTimeoutMs,
  copyWithTimeout,
  heeded,
  breaksClient,
  rollsBack,
  sendTogether,
  whyUnanswered,
  withTimeout,
  defaultLimits,
  startOf,
  type TransactionOptions,
} from './transaction.js';

export { DirectConnection, type Queryable, type Transaction };
export type { TransactionOptions };

export type DatabaseOptions = {
  /** Target schema (`--schema`); default: the first schema of the role's search_path that exists. */
  schema?: string | undefined;
  /** Connections at most, 5 to 20. */
  poolSize?: number | undefined;
  /** Connections that are opened at once, for what will be asked at the same time; default 1. */
  openAtOnce?: number | undefined;
  /** `--read-only`: every transaction is READ ONLY. Maintenance is refused by its registry as well. */
  readOnly?: boolean | undefined;
  /** The name of a connection marked as production: it is typed to confirm an action. */
  production?: string | undefined;
  /** The flags that name the database, quoted for a shell, for commands that are printed: `--connection prod`. */
  namedBy?: string | undefined;
  /**
   * Starts the server when nobody answers: the embedded one ends when nobody uses it for a while.
   *
   * @throws ConsoleError
   */
  wake?: (() => Promise<unknown>) | undefined;
  /**
   * Whether a server answers that cannot be asked while it is at a statement: the embedded one.
   *
   * @throws ConsoleError when it does not
   */
  answers?: (() => Promise<unknown>) | undefined;
  /** For tests: how soon an answer that does not come is looked after. */
  answerPace?: Pace | undefined;
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
  // After a failover another one of those that are named.
  #source: ServerSource;
  #tls: TlsAttempt;
  #pool: ServerPool;
  #moving: Promise<void> | undefined;
  #primary: Promise<Database> | undefined;
  readonly #options: DatabaseOptions;
  readonly #busy = new BusyClients();
  #closing: Promise<void> | undefined;
  readonly production: string | undefined;
  /** The flags that led here, quoted for a shell: `--connection prod`; absent: its address does. */
  readonly namedBy: string | undefined;

  private constructor(
    source: ServerSource,
    tls: TlsAttempt,
    pool: ServerPool,
    capabilities: Capabilities,
    options: DatabaseOptions,
  ) {
    this.#options = options;
    this.origin = source.origin;
    this.#source = source;
    this.#tls = tls;
    this.#pool = pool;
    this.capabilities = capabilities;
    this.production = options.production;
    this.namedBy = options.namedBy;
  }

  /**
   * Connects and reads the server's capabilities once.
   *
   * @throws ConsoleError with exit code 3 when there is no connection to be had.
   */
  static async open(named: ServerSource, options: DatabaseOptions = {}): Promise<Database> {
    const { source, tls, pool } = await establish(named, poolOf(options.poolSize));
    try {
      const capabilities = await capabilitiesOf(source, pool, pool, options.schema);
      checkRole(source, capabilities);
      pool.pooled = capabilities.pooled;
      // A pooler accepts more than it serves: those would be waited for in vain.
      if (!capabilities.pooled) await pool.prepare((options.openAtOnce ?? 1) - 1);
      return new Database(source, tls, pool, capabilities, options);
    } catch (error) {
      await pool.end();
      const failure = translateError(pool.causeOf(error), source);
      throw options.answers ? await whyUnanswered(failure, options.answers) : failure;
    }
  }

  /** Without any secret. */
  get address(): { host: string; port: number; user: string; database: string; tls: boolean } {
    const { host, port, user, database } = this.#source;
    return { host, port, user, database, tls: this.#tls !== false };
  }

  /** The console's own backends. */
  get ownPids(): readonly number[] {
    return this.#pool.pids;
  }

  /** `--read-only`, or the role, database or server has default_transaction_read_only on. */
  get readOnly(): boolean {
    return (this.#options.readOnly ?? false) || this.capabilities.readOnlyByDefault;
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
  transaction<Result>(
    options: TransactionOptions,
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    return againUnlessBegun(() => this.#attempt(options, work));
  }

  async #attempt<Result>(
    options: TransactionOptions,
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result> {
    const client = await this.#connect();
    const pool = this.#pool;
    const timeoutMs = clientTimeoutMs(options);
    const { statementTimeoutMs = defaultLimits.statementTimeoutMs } = options;
    const asked = new Asked((error, sinceMs) => {
      const timedOut = ranOut(sinceMs, statementTimeoutMs);
      return translateError(pool.causeOf(error, client), this.#source, { timedOut });
    }, options.answered);
    const run: Queryable['query'] = (text, values) =>
      asked.answer((underWay) => withTimeout(client, timeoutMs * underWay)<never>(text, values));
    const copy: Transaction['copy'] = (text, data) =>
      asked.answer(() => copyWithTimeout(client, timeoutMs)(text, data));
    let broken = false;
    const readOnly = this.#options.readOnly === true || options.readOnly === true;
    // What changes something is never sent before it is known to be within the transaction.
    const isAhead = readOnly && statementTimeoutMs > 0;
    this.#busy.add(client);
    try {
      if (isAhead) sendTogether(client);
      const begun = heeded(run(beginStatementOn(this.capabilities, { ...options, readOnly })));
      if (!isAhead) await begun;
      if (statementTimeoutMs === 0) asked.watch = await this.#watchOver(client);
      const result = await work({
        ...(options.tellsTime ? { startedMs: heeded(begun.then(startOf)) } : {}),
        query: asked.whileOpen(
          this.statements.watching(isAhead ? behind(begun, run) : run, options.purpose),
        ),
        copy: this.statements.watchingCopy(copy, options.purpose),
      });
      asked.isOver = true;
      const ended = heeded(run('COMMIT'));
      // Nothing hangs on the end of what has only read: the next transaction of this connection comes behind it.
      if (!isAhead) await ended;
      return result;
    } catch (cause) {
      asked.isOver = true;
      const error = translateError(cause, this.#source);
      broken = breaksClient(error) || !(await rollsBack(client));
      throw this.capabilities.embedded ? await whyUnanswered(error, this.#options.answers) : error;
    } finally {
      this.#busy.delete(client);
      client.release(broken);
    }
  }

  /**
   * Of its own, outside of the pool, for what cannot run in a transaction (VACUUM). The caller closes it.
   *
   * @throws ConsoleError `pooled_connection` behind a transaction pooler, where a session is shared; `read_only` where the role or
   * the database was made so since the console's other sessions began.
   */
  async connectDirect(): Promise<DirectConnection> {
    if (this.capabilities.pooled) {
      throw new ConsoleError('pooled_connection', 'This needs a direct connection to the server.', {
        hint: 'Connect past the pooler: the port of the server itself (5432), not of the pooler (6543).',
      });
    }
    await this.#options.wake?.();
    const client = await this.#pool.connectOutside();
    try {
      await prepareSession(client, this.capabilities);
      const backend = await backendOf(client);
      return new DirectConnection(client, this.#source, this.statements, {
        look: () => this.#look(backend),
        end: async () =>
          backend &&
          endIdleBackend(backend, (text, values) => this.read(text, values, briefLimits)),
        pace: this.#options.answerPace,
      });
    } catch (error) {
      await client.end().catch(() => undefined);
      throw translateError(error, this.#source);
    }
  }

  /**
   * Cancels what a direct connection of ours is running; its statement then fails with SQLSTATE
   * 57014, or within seconds with `connection_lost` or `interrupted` when its connection has gone silent.
   * The embedded engine is restarted by it.
   */
  async cancel(connection: DirectConnection): Promise<void> {
    connection.expectEnd();
    try {
      if (this.capabilities.embedded) throw new Error('it has no functions for this');
      const { processId } = connection.cancelKey;
      await this.read('SELECT pg_cancel_backend($1)', [processId], briefLimits);
    } catch {
      // No connection is free for a statement: a cancel request needs none.
      await sendCancelRequest(this.#cancelAddress, connection.cancelKey).catch(() => undefined);
    }
  }

  get #cancelAddress() {
    const { host, hostAddress, port } = this.#source;
    return { host: hostAddress ?? host, port };
  }

  /** For statements without a time limit: none waits for ever. */
  async #watchOver(client: pg.ClientBase): Promise<AnswerWatch> {
    const backend = await backendOf(client);
    return new AnswerWatch(client, () => this.#look(backend), this.#options.answerPace);
  }

  /** What another connection sees of a backend of ours. */
  async #look(backend: Backend | undefined): Promise<Sight> {
    if (this.capabilities.embedded) {
      await this.#options.answers?.();
      return 'unknown';
    }
    // It would wait behind the very statement that it is to look at.
    if (this.#pool.exhausted) {
      const { host, port } = this.#cancelAddress;
      if (await answersAsPostgres(host, port, briefLimits.statementTimeoutMs)) return 'unknown';
    }
    return sightOf(backend, (text, values) => this.read(text, values, briefLimits));
  }

  /** Reads the capabilities anew: after a reconnect, a failover, or when the schema was applied. */
  async refreshCapabilities(): Promise<Capabilities> {
    await this.#options.wake?.();
    const connects = { connect: () => this.#connect() };
    const read = () => capabilitiesOf(this.#source, this.#pool, connects, this.capabilities.schema);
    let fresh = await read();
    if (this.hasOtherServers && !isWanted(this.#source, fresh)) {
      await this.#move();
      fresh = await read();
    }
    this.#pool.pooled = fresh.pooled;
    Object.assign(this.capabilities, fresh);
    return fresh;
  }

  /** The connection string names several servers. */
  get hasOtherServers(): boolean {
    return this.#source.servers !== undefined;
  }

  /**
   * Where changes are made: this database, or, while it is read from a standby, the primary among the servers
   * that are named. Closed with this one.
   *
   * @throws ConsoleError when none of them is a primary
   */
  async primary(): Promise<Database> {
    if (!this.capabilities.standby || !this.hasOtherServers) return this;
    const known = await this.#primary?.catch(() => undefined);
    if (known) {
      await known.refreshCapabilities();
      return known;
    }
    const parameters = { ...this.#source.parameters, target_session_attrs: 'primary' };
    this.#primary = Database.open({ ...this.#source, parameters }, this.#options);
    return this.#primary;
  }

  /** Closes every connection; waits for running statements. A second call waits for the first. */
  close(): Promise<void> {
    const closed = this.#primary?.then(
      (primary) => primary.close(),
      () => undefined,
    );
    this.#closing ??= Promise.all([this.#pool.end(), closed]).then(() => undefined);
    return this.#closing;
  }

  /**
   * Closes every connection, and has the server end the statements that these are at. The embedded engine has no
   * cancel that spares the others: there they end by themselves.
   */
  async abandon(): Promise<void> {
    const closed = this.close();
    if (!this.capabilities.embedded) await this.#busy.cancelAll(this.#cancelAddress);
    await closed;
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      await this.#recover(error);
    }
    return this.#pool.connect();
  }

  /** Starts the server, or goes to another one, where that can help; throws the error where it cannot. */
  async #recover(cause: unknown): Promise<void> {
    const error = translateError(cause, this.#source);
    if (this.#options.wake && error.code === 'connection_refused') await this.#options.wake();
    else if (this.hasOtherServers && isUnreachable(error)) await this.#move();
    else
      throw this.capabilities.embedded ? await whyUnanswered(error, this.#options.answers) : error;
  }

  /** To the first of the servers that answers and is what is asked for; it may be the same one. */
  #move(): Promise<void> {
    this.#moving ??= this.#find().finally(() => {
      this.#moving = undefined;
    });
    return this.#moving;
  }

  async #find(): Promise<void> {
    const { source, tls, pool } = await establish(this.#source, poolOf(this.#options.poolSize));
    const left = this.#pool;
    this.#source = source;
    this.#tls = tls;
    this.#pool = pool;
    this.#pool.pooled = left.pooled;
    left.end().catch(() => undefined); // what is still at work there ends by its own time-out
  }
}
