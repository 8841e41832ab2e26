import { ConsoleError, type ErrorCode } from '../errors.js';
import { isPlainAllowed, tlsAttempts, type TlsAttempt } from './client-config.js';
import type { ServerSource } from './source.js';
import { sqlStateOf, translateError } from './translate-error.js';
import net from 'node:net';
import pg from 'pg';
import { invalidParameter, type ConnectionParameters } from './conninfo.js';

const localContainerPort = 5436;

/** Connections to a server, of which one is open. */
type Pool = { connect(): Promise<pg.PoolClient>; end(): Promise<void> };

/** A server that answers, the way (TLS or not) to it, and the pool of the connection that has found it. */
export type Found<Opened> = { source: ServerSource; tls: TlsAttempt; pool: Opened };

/**
 * Finds the server to use: the first of those that are named that answers and is what
 * target_session_attrs asks for. Opens a connection to each to learn which way (TLS or not) works, and keeps that which
 * does. Every attempt has the source's connect time-out. As for libpq, a server that refuses the user ends the search.
 *
 * @throws ConsoleError with the reason of the last attempt and a hint.
 */
export async function establish<Opened extends Pool>(
  source: ServerSource,
  openPool: (source: ServerSource, tls: TlsAttempt) => Opened,
): Promise<Found<Opened>> {
  const { target_session_attrs: wanted, load_balance_hosts: order } = source.parameters;
  const named = source.servers ?? [source];
  const servers = order === 'random' ? shuffled(named) : named;
  const failures: ConsoleError[] = [];
  for (const role of wanted === 'prefer-standby' ? ['standby', 'any'] : [wanted ?? 'any']) {
    failures.length = 0;
    for (const { host, hostAddress, port } of servers) {
      const at: ServerSource = { ...source, host, port };
      if (hostAddress === undefined) delete at.hostAddress;
      else at.hostAddress = hostAddress;
      try {
        return await reach(at, servers.length > 1 ? role : 'any', openPool);
      } catch (error) {
        const failure = translateError(error, at);
        failures.push(failure);
        if (!isUnreachable(failure)) throw failure;
      }
    }
  }
  const [only] = failures;
  if (only && failures.length === 1) throw only;
  throw new ConsoleError(
    failures.at(-1)?.code ?? 'internal',
    `None of the ${failures.length} servers will do: ${failures.map(({ message }) => message).join(' ')}`,
    {
      hint: 'The console goes to the first that does, as soon as one does.',
      cause: failures.at(-1),
    },
  );
}

const unreachableCodes: ReadonlySet<ErrorCode> = new Set([
  'connection_refused',
  'connection_timeout',
  'connection_lost',
]);

/** Another one of several servers may be there. */
export function isUnreachable({ code }: ConsoleError): boolean {
  return unreachableCodes.has(code);
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

async function reach<Opened extends Pool>(
  source: ServerSource,
  role: string,
  openPool: (source: ServerSource, tls: TlsAttempt) => Opened,
): Promise<Found<Opened>> {
  const attempts = tlsAttempts(source.parameters, source.host);
  for (const [index, tls] of attempts.entries()) {
    const pool = openPool(source, tls);
    try {
      const client = await pool.connect();
      try {
        if (role !== 'any') await askRole(client, source, role);
      } finally {
        client.release();
      }
      return { source, tls: isPlain(client) ? false : tls, pool };
    } catch (error) {
      await pool.end().catch(() => undefined);
      const last = index === attempts.length - 1;
      if (last || !mayWorkOtherwise(source, error)) throw await withPortHint(source, error);
    }
  }
  throw new ConsoleError('internal', 'No way to connect was tried.');
}

async function askRole(client: pg.PoolClient, source: ServerSource, role: string): Promise<void> {
  const query: pg.QueryConfig & { query_timeout: number } = {
    text: roleQuery,
    query_timeout: source.connectTimeoutMs,
  };
  const { rows } = await client.query<ServerRole>(query);
  if (rows[0]) checkRole(source, rows[0], role);
}

type ServerRole = { standby: boolean; readOnlyByDefault: boolean };

const roleQuery = `SELECT pg_is_in_recovery() AS standby,
  current_setting('default_transaction_read_only')::bool AS "readOnlyByDefault"`;

/** @throws ConsoleError for a server that is not what target_session_attrs asks for */
export function checkRole(source: ServerSource, role: ServerRole, wanted?: string): void {
  const asked = wanted ?? source.parameters.target_session_attrs ?? 'any';
  if (isRole(role, asked)) return;
  const { standby, readOnlyByDefault } = role;
  const is = standby ? 'a standby' : readOnlyByDefault ? 'a read-only primary' : 'a primary';
  throw new ConsoleError(
    'connection_refused',
    `The server at ${source.host}:${source.port} is ${is}, and target_session_attrs=${asked}.`,
    { hint: 'Name another server, or target_session_attrs=any.' },
  );
}

/** Whether a server is still what target_session_attrs asks for. */
export function isWanted({ parameters }: ServerSource, role: ServerRole): boolean {
  return isRole(role, parameters.target_session_attrs ?? 'any');
}

function isRole({ standby, readOnlyByDefault }: ServerRole, wanted: string): boolean {
  const writes = !standby && !readOnlyByDefault;
  const answers = new Map([
    ['read-write', writes],
    ['read-only', !writes],
    ['primary', !standby],
    ['standby', standby],
  ]);
  return answers.get(wanted) ?? true;
}

/** Whether the other of TLS and plain text could help: not when nothing answers at all. */
function mayWorkOtherwise(source: ServerSource, error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) return state === '28000';
  const { code } = translateError(error, source);
  return code !== 'connection_refused' && code !== 'connection_timeout';
}

