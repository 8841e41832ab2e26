import fs from 'node:fs';
import os from 'node:os';
import { keepSecret } from '../../core/log-file.js';
import { readNumber, setOwnKey } from '../../core/values.js';
import { ConsoleError, unreadableFile } from '../errors.js';
import { checkParameters, parseConnectionString, type ConnectionParameters } from './conninfo.js';
import { parse } from 'dotenv';
import { expand } from 'dotenv-expand';
import path from 'node:path';
import { homeFolder, readTextFile } from '../../core/folders.js';

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

export type ServerAddress = {
  /** A host name, an IP address, or the absolute folder of a unix socket. */
  host: string;
  /** Dialled instead of the host's name (libpq's hostaddr); the name still counts for TLS. */
  hostAddress?: string;
  port: number;
};

export type ServerSource = ServerAddress & {
  kind: 'server';
  origin: SourceOrigin;
  /** Where several servers are named: all of them, in that order; host and port are those of the one that is used. */
  servers?: readonly ServerAddress[];
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
  const { url, envFile } = options;
  const inner = envFile === undefined ? {} : readEnvironmentFile(envFile, outer);
  const both = { ...outer, ...inner };
  if (url !== undefined) return fromString(url, options.origin ?? '--url', both);
  if (envFile === undefined) {
    return fromEnvironment(outer, outer) ?? { kind: 'embedded', origin: 'embedded' };
  }
  const found = fromEnvironment(inner, both);
  if (found) return found;
  throw new ConsoleError('usage', `The file ${envFile} names no database.`, {
    hint: `It needs one of ${[...urlVariables, ...choosing, 'POSTGRES_HOST', 'POSTGRES_DATABASE'].join(', ')} with a value.`,
  });
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
    ...(service ? readService(service, serviceEnvironment(given, environment)) : {}),
  };
  const { host, hostaddr, port, user, dbname, password, connect_timeout, ...parameters } = {
    ...fallback,
    ...given,
  };
  checkParameters(parameters);
  const login = user ?? loginName();
  const servers = serversOf(host, hostaddr, port);
  for (const secret of [password, parameters.sslpassword]) {
    const names = [login, dbname ?? login, ...servers.map((server) => server.host)];
    if (secret !== undefined) keepSecret(secret, names);
  }
  return {
    kind: 'server',
    origin,
    ...servers[0],
    ...(servers.length > 1 ? { servers } : {}),
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

/** The lists of libpq: a host and an address belong together, one port is for all of them. */
function serversOf(
  host: string | undefined,
  hostaddr: string | undefined,
  port = '',
): [ServerAddress, ...ServerAddress[]] {
  const hosts = host?.split(',').map((name) => name.trim());
  const addresses = hostaddr?.split(',').map((name) => name.trim());
  const ports = port
    .split(',')
    .map((text) => wholeNumber(text.trim() === '' ? '5432' : text.trim(), 'port', 1, 65_535));
  const names = hosts ?? addresses ?? [''];
  if ((addresses ?? names).length !== names.length || ![1, names.length].includes(ports.length)) {
    throw new ConsoleError(
      'connection_source_invalid',
      `${names.length} hosts have ${addresses?.length ?? names.length} addresses and ${ports.length} ports.`,
      { hint: 'As many ports as hosts, or one for all of them.' },
    );
  }
  const [first, ...others] = names.map((name, index): ServerAddress => {
    const portNumber = ports[index] ?? ports[0] ?? 5432;
    const address = addresses?.[index];
    return {
      host: [name, address].find(Boolean) ?? defaultHost(portNumber),
      ...(name && address ? { hostAddress: address } : {}),
      port: portNumber,
    };
  });
  if (!first) throw new ConsoleError('internal', 'No host was read.');
  return [first, ...others];
}

function serviceEnvironment(
  { servicefile }: ConnectionParameters,
  environment: Environment,
): Environment {
  return servicefile === undefined ? environment : { ...environment, PGSERVICEFILE: servicefile };
}

/** libpq's default user. A user id without an entry, as containers have them, has no name. */
function loginName(): string {
  try {
    return os.userInfo().username;
  } catch (cause) {
    throw new ConsoleError('connection_source_invalid', 'No user is named.', {
      hint: 'Name it in the URL (postgresql://user@host/database) or by PGUSER.',
      cause,
    });
  }
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
    sslcrl: environment.PGSSLCRL,
    sslcrldir: environment.PGSSLCRLDIR,
    sslsni: environment.PGSSLSNI,
    sslcertmode: environment.PGSSLCERTMODE,
    sslnegotiation: environment.PGSSLNEGOTIATION,
    ssl_min_protocol_version: environment.PGSSLMINPROTOCOLVERSION,
    ssl_max_protocol_version: environment.PGSSLMAXPROTOCOLVERSION,
    channel_binding: environment.PGCHANNELBINDING,
    require_auth: environment.PGREQUIREAUTH,
    requirepeer: environment.PGREQUIREPEER,
    gssencmode: environment.PGGSSENCMODE,
    target_session_attrs: environment.PGTARGETSESSIONATTRS,
    load_balance_hosts: environment.PGLOADBALANCEHOSTS,
    min_protocol_version: environment.PGMINPROTOCOLVERSION,
  });
}

