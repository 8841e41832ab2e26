import pg from 'pg';
import { clientConfig, type TlsAttempt } from './connection/client-config.js';
import { guardedClient, isPlain } from './connection/establish.js';
import type { ServerSource } from './connection/source.js';
import { sqlStateOf, translateError } from './connection/translate-error.js';
import { ConsoleError } from './errors.js';

/** How long the pool keeps to the connections that it was given, before it asks for more (ms). */
const askAgainMs = 60_000;

/** A pooler accepts a client at once, and answers when one of its own connections is free (ms). */
const poolerPatienceMs = 2_000;

/**
 * The console's connections to one server. It goes on with what is to be had, down to one: where the server (a
 * limit of the role, of the database, of the whole server) or a pooler gives no further one, those that are
 * there are shared, and who finds none free in time hears `busy`, which is no loss of the connection.
 */
export class ServerPool {
  readonly #source: ServerSource;
  readonly #tls: TlsAttempt;
  readonly #pool: pg.Pool;
  readonly #wanted: number;
  readonly #clients = new Set<pg.PoolClient>();
  /** What the server said as it ended a connection, between two statements. */
  readonly #endings = new WeakMap<pg.PoolClient, unknown>();
  #lastEnded: pg.PoolClient | undefined;
  /** Connections that are being opened for whoever comes first. */
  readonly #opening = new Set<Promise<pg.PoolClient>>();
  #narrowedAt: number | undefined;
  /** Why there are no more. */
  #refusal: string | undefined;
  /** A pooler stands between. */
  pooled = false;

