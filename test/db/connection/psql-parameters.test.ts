import { beforeAll, describe, expect, it } from 'vitest';
import { resolveSource, type ServerSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { psql } from '../../helpers/psql.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';

let server: PrivateServer;

beforeAll(async () => {
  server = await startPrivateServer({ tls: true });
});

/** ROOT and STRANGER stand for files: the certificate of the server's authority, and of another. */
function urlWith(parameters: string): string {
  const files = server.certificates;
  const text = parameters
    .replace('ROOT', files?.rootCertificate ?? '')
    .replace('STRANGER', files?.strangerCertificate ?? '');
  const url = server.url();
  return text === '' ? url : `${url}?${text}`;
}

async function psqlOpens(url: string): Promise<boolean> {
  return (await psql(url, { commands: ['SELECT 1'] })).exitCode === 0;
}

async function consoleOpens(url: string): Promise<true | string> {
  try {
    const source = resolveSource({ url, environment: {} }) as ServerSource;
    const database = await Database.open(source);
    await database.close();
    return true;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A value that is good, and values that are not; psql says which. */
const rows: readonly (readonly [name: string, ...values: string[]])[] = [
  ['sslmode', 'disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'on'],
  ['sslrootcert', 'ROOT&sslmode=verify-full', 'ROOT&sslmode=verify-ca', 'ROOT&sslmode=require'],
  [
    'sslrootcert',
    'STRANGER&sslmode=verify-full',
    'STRANGER&sslmode=require',
    '/no/file&sslmode=verify-ca',
  ],
  ['sslrootcert', 'system&sslmode=require', 'system'],
  ['ssl', 'true'],
  ['sslnegotiation', 'postgres', 'direct&sslmode=require', 'direct&sslmode=prefer', 'soon'],
  ['sslcertmode', 'disable', 'allow', 'never'],
  ['ssl_min_protocol_version', 'TLSv1.2', 'TLSv1.3', 'TLSv9'],
  ['ssl_max_protocol_version', 'TLSv1.2', 'SSLv3'],
  ['ssl_max_protocol_version', 'TLSv1.2&ssl_min_protocol_version=TLSv1.3'],
  [
    'require_auth',
    'scram-sha-256',
    '!password,!md5',
    'md5',
    'none',
    '!scram-sha-256',
    'scram',
    'md5,!none',
  ],
  [
    'channel_binding',
    'disable',
    'prefer',
    'require&sslmode=require',
    'require&sslmode=disable',
    'yes',
  ],
  ['gssencmode', 'disable', 'prefer', 'require', 'on'],
  [
    'target_session_attrs',
    'any',
    'read-write',
    'primary',
    'prefer-standby',
    'standby',
    'read-only',
    'master',
  ],
  ['load_balance_hosts', 'disable', 'random', 'round-robin'],
  ['connect_timeout', '5', 'soon'],
  ['port', '1', 'x', '0', '70000'],
  ['host', '/nowhere', '127.0.0.1'],
  ['hostaddr', '127.0.0.1', '127.0.0.1,127.0.0.2'],
  ['dbname', 'postgres', 'missing'],
  ['user', 'postgres', 'nobody_here'],
  ['options', '-c%20work_mem%3D1MB', '-c%20nonsense%3D1', '-c%20work_mem%3D1'],
  ['keepalives', '0', '1', 'x'],
  ['keepalives_idle', '10', 'x'],
  ['keepalives_interval', '10', 'x'],
  ['keepalives_count', '3', 'x'],
  ['tcp_user_timeout', '1000', 'x'],
  ['application_name', 'me'],
  ['fallback_application_name', 'me'],
  ['client_encoding', 'UTF8', 'auto'],
  ['sslcompression', '0', '1'],
  ['krbsrvname', 'postgres'],
  ['gsslib', 'gssapi'],
  ['gssdelegation', '0'],
  ['service', 'missing'],
  ['sslmod', 'require'],
  ['SSLMODE', 'require'],
];

const each = rows.flatMap(([name, ...values]) => values.map((value) => `${name}=${value}`));

describe('a parameter of the connection string', () => {
  it.each(['', ...each])('does with "%s" what psql does: connects, or refuses', async (text) => {
    const url = urlWith(text);
    const [theirs, ours] = await Promise.all([psqlOpens(url), consoleOpens(url)]);
    expect(theirs ? ours : typeof ours).toBe(theirs ? true : 'string');
  });

  it('that names a file is refused when the file is not there, where psql goes on without', async () => {
    const url = urlWith('sslcert=/no/file&sslmode=require');
    expect(await psqlOpens(url)).toBe(true);
    expect(await consoleOpens(url)).toContain('cannot be read: /no/file');
  });

  // In docs/connecting.md, too. The values of 18 are unknown to the psql of 17.
  it.each([
    'sslcrldir=/crls',
    'sslcertmode=require',
    'sslsni=0',
    'sslkeylogfile=/keys',
    'requirepeer=postgres',
    'replication=database',
    'min_protocol_version=3.2',
    'max_protocol_version=3.2',
    'scram_client_key=a2V5',
    'scram_server_key=a2V5',
    'oauth_issuer=https://id.example.com',
    'oauth_client_id=console',
    'oauth_client_secret=secret',
    'oauth_scope=traces',
  ])('that the console cannot honour is refused by its name: %s', async (text) => {
    const [name = ''] = text.split('=');
    expect(await consoleOpens(urlWith(text))).toMatch(new RegExp(`^The console cannot do ${name}`));
  });
});
