import fs from 'node:fs';
import os from 'node:os';
import { ConsoleError } from '../errors.js';
import { parseConnectionString, type ConnectionParameters } from './conninfo.js';
import { processEnvironment, readEnvironmentFile, type Environment } from './environment.js';
import { readService } from './service-file.js';

/** Where the address came from, as the header and the errors name it. */
export type SourceOrigin =
  | '--url'
  /** A named connection of the config file. */
  | `config: ${string}`
  | 'DATABASE_URL'
  | 'TRACEABILITY_DB_URL_EXTERNAL'
  | 'TRACEABILITY_DB_URL'
  | 'PG*'
  | 'POSTGRES_*'
  | 'embedded';

export type ServerSource = {
  kind: 'server';
  origin: SourceOrigin;
  /** A host name, an IP address, or the absolute folder of a unix socket. */
  host: string;
  /** Dialled instead of the host's name (libpq's hostaddr); the name still counts for TLS. */
  hostAddress?: string;
  port: number;
  user: string;
  database: string;
  /** Absent: pg asks the password file (`PGPASSFILE`, `~/.pgpass`). */
  password?: string;
  connectTimeoutMs: number;
  /** Everything else by libpq's names: `sslmode`, `sslrootcert`, `options`, … */
  parameters: ConnectionParameters;
};

export type ConnectionSource = ServerSource | { kind: 'embedded'; origin: 'embedded' };

export type SourceOptions = {
  /** `--url` */
  url?: string | undefined;
  /** Who names the url instead. */
  origin?: SourceOrigin;
  /** `--env-file` */
  envFile?: string | undefined;
  environment?: Environment | undefined;
};

const urlVariables = [
  'DATABASE_URL',
  'TRACEABILITY_DB_URL_EXTERNAL',
  'TRACEABILITY_DB_URL',
] as const;

/** libpq's variables that choose a server; PGPASSWORD or PGSSLMODE alone do not. */
const choosing = ['PGSERVICE', 'PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER'] as const;

const defaultConnectTimeoutSeconds = 10;

/**
 * Finds the database: `--url`, `DATABASE_URL`, `TRACEABILITY_DB_URL_EXTERNAL`,
 * `TRACEABILITY_DB_URL`, libpq's `PG*`, `POSTGRES_*`, else the embedded one. A file given by
 * `--env-file` is asked, whole, before the process's environment: what was named on the command
 * line wins over what happens to be set.
 *
 * @throws ConsoleError `usage` or `connection_source_invalid`.
 */
export function resolveSource(options: SourceOptions = {}): ConnectionSource {
  const outer = options.environment ?? processEnvironment();
  if (options.url !== undefined) return fromString(options.url, options.origin ?? '--url', outer);
  if (options.envFile !== undefined) {
    const inner = readEnvironmentFile(options.envFile, outer);
    const found = fromEnvironment(inner, { ...outer, ...inner });
    if (found) return found;
  }
  return fromEnvironment(outer, outer) ?? { kind: 'embedded', origin: 'embedded' };
}

function fromEnvironment(asked: Environment, defaults: Environment): ServerSource | undefined {
  for (const name of urlVariables) {
    const url = asked[name];
    if (url) return fromString(url, name, defaults);
  }
  if (choosing.some((name) => asked[name])) return complete({}, 'PG*', defaults);
  if (asked.POSTGRES_HOST ?? asked.POSTGRES_DATABASE) {
    return complete(
      definedOnly({
        host: asked.POSTGRES_HOST ?? 'localhost',
        port: asked.POSTGRES_PORT ?? '5432',
        dbname: asked.POSTGRES_DATABASE,
        user: asked.POSTGRES_USER ?? 'postgres',
        password: asked.POSTGRES_PASSWORD,
      }),
      'POSTGRES_*',
      defaults,
    );
  }
  return undefined;
}

function fromString(text: string, origin: ServerSource['origin'], environment: Environment) {
  if (text.trim() === '') {
    throw new ConsoleError('usage', `The value of ${origin} is empty.`, {
      hint: 'Example: --url postgresql://user@host:5432/database',
    });
  }
  return complete(parseConnectionString(text, origin), origin, environment);
}

/** Fills what is missing as libpq does: service file, then PG* variables, then its defaults. */
function complete(
  given: ConnectionParameters,
  origin: ServerSource['origin'],
  environment: Environment,
): ServerSource {
  const service = given.service ?? environment.PGSERVICE;
  const fallback = {
    ...fromPgVariables(environment),
    ...(service ? readService(service, environment) : {}),
  };
  const { host, hostaddr, port, user, dbname, password, connect_timeout, ...parameters } = {
    ...fallback,
    ...given,
  };
  const login = user ?? os.userInfo().username;
  const portNumber = wholeNumber(port ?? '5432', 'port', 1, 65_535);
  return {
    kind: 'server',
    origin,
    host: host ?? hostaddr ?? defaultHost(portNumber),
    ...(host !== undefined && hostaddr !== undefined ? { hostAddress: hostaddr } : {}),
    port: portNumber,
    user: login,
    database: dbname ?? login,
    ...(password === undefined ? {} : { password }),
    connectTimeoutMs:
      1000 *
      (wholeNumber(connect_timeout ?? '0', 'connect_timeout', 0, 3600) ||
        defaultConnectTimeoutSeconds),
    parameters,
  };
}

/** libpq's default: the server's unix socket where there is one, else the loopback address. */
function defaultHost(port: number): string {
  const folders = ['/var/run/postgresql', '/tmp'];
  return folders.find((folder) => fs.existsSync(`${folder}/.s.PGSQL.${port}`)) ?? 'localhost';
}

function fromPgVariables(environment: Environment): ConnectionParameters {
  return definedOnly({
    host: environment.PGHOST,
    hostaddr: environment.PGHOSTADDR,
    port: environment.PGPORT,
    user: environment.PGUSER,
    dbname: environment.PGDATABASE,
    password: environment.PGPASSWORD,
    connect_timeout: environment.PGCONNECT_TIMEOUT,
    options: environment.PGOPTIONS,
    sslmode: environment.PGSSLMODE,
    sslrootcert: environment.PGSSLROOTCERT,
    sslcert: environment.PGSSLCERT,
    sslkey: environment.PGSSLKEY,
    passfile: environment.PGPASSFILE,
  });
}

function definedOnly(parameters: Record<string, string | undefined>): ConnectionParameters {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value));
}

function wholeNumber(text: string, what: string, low: number, high: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new ConsoleError('connection_source_invalid', `The ${what} "${text}" is not usable.`, {
      hint: `A whole number from ${low} to ${high}.`,
    });
  }
  return value;
}
