import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { ConsoleError } from '../errors.js';
import type { ConnectionParameters } from './conninfo.js';

export const sslModes = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
] as const;

export type SslMode = (typeof sslModes)[number];

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

function homeFile(name: string): string {
  return path.join(os.homedir(), '.postgresql', name);
}

function readCertificate(file: string, what: string, parameter: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConsoleError('tls_failed', `The ${what} cannot be read: ${file}`, {
      hint: `Name the file by ${parameter}=…, use sslrootcert=system for a public authority, or sslmode=require to encrypt without verifying.`,
      cause,
    });
  }
}
