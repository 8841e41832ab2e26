import { keepSecret } from '../../core/log-file.js';
import pg, { type ClientConfig } from 'pg';
import type { ServerSource } from './source.js';
import { exactNumber, parseExactJson } from '../../core/exact-json.js';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ConnectionOptions, SecureVersion } from 'node:tls';
import { homeFolder, readTextFile } from '../../core/folders.js';
import { ConsoleError, unreadableFile } from '../errors.js';
import { invalidParameter, type ConnectionParameters } from './conninfo.js';

export const applicationName = 'trace-console';

/**
 * pg's configuration for a source. No setting but the name travels with the start-up packet:
 * transaction poolers refuse others, and a session's SET would leak into applications that share
 * the server connection; everything else is SET LOCAL in each transaction.
 */
export function clientConfig(source: ServerSource, tls: TlsAttempt): ClientConfig {
  return {
    host: source.hostAddress ?? source.host,
    port: source.port,
    user: source.user,
    database: source.database,
    password: passwordOf(source),
    // pg names the host that it dials; with an address of its own TLS still checks the name.
    ssl: tls !== false && source.hostAddress ? { ...tls, servername: source.host } : tls,
    ...(source.parameters.options ? { options: source.parameters.options } : {}),
    ...(source.parameters.channel_binding === 'require' ? { enableChannelBinding: true } : {}),
    ...(tls !== false && source.parameters.sslnegotiation === 'direct'
      ? { sslnegotiation: 'direct' }
      : {}),
    application_name: applicationName,
    connectionTimeoutMillis: source.connectTimeoutMs,
    keepAlive: source.parameters.keepalives !== '0',
    keepAliveInitialDelayMillis: 10_000,
    types: valueTypes,
  };
}

/**
 * The password of a source: the given one, else the password file's (`PGPASSFILE`, `~/.pgpass`).
 * Handed to pg as a function, so that it stands in no object that might be printed.
 */
function passwordOf(source: ServerSource): () => Promise<string> {
  return async () => source.password ?? (await fromPasswordFile(source)) ?? '';
}

async function fromPasswordFile(source: ServerSource): Promise<string | undefined> {
  const { host, port, user, database, parameters } = source;
  // Most servers of one's own ask for no password.
  const { default: passwordFile } = await import('pgpass/lib/helper.js');
  // Not the library's own entrance, which takes the file's name from the environment of the whole process.
  const file = parameters.passfile ?? passwordFile.getFileName(process.env);
  return new Promise((resolve) => {
    fs.stat(file, (error, stat) => {
      if (error || !passwordFile.usePgPass(stat, file)) resolve(undefined);
      else {
        const lines = fs.createReadStream(file);
        passwordFile.getPassword({ host, port, user, database }, lines, (password) => {
          if (password !== undefined) keepSecret(password, [user, database, host]);
          resolve(password);
        });
      }
    });
  });
}

const int8 = 20;
const numeric = 1700;
const json = 114;
const jsonb = 3802;
const textArray = 1009;

/** Whether the elements of an array stand as they are: none is quoted, none is NULL, and there is no array in it. */
function isPlain(array: string): boolean {
  const isQuoted = array.includes('"') || array.includes('\\');
  return !isQuoted && array.lastIndexOf('{') === 0 && array !== '{}' && !/\bnull\b/i.test(array);
}

/** pg reads an array sign by sign: of the names of all columns that took 3 ms of a start. */
const plainTexts = (array: string): string[] => array.slice(1, -1).split(',');

/**
 * How values arrive: bigint, numeric and JSON to the digit. A fraction is rounded to 15 digits: averages
 * have as many as one likes.
 */
const valueTypes = new pg.TypeOverrides();
valueTypes.setTypeParser(int8, exactNumber);
valueTypes.setTypeParser(numeric, (text) => {
  const number = Number(text);
  return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : exactNumber(text);
});
valueTypes.setTypeParser(json, parseExactJson);
valueTypes.setTypeParser(jsonb, parseExactJson);
const types = pg.types as unknown as { getTypeParser(oid: number): (text: string) => unknown };
const anyTexts = types.getTypeParser(textArray);
valueTypes.setTypeParser(textArray, (text) => (isPlain(text) ? plainTexts(text) : anyTexts(text)));

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

type SslMode = (typeof sslModes)[number];

/** One way to open the connection: with TLS by these options, or `false` for plain text. */
export type TlsAttempt = ConnectionOptions | false;