  constructor(source: ServerSource, tls: TlsAttempt, size: number) {
    this.#source = source;
    this.#tls = tls;
    this.#wanted = size;
    this.#pool = new pg.Pool({
      ...clientConfig(source, tls),
      Client: guardedClient(source.parameters),
      // A statement need not wait for the answer to the one before it.
      pipeline: true,
      max: size,
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: true,
      verify: (client, done) => this.#verify(client, done),
    });
    // A connection that breaks while idle is dropped by the pool; the next statement reports it.
    this.#pool.on('error', () => undefined);
    // The pool listens to its idle connections only. One that breaks between two statements of a transaction
    // would end the process; so its next statement reports it.
    this.#pool.on('connect', (client) =>
      client.on('error', (error: unknown) => {
        if (this.#endings.has(client)) return;
        this.#endings.set(client, error);
        this.#lastEnded = client;
      }),
    );
    this.#pool.on('connect', (client) => {
      this.#clients.add(client);
      // The server has said that it has no TLS: the next connection does not ask.
      if (isPlain(client)) this.#pool.options.ssl = false;
    });
    this.#pool.on('remove', (client) => this.#clients.delete(client));
  }

  /** The backends behind its connections, as the server named them; a pooler makes numbers of its own. */
  get pids(): readonly number[] {
    return [...this.#clients].flatMap((client) => {
      const pid: unknown = Reflect.get(client, 'processID');
      return typeof pid === 'number' ? [pid] : [];
    });
  }

  /** Why a statement failed: the server's own word for the end of its connection, where it has said one. */
  causeOf(error: unknown, client = this.#lastEnded): unknown {
    // It says already why, as that no server will do.
    if (error instanceof ConsoleError) return error;
    const ending = client && this.#endings.get(client);
    const isSaid = sqlStateOf(error) === undefined && sqlStateOf(ending) !== undefined;
    return isSaid ? ending : error;
  }

  /** Whether every connection that is to be had is at work. */
  get exhausted(): boolean {
    return this.#narrowedAt !== undefined && this.#pool.idleCount === 0;
  }

  /** @throws ConsoleError `busy` when all are at work for long; else when there is no connection at all */
  async connect(): Promise<pg.PoolClient> {
    // What is being opened comes sooner than what is asked for now.
    const isFree = this.#pool.idleCount > this.#pool.waitingCount;
    const [opening] = isFree ? [] : this.#opening;
    if (opening) {
      this.#opening.delete(opening);
      const client = await opening.catch(() => undefined);
      if (client) return client;
    }
    return this.#connect();
  }

  async #connect(): Promise<pg.PoolClient> {
    if (this.#narrowedAt !== undefined && performance.now() - this.#narrowedAt >= askAgainMs) {
      this.#narrowedAt = undefined;
      this.#pool.options.max = this.#wanted;
    }
    for (;;) {
      try {
        return await this.#pool.connect();
      } catch (error) {
        if (isQueueTimeout(error)) throw this.#busy(error);
        if (!this.#isRefusal(error) || this.#pool.totalCount === 0) {
          throw translateError(error, this.#source);
        }
        this.#narrow(this.#pool.totalCount, error);
      }
    }
  }

  /**
   * Gives one connection back to the server, for a session outside of the pool.
   *
   * @returns false when it is the only one
   */
  async #spare(refusal: unknown): Promise<boolean> {
    const { totalCount } = this.#pool;
    if (totalCount <= 1) return false;
    this.#narrow(totalCount - 1, refusal);
    const client = await this.connect();
    client.release(true);
    return true;
  }

  /** Where the server gives no further connection, one of the pool's makes room. */
  async connectOutside(): Promise<pg.Client> {
    const Client = guardedClient(this.#source.parameters);
    for (;;) {
      const client = new Client(clientConfig(this.#source, this.#tls));
      client.on('error', () => undefined);
      try {
        await client.connect();
        return client;
      } catch (cause) {
        await client.end().catch(() => undefined);
        const error = translateError(cause, this.#source);
        if (error.code !== 'too_many_connections') throw error;
        if (!(await this.#spare(error))) throw oneConnectionOnly(error);
      }
    }
  }

  /** Begins to open so many further connections. One that is not to be had is missed by whoever needs it. */
  async prepare(count: number): Promise<void> {
    if (count <= 0) return;
    // While it is held, each of the others is a new one.
    const idle = await this.#connect().catch(() => undefined);
    for (let index = 0; index < count; index += 1) {
      const opening = this.#connect();
      this.#opening.add(opening);
      opening.then(
        (client) => {
          if (this.#opening.delete(opening)) client.release();
        },
        () => this.#opening.delete(opening),
      );
    }
    idle?.release();
  }

  end(): Promise<void> {
    return this.#pool.end();
  }

  #narrow(size: number, reason: unknown): void {
    this.#pool.options.max = size;
    this.#narrowedAt = performance.now();
    this.#refusal = translateError(reason, this.#source).message;
  }

  /** The server answered, and gave no connection; or a pooler let it wait. */
  #isRefusal(error: unknown): boolean {
    if (error instanceof NoPoolerConnection) return true;
    const state = sqlStateOf(error);
    return state === '53300' || (this.pooled && state !== undefined && !state.startsWith('28'));
  }

  #busy(cause: unknown): ConsoleError {
    const count = this.#pool.totalCount;
    const which = count === 1 ? 'The one connection' : `All ${count} connections`;
    return new ConsoleError('busy', `${which} to the server stayed busy.`, {
      hint:
        this.#refusal === undefined
          ? 'Another statement of this console takes long; --pool-size allows more connections.'
          : `The server gives no more: ${this.#refusal}`,
      cause,
    });
  }

  #verify(client: pg.PoolClient, done: (error?: Error) => void): void {
    if (!this.pooled || this.#pool.totalCount <= 1) {
      done();
      return;
    }
    const probe: pg.QueryConfig & { query_timeout: number } = {
      text: 'SELECT 1',
      query_timeout: poolerPatienceMs,
    };
    client.query(probe).then(
      () => done(),
      (cause: unknown) => done(new NoPoolerConnection(cause)),
    );
  }
}

class NoPoolerConnection extends Error {
  constructor(cause: unknown) {
    super('The pooler has no further connection to the server free.', { cause });
  }
}

/** pg's words for a wait in its own queue; a server that does not answer has others. */
function isQueueTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect';
}

function oneConnectionOnly(cause: ConsoleError): ConsoleError {
  return new ConsoleError(
    'too_many_connections',
    `This needs a second connection to the server. ${cause.message}`,
    {
      hint: 'ALTER ROLE … CONNECTION LIMIT, and max_connections, say how many there may be; other programs of the role count.',
      cause,
    },
  );
}

/** Pools of 5 to 20 connections are usual for one application. */
export const poolSizes = { lowest: 5, default: 5, highest: 20 } as const;

/** Opens a pool of so many connections, where a way to the server is tried. */
export const poolOf =
  (size: number = poolSizes.default) =>
  (source: ServerSource, tls: TlsAttempt): ServerPool =>
    new ServerPool(source, tls, size);