async function withPortHint(source: ServerSource, error: unknown): Promise<ConsoleError> {
  const translated = translateError(error, source);
  if (
    translated.code !== 'connection_refused' ||
    source.port !== 5432 ||
    source.host.startsWith('/') ||
    !(await answersAsPostgres(source.host, localContainerPort))
  ) {
    return translated;
  }
  return new ConsoleError(translated.code, translated.message, {
    hint: `A PostgreSQL answers on port ${localContainerPort} of ${source.host}, the port of docker-compose.yml: use it.`,
    cause: translated.cause,
  });
}

const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Whether a PostgreSQL server answers there: it replies S or N to a request for TLS. */
export function answersAsPostgres(host: string, port: number, timeoutMs = 500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = host.startsWith('/')
      ? net.connect({ path: `${host}/.s.PGSQL.${port}` })
      : net.connect({ host, port });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.on('connect', () => socket.write(sslRequest));
    socket.on('data', (data) => finish(data[0] === 0x53 || data[0] === 0x4e));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
  });
}

/** What require_auth names, as libpq does; gss and sspi are none that pg can do. */
const methods = ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'none'] as const;
type Method = (typeof methods)[number];

type Requirement = {
  /** The ways in which this user may be asked for who he is. */
  allowed: ReadonlySet<Method>;
  /** The password's exchange must be bound to the TLS connection, so that nobody stands between. */
  channelBinding: boolean;
};

/**
 * Reads `require_auth` (a list, or a list of what is not allowed: `!password,!md5`) and `channel_binding`.
 *
 * @throws ConsoleError `connection_source_invalid`
 */
function requirementOf({ require_auth, channel_binding }: ConnectionParameters): Requirement {
  const words = require_auth?.split(',').map((word) => word.trim()) ?? [];
  const isNegated = words.length > 0 && words.every((word) => word.startsWith('!'));
  const named = words.map((word) => {
    const method = methods.find((known) => known === (isNegated ? word.slice(1) : word));
    if (method) return method;
    throw invalidParameter(
      'require_auth',
      require_auth ?? '',
      `${methods.join(', ')}; all or none with "!"`,
    );
  });
  const isAllowed = (method: Method) =>
    require_auth === undefined || named.includes(method) !== isNegated;
  const binding = channel_binding ?? 'prefer';
  if (!['disable', 'prefer', 'require'].includes(binding)) {
    throw invalidParameter('channel_binding', binding, 'disable, prefer, require');
  }
  return { allowed: new Set(methods.filter(isAllowed)), channelBinding: binding === 'require' };
}

function refusal(message: string): ConsoleError {
  return new ConsoleError('authentication_failed', message, {
    hint: 'require_auth and channel_binding say what is allowed; another server may have answered than was meant.',
  });
}

/**
 * pg's client, which asks the server for more than pg does: nothing is sent in answer to a way of
 * authentication that the parameters do not allow.
 */
export function guardedClient(parameters: ConnectionParameters): typeof pg.Client {
  const { allowed, channelBinding } = requirementOf(parameters);
  const goesOnPlain = isPlainAllowed(parameters);
  return class GuardedClient extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super(config);
      const { connection } = this as unknown as { connection: Connection };
      if (goesOnPlain && connection.ssl !== false && connection.sslNegotiation !== 'direct') {
        goOnPlain(connection);
      }
      let asked: Method = 'none';
      const check = (method: Method, isBound = false) => {
        asked = method;
        if (!allowed.has(method)) fail(`The server asks for authentication by ${method}.`);
        else if (channelBinding && !isBound) {
          fail('The server offers no channel binding, which channel_binding=require demands.');
        }
      };
      const fail = (message: string) => {
        // pg's own listener comes later, and writes to a stream that is closed.
        connection.stream.destroy(refusal(message));
      };
      connection.on('authenticationCleartextPassword', () => check('password'));
      connection.on('authenticationMD5Password', () => check('md5'));
      connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) =>
        check('scram-sha-256', mechanisms.includes('SCRAM-SHA-256-PLUS')),
      );
      connection.on('authenticationOk', () => {
        if (asked === 'none') check('none');
      });
    }
  };
}

/** What pg's types leave out. */
type Connection = NodeJS.EventEmitter & {
  stream: net.Socket;
  /** False for plain text. */
  ssl: unknown;
  sslNegotiation: string;
  connect(port: number | string, host?: string): void;
  attachListeners(stream: net.Socket): void;
};

/** Whether the connection of a client is in plain text. */
export function isPlain(client: pg.ClientBase): boolean {
  return (client as unknown as { connection: Connection }).connection.ssl === false;
}

/**
 * As libpq: where a server without TLS is told so and plain text may be, the same connection goes on. pg ends it, and another
 * one would cost the server a process and the start some milliseconds.
 */
function goOnPlain(connection: Connection): void {
  const connect = connection.connect.bind(connection);
  connection.connect = (port, host) => {
    connect(port, host);
    const { stream } = connection;
    // pg's own, which reads the one byte of the answer.
    const listeners = stream.rawListeners('data') as ((bytes: Buffer) => void)[];
    stream.removeAllListeners('data');
    stream.once('data', (bytes: Buffer) => {
      if (bytes.toString('latin1') !== 'N') {
        for (const listener of listeners) listener.call(stream, bytes);
        return;
      }
      connection.ssl = false;
      connection.attachListeners(stream);
      // For pg: what comes next is the start-up.
      connection.emit('sslconnect');
    });
  };
}