function definedOnly(parameters: Record<string, string | undefined>): ConnectionParameters {
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value));
}

function wholeNumber(text: string, what: string, low: number, high: number): number {
  const value = readNumber(text);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new ConsoleError('connection_source_invalid', `The ${what} "${text}" is not usable.`, {
      hint: `A whole number from ${low} to ${high}.`,
    });
  }
  return value;
}

/** Environment variables; an empty one counts as unset and is not in here. */
type Environment = Partial<Record<string, string>>;

/** The process's variables without the empty ones. */
export function processEnvironment(variables: NodeJS.ProcessEnv = process.env): Environment {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value));
}

/**
 * The variables of a `.env` file, `${NAME}` expanded from the file itself, then from `environment`.
 *
 * @throws ConsoleError `usage` when the file cannot be read.
 */
function readEnvironmentFile(file: string, environment: Environment): Environment {
  let text: string;
  try {
    text = readTextFile(file);
  } catch (cause) {
    const hint = 'Give the path of a file with lines NAME=value, like .env.example.';
    throw unreadableFile('usage', 'file of --env-file', file, { hint, cause });
  }
  const parsed = parse(text);
  // dotenv-expand lets the process's value win over the file's; here the file was asked for by name.
  const outer = Object.fromEntries(
    Object.entries(environment).filter(([name]) => !Object.hasOwn(parsed, name)),
  ) as Record<string, string>;
  return processEnvironment(expand({ parsed, processEnv: outer }).parsed ?? {});
}

/**
 * The parameters of a libpq service: `PGSERVICEFILE` or `~/.pg_service.conf`, then the system's
 * file under `PGSYSCONFDIR`.
 * Source: https://www.postgresql.org/docs/current/libpq-pgservice.html
 *
 * @throws ConsoleError `connection_source_invalid` when no file defines the service.
 */
function readService(name: string, environment: Environment): ConnectionParameters {
  const files = [
    environment.PGSERVICEFILE ?? path.join(homeFolder() ?? os.devNull, '.pg_service.conf'),
    path.join(environment.PGSYSCONFDIR ?? '/etc/postgresql-common', 'pg_service.conf'),
  ];
  for (const file of files) {
    if (!fs.existsSync(file)) continue;
    const section = parseSections(readServiceFile(file)).get(name);
    if (section) return section;
  }
  throw new ConsoleError('connection_source_invalid', `The service "${name}" is not defined.`, {
    hint: `Looked into ${files.join(' and ')}. PGSERVICEFILE names another file.`,
  });
}

function readServiceFile(file: string): string {
  try {
    return readTextFile(file);
  } catch (cause) {
    const hint = 'PGSERVICEFILE, servicefile=… or PGSYSCONFDIR names another file.';
    throw unreadableFile('connection_source_invalid', 'service file', file, { hint, cause });
  }
}

function parseSections(text: string): Map<string, ConnectionParameters> {
  const sections = new Map<string, ConnectionParameters>();
  let current: ConnectionParameters | undefined;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(.+)\]$/.exec(line);
    if (header?.[1]) {
      current = {};
      // libpq takes the first section of a name.
      if (!sections.has(header[1])) sections.set(header[1], current);
      continue;
    }
    const [key, value] = line.split(/=(.*)/s);
    if (current && key && value !== undefined) setOwnKey(current, key.trim(), value.trim());
  }
  return sections;
}