/**
 * The ways to try, in order, as libpq has them: `allow` and `prefer` have a second one, and
 * `require` verifies the authority when a root certificate is there.
 * Source: https://www.postgresql.org/docs/current/libpq-ssl.html
 *
 * @throws ConsoleError `connection_source_invalid` for an unknown mode, `tls_failed` for a
 * certificate file that is missing.
 */
export function tlsAttempts(parameters: ConnectionParameters, host: string): TlsAttempt[] {
  if (host.startsWith('/')) return [false];
  const mode = sslMode(parameters);
  switch (mode) {
    case 'disable':
      return [false];
    case 'allow':
      return [false, tlsOptions(mode, parameters)];
    case 'prefer':
      return [tlsOptions(mode, parameters), false];
    default:
      return [tlsOptions(mode, parameters)];
  }
}

/** Whether TLS is only preferred: a server without it is talked to in plain text. */
export function isPlainAllowed(parameters: ConnectionParameters): boolean {
  return sslMode(parameters) === 'prefer';
}

function sslMode(parameters: ConnectionParameters): SslMode {
  const system = parameters.sslrootcert === 'system';
  const given = parameters.sslmode ?? (system ? 'verify-full' : 'prefer');
  const mode = sslModes.find((known) => known === given);
  if (!mode) {
    throw new ConsoleError('connection_source_invalid', `The sslmode "${given}" is not known.`, {
      hint: `One of: ${sslModes.join(', ')}.`,
    });
  }
  if (system && mode !== 'verify-full') {
    throw new ConsoleError(
      'connection_source_invalid',
      `sslrootcert=system needs sslmode=verify-full, not ${mode}.`,
      { hint: 'A weaker mode would accept any certificate that any public authority has signed.' },
    );
  }
  return mode;
}

function tlsOptions(mode: SslMode, parameters: ConnectionParameters): ConnectionOptions {
  const options: ConnectionOptions = { rejectUnauthorized: false };

  const rootFile = parameters.sslrootcert ?? homeFile('root.crt');
  const verifies = mode === 'verify-ca' || mode === 'verify-full';
  if (rootFile === 'system') {
    options.rejectUnauthorized = true;
  } else if (verifies || (mode === 'require' && fs.existsSync(rootFile))) {
    options.ca = readCertificate(rootFile, 'root certificate', 'sslrootcert');
    options.rejectUnauthorized = true;
  }
  // Everything under verify-full trusts the authority, whatever host name the certificate has.
  if (mode !== 'verify-full') options.checkServerIdentity = () => undefined;

  if (parameters.sslcrl) {
    options.crl = readCertificate(parameters.sslcrl, 'list of revoked certificates', 'sslcrl');
  }
  const { ssl_min_protocol_version: lowest, ssl_max_protocol_version: highest } = parameters;
  if (lowest) options.minVersion = protocolVersion('ssl_min_protocol_version', lowest);
  if (highest) options.maxVersion = protocolVersion('ssl_max_protocol_version', highest);
  if (lowest && highest && lowest > highest) {
    const range = `${lowest} to ${highest}`;
    throw invalidParameter('range of TLS versions', range, 'the lowest first');
  }
  if (parameters.sslcertmode === 'disable') return options;

  const certificate = parameters.sslcert ?? homeFile('postgresql.crt');
  if (parameters.sslcert ?? fs.existsSync(certificate)) {
    options.cert = readCertificate(certificate, 'client certificate', 'sslcert');
    options.key = readCertificate(
      parameters.sslkey ?? homeFile('postgresql.key'),
      "client certificate's key",
      'sslkey',
    );
    if (parameters.sslpassword) options.passphrase = parameters.sslpassword;
  }
  return options;
}

const protocolVersions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

function protocolVersion(name: string, value: string): SecureVersion {
  const version = protocolVersions.find((known) => known === value);
  if (version) return version;
  throw invalidParameter(name, value, protocolVersions.join(', '));
}

function homeFile(name: string): string {
  // Without a home folder, a file that does not exist, as for libpq.
  return path.join(homeFolder() ?? os.devNull, '.postgresql', name);
}

function readCertificate(file: string, what: string, parameter: string): string {
  try {
    return readTextFile(file);
  } catch (cause) {
    throw unreadableFile('tls_failed', what, file, {
      hint: `Name the file by ${parameter}=…, use sslrootcert=system for a public authority, or sslmode=require to encrypt without verifying.`,
      cause,
    });
  }
}
