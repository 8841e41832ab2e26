import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveSource, type ServerSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { psql } from '../../helpers/psql.js';
import { wantedMajor } from '../../helpers/provision.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';
import { runOnce } from '../../helpers/template.js';

let server: PrivateServer;
const folder = mkdtempSync(join(tmpdir(), 'trace-console-parameters-'));

/** What the names in capitals stand for. */
const files = new Map<string, string>();

function written(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
}

// The server knows "holder" by his certificate only.
beforeAll(async () => {
  server = await startPrivateServer({ tls: true });
  const { host, port, user, password, dataFolder, certificates } = server;
  if (!certificates) throw new Error('no certificates');
  const { rootCertificate, strangerCertificate, serverCertificate } = certificates;
  const authority = dirname(rootCertificate);
  const openssl = (...args: string[]) =>
    execFileSync(server.binaries.openssl, args, {
      env: { ...process.env, OPENSSL_CONF: join(folder, 'ca.cnf') },
      stdio: 'pipe',
    });
  written('index', '');
  written(
    'ca.cnf',
    `[req]\ndistinguished_name = n\nprompt = no\n[n]\nCN = unused\n[ca]\ndefault_ca = own\n[own]\ndatabase = ${folder}/index
default_md = sha256\ndefault_crl_days = 2\ncertificate = ${rootCertificate}\nprivate_key = ${authority}/root.key\n`,
  );
  openssl(
    ...['req', '-x509', '-days', '2', '-subj', '/CN=holder', '-newkey', 'rsa:2048', '-nodes'],
    ...['-CA', rootCertificate, '-CAkey', join(authority, 'root.key')],
    ...['-keyout', join(folder, 'holder.key'), '-out', join(folder, 'holder.crt')],
  );
  openssl(
    ...['pkey', '-in', join(folder, 'holder.key'), '-aes256', '-passout', 'pass:open-sesame'],
    ...['-out', written('locked.key', '')],
  );
  openssl('ca', '-gencrl', '-out', join(folder, 'none.crl'));
  openssl('ca', '-revoke', serverCertificate);
  openssl('ca', '-gencrl', '-out', join(folder, 'server.crl'));
  written('holder.key', readFileSync(join(folder, 'holder.key'), 'utf8'));
  await runOnce(server.adminUrl, 'CREATE ROLE holder LOGIN');
  await runOnce(server.adminUrl, `ALTER SYSTEM SET ssl_ca_file = '${rootCertificate}'`);
  const rules = join(dataFolder, 'pg_hba.conf');
  const before = readFileSync(rules, 'utf8');
  writeFileSync(rules, 'hostssl all holder all cert\n');
  appendFileSync(rules, before);
  await runOnce(server.adminUrl, 'SELECT pg_reload_conf()');
  const login = [host, port, '*', user].join(':');
  const service = `host=${host}\nport=${port}\ndbname=postgres\nuser=${user}\npassword=${password}\n`;
  for (const [name, file] of [
    ['ROOT', rootCertificate],
    ['STRANGER', strangerCertificate],
    ['HOLDER', join(folder, 'holder.crt')],
    ['UNLOCKED', join(folder, 'holder.key')],
    ['LOCKED', join(folder, 'locked.key')],
    ['NOBODY', join(folder, 'none.crl')],
    ['REVOKED', join(folder, 'server.crl')],
    ['RIGHTPASS', written('right', `${login}:${password}\n`)],
    ['WRONGPASS', written('wrong', `${login}:mellon\n`)],
    ['SERVICES', written('services', `[traces]\n${service}`)],
  ] as const) {
    files.set(name, file);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function urlWith(parameters: string): string {
  let text = parameters;
  for (const [name, file] of files) text = text.replace(name, file);
  // A service has all of it; a password in the URL goes before the file.
  if (text.startsWith('service')) return `postgresql:///?${text}`;
  const url = new URL(server.url());
  if (text.startsWith('passfile')) url.password = '';
  return text === '' ? url.href : `${url.href}?${text}`;
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
  [
    'sslcert',
    'HOLDER&sslkey=UNLOCKED&user=holder',
    'HOLDER&sslkey=LOCKED&sslpassword=open-sesame&user=holder',
    'HOLDER&sslkey=LOCKED&sslpassword=mellon&user=holder',
    'HOLDER&sslkey=UNLOCKED&user=holder&sslcertmode=disable',
  ],
  [
    'sslcrl',
    'NOBODY&sslmode=verify-ca&sslrootcert=ROOT',
    'REVOKED&sslmode=verify-ca&sslrootcert=ROOT',
  ],
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
  ['password', 'mellon'],
  ['passfile', 'RIGHTPASS', 'WRONGPASS'],
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

// The values of 18 are unknown to the psql of 17.
const refused = [
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
];

/** Since when psql knows what is later than 15: before, it refuses the name, or takes the word for a file's. */
const since: readonly (readonly [RegExp, number])[] = [
  [/sslrootcert=system|sslcertmode|require_auth|load_balance_hosts/, 16],
  [/sslnegotiation|gssdelegation/, 17],
];

describe('a parameter of the connection string', () => {
  it.each(['', ...each])('does with "%s" what psql does: connects, or refuses', async (text) => {
    const url = urlWith(text);
    const [theirs, ours] = await Promise.all([psqlOpens(url), consoleOpens(url)]);
    const isKnown = since.every(([name, major]) => !name.test(text) || wantedMajor() >= major);
    if (isKnown) expect(theirs ? ours : typeof ours).toBe(theirs ? true : 'string');
    else expect(ours).toBeDefined();
  });

  it('that names a file is refused when the file is not there, where psql goes on without', async () => {
    const url = urlWith('sslcert=/no/file&sslmode=require');
    expect(await psqlOpens(url)).toBe(true);
    expect(await consoleOpens(url)).toContain('cannot be read: /no/file');
  });

  it('servicefile names the file of the service, as in psql from 19 on', async () => {
    for (const [text, opens] of [
      ['service=traces&servicefile=SERVICES', true],
      ['service=gone&servicefile=SERVICES', false],
      ['service=traces&servicefile=/no/file', false],
      ['service=traces', false],
    ] as const) {
      const url = urlWith(text);
      expect(await consoleOpens(url), text).toEqual(
        opens ? true : expect.stringContaining('is not defined'),
      );
      if (server.process.binaries.major >= 19) expect(await psqlOpens(url), text).toBe(opens);
    }
  });

  it('opens a database whatever its name holds: by URL and by its parts', async () => {
    const name = 'a;b&c=d@e/f+g,h#i?j%k \'l"m';
    await runOnce(server.adminUrl, `CREATE DATABASE "${name.replaceAll('"', '""')}"`);
    const url = new URL(server.adminUrl);
    url.pathname = `/${encodeURIComponent(name)}`;
    expect(await psqlOpens(url.href)).toBe(true);
    const { host, port, user, password } = server;
    const login = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password };
    for (const [address, environment] of [
      [url.href, {}],
      [`${server.adminUrl}?dbname=${encodeURIComponent(name)}`, {}],
      [
        `host=${host} port=${port} user=${user} password=${password} dbname='${name.replaceAll("'", "\\'")}'`,
        {},
      ],
      [undefined, { ...login, PGDATABASE: name }],
    ] as const) {
      const source = resolveSource({ url: address, environment }) as ServerSource;
      const database = await Database.open(source);
      expect(await database.read('SELECT current_database() AS name')).toEqual([{ name }]);
      await database.close();
    }
  });

  it('is in docs/connecting.md as in these tests', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/connecting.md'), 'utf8');
    const [, table = ''] = page.split('\n## Parameters\n');
    const cells = [...table.matchAll(/^\| (`.+?`.*?) +\|/gm)].map(([, cell = '']) => cell);
    const told = cells.flatMap((cell) =>
      [...cell.matchAll(/`(\w+)/g)].map(([, name = '']) => name),
    );
    const tests = [...each, ...refused, 'sslkey=', 'sslpassword=', 'servicefile='];
    const missing = told.filter((name) => !tests.some((text) => text.startsWith(name)));
    expect(missing).toEqual([]);
    expect(told.length).toBeGreaterThan(40);
  });

  it.each(refused)('that the console cannot honour is refused by its name: %s', async (text) => {
    const [name = ''] = text.split('=');
    expect(await consoleOpens(urlWith(text))).toMatch(new RegExp(`^The console cannot do ${name}`));
  });
});
