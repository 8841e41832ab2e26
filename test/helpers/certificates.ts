import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './provision.js';
import { giveToServer } from './server-user.js';

const run = promisify(execFile);

export type Certificates = {
  /** The root certificate that signed the server's: for `sslrootcert`. */
  rootCertificate: string;
  /** A root certificate that signed nothing: for connections that must be refused. */
  strangerCertificate: string;
  serverCertificate: string;
  serverKey: string;
};

/** What `openssl req` would otherwise read from a file of the system, which may not be there. */
const configuration = `[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
`;

/**
 * Makes a certificate authority and a server certificate that it signed, valid for two days.
 *
 * @param names the DNS names and IP addresses that the server's certificate is for
 */
export async function createCertificates(
  folder: string,
  binaries: Binaries,
  names: string[] = ['localhost', '127.0.0.1'],
): Promise<Certificates> {
  mkdirSync(folder, { mode: 0o755 });
  const path = (name: string) => join(folder, name);
  writeFileSync(path('openssl.cnf'), configuration);
  const request = async (subject: string, name: string, more: string[]) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)];
    await run(
      binaries.openssl,
      ['req', '-x509', '-days', '2', '-subj', `/CN=${subject}`, ...key, ...files, ...more],
      { env: { ...process.env, OPENSSL_CONF: path('openssl.cnf') } },
    );
  };
  await request('trace-console test authority', 'root', ['-extensions', 'authority']);
  await request('somebody else', 'stranger', ['-extensions', 'authority']);
  const alternatives = names.map((name) => `${/^[\d.]+$|:/.test(name) ? 'IP' : 'DNS'}:${name}`);
  await request(names[0] ?? 'localhost', 'server', [
    ...['-CA', path('root.crt'), '-CAkey', path('root.key')],
    ...['-addext', `subjectAltName=${alternatives.join(',')}`],
    ...['-addext', 'basicConstraints=critical,CA:FALSE'],
  ]);
  // The server reads its key as another user; the tests go on reading the certificates.
  chmodSync(path('server.key'), 0o600);
  giveToServer(path('server.key'));
  return {
    rootCertificate: path('root.crt'),
    strangerCertificate: path('stranger.crt'),
    serverCertificate: path('server.crt'),
    serverKey: path('server.key'),
  };
}
