import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { resolveSource, type ServerSource } from '../../../src/db/connection/source.js';
import { tlsAttempts } from '../../../src/db/connection/client-config.js';
import { Database } from '../../../src/db/database.js';
import { Proxy } from '../../helpers/proxy.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';

let secure: PrivateServer;
let plain: PrivateServer;

beforeAll(async () => {
  secure = await startPrivateServer({ tls: { names: ['localhost'], required: true } });
  plain = await startPrivateServer();
});
afterAll(async () => {
  await secure.stop();
  await plain.stop();
});

/** Opens a connection and says whether it was encrypted. */
async function open(server: PrivateServer, parameters: Record<string, string>, host = 'localhost') {
  const url = new URL(server.url());
  url.hostname = host;
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const source = resolveSource({ url: url.href, environment: {} }) as ServerSource;
  const database = await Database.open(source);
  const [row] = await database.read<{ ssl: boolean }>(
    'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  );
  await database.close();
  expect(database.address.tls).toBe(row?.ssl);
  return row?.ssl;
}

describe('sslmode, as libpq has it', () => {
  it.each(['allow', 'prefer', 'require'])(
    '%s encrypts where the server demands it',
    async (sslmode) => {
      expect(await open(secure, { sslmode })).toBe(true);
    },
  );

  it('encrypts without being asked, wherever the server can', async () => {
    expect(await open(secure, {})).toBe(true);
  });

  it('prefer goes on in plain text where there is no TLS, on the same connection, and asks no more', async () => {
    const proxy = await Proxy.start({ host: '127.0.0.1', port: plain.port });
    onTestFinished(() => proxy.stop());
    const source = resolveSource({ url: proxy.through(plain.url()), environment: {} });
    const database = await Database.open(source as ServerSource, { openAtOnce: 3 });
    onTestFinished(() => database.close());
    expect(database.address.tls).toBe(false);
    await expect.poll(() => database.ownPids.length).toBe(3);
    expect(proxy.accepted).toBe(3);
  });

  it('disable is refused by a server that demands TLS, with a hint', async () => {
    await expect(open(secure, { sslmode: 'disable' })).rejects.toMatchObject({
      code: 'authentication_failed',
      exitCode: 3,
      hint: expect.stringContaining('sslmode=require') as string,
    });
  });

  it.each(['disable', 'allow', 'prefer'])(
    '%s speaks plain text where there is no TLS',
    async (sslmode) => {
      expect(await open(plain, { sslmode })).toBe(false);
    },
  );

  it.each(['require', 'verify-full'])('%s is refused by a server without TLS', async (sslmode) => {
    const sslrootcert = secure.certificates?.rootCertificate ?? '';
    await expect(open(plain, { sslmode, sslrootcert })).rejects.toMatchObject({
      code: 'tls_failed',
    });
  });

  it.each(['verify-ca', 'verify-full'])('%s accepts the right authority', async (sslmode) => {
    const sslrootcert = secure.certificates?.rootCertificate ?? '';
    expect(await open(secure, { sslmode, sslrootcert })).toBe(true);
  });

  it.each(['verify-ca', 'verify-full', 'require'])(
    '%s refuses another authority when a root certificate is named',
    async (sslmode) => {
      const sslrootcert = secure.certificates?.strangerCertificate ?? '';
      await expect(open(secure, { sslmode, sslrootcert })).rejects.toMatchObject({
        code: 'tls_failed',
        exitCode: 3,
      });
    },
  );

  it('verify-full refuses another host name, verify-ca does not look at it', async () => {
    const sslrootcert = secure.certificates?.rootCertificate ?? '';
    await expect(
      open(secure, { sslmode: 'verify-full', sslrootcert }, '127.0.0.1'),
    ).rejects.toMatchObject({ code: 'tls_failed' });
    expect(await open(secure, { sslmode: 'verify-ca', sslrootcert }, '127.0.0.1')).toBe(true);
  });
});

describe('an address beside the name', () => {
  it('is dialled, while the certificate is checked against the name', async () => {
    const sslrootcert = secure.certificates?.rootCertificate ?? '';
    const named = { sslmode: 'verify-full', sslrootcert, hostaddr: '127.0.0.1' };
    expect(await open(secure, named, 'localhost')).toBe(true);
    await expect(open(secure, named, 'other.example.org')).rejects.toMatchObject({
      code: 'tls_failed',
    });
  });
});

describe('the ways to try', () => {
  it('never encrypts a unix socket', () => {
    expect(tlsAttempts({ sslmode: 'require' }, '/run/postgresql')).toEqual([false]);
  });

  it('refuses an unknown mode and a weak mode with the public authorities', () => {
    expect(() => tlsAttempts({ sslmode: 'on' }, 'h')).toThrow(/not known/);
    expect(() => tlsAttempts({ sslmode: 'require', sslrootcert: 'system' }, 'h')).toThrow(
      /verify-full/,
    );
  });

  it('names the file when verify-full has no root certificate', () => {
    const sslrootcert = join(mkdtempSync(join(tmpdir(), 'trace-console-tls-')), 'root.crt');
    expect(() => tlsAttempts({ sslmode: 'verify-full', sslrootcert }, 'h')).toThrow(sslrootcert);
  });
});
