import { readFileSync } from 'node:fs';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { startPrivateServer } from './private-server.js';
import { runOnce } from './template.js';

const locale = `SELECT datlocprovider::text AS provider, datlocale AS locale FROM pg_database
                 WHERE datname = current_database()`;

describe('a private server', () => {
  test('keeps port and committed rows over stop, kill and restart', async () => {
    const server = await startPrivateServer();
    await runOnce(server.adminUrl, 'CREATE TABLE kept (n int)');
    for (const end of [
      () => server.stop('fast'),
      () => server.stop('immediate'),
      () => server.kill9(),
    ]) {
      await runOnce(server.adminUrl, 'INSERT INTO kept VALUES (1)');
      await end();
      expect(server.running).toBe(false);
      await expect(runOnce(server.adminUrl, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
      await server.start();
    }
    expect(await runOnce(server.adminUrl, 'SELECT count(*)::int AS n FROM kept')).toEqual([
      { n: 3 },
    ]);
    expect(await runOnce(server.adminUrl, locale)).toEqual([{ provider: 'b', locale: 'C.UTF-8' }]);
  });

  test('has the settings, the port and the password that were asked for', async () => {
    const first = await startPrivateServer();
    const { port } = first;
    await first.remove();
    const server = await startPrivateServer({
      port,
      superuserPassword: 'p@ss:word/#',
      settings: { work_mem: '7MB' },
    });
    expect(server.port).toBe(port);
    expect(await runOnce(server.adminUrl, 'SHOW work_mem')).toEqual([{ work_mem: '7MB' }]);
    const wrong = server.adminUrl.replace(/:[^:@]*@/, ':wrong@');
    await expect(runOnce(wrong, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  test('answers on its unix socket without a password', async () => {
    const server = await startPrivateServer();
    const client = new pg.Client({
      host: server.socketFolder,
      port: server.port,
      user: server.user,
      database: 'postgres',
    });
    await client.connect();
    const { rows } = await client.query<{ addr: null }>('SELECT inet_server_addr() AS addr');
    await client.end();
    expect(rows).toEqual([{ addr: null }]);
  });

  test('says why it does not start', async () => {
    const starting = startPrivateServer({ settings: { shared_buffers: 'plenty' } });
    await expect(starting).rejects.toThrow(/invalid value for parameter "shared_buffers"/);
  });

  test('streams to a standby, which takes over when the primary is lost', async () => {
    const primary = await startPrivateServer();
    await runOnce(primary.adminUrl, 'CREATE TABLE replicated AS SELECT 1 AS n');
    const standby = await primary.basebackupStandby();
    await expect(runOnce(standby.adminUrl, 'INSERT INTO replicated VALUES (2)')).rejects.toThrow(
      /read-only transaction/,
    );
    await runOnce(primary.adminUrl, 'INSERT INTO replicated VALUES (2)');
    await expect
      .poll(() => runOnce(standby.adminUrl, 'SELECT n FROM replicated ORDER BY n'), {
        timeout: 50_000,
      })
      .toEqual([{ n: 1 }, { n: 2 }]);
    await primary.kill9();
    await standby.promote();
    await runOnce(standby.adminUrl, 'INSERT INTO replicated VALUES (3)');
    expect(await runOnce(standby.adminUrl, 'SELECT count(*)::int AS n FROM replicated')).toEqual([
      { n: 3 },
    ]);
  });
});

describe('a private server with TLS', () => {
  async function encrypted(url: string, ssl: pg.ConnectionConfig['ssl']): Promise<boolean> {
    const client = new pg.Client({ connectionString: url, ssl });
    await client.connect();
    try {
      const { rows } = await client.query<{ ssl: boolean }>(
        'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      );
      return rows[0]?.ssl ?? false;
    } finally {
      await client.end();
    }
  }

  test('is trusted through its root certificate and no other', async () => {
    const server = await startPrivateServer({ tls: true });
    const { rootCertificate, strangerCertificate } = server.certificates ?? {};
    const ca = (file = '') => ({ ca: readFileSync(file, 'utf8'), rejectUnauthorized: true });
    expect(await encrypted(server.adminUrl, ca(rootCertificate))).toBe(true);
    await expect(encrypted(server.adminUrl, ca(strangerCertificate))).rejects.toThrow(
      /certificate/,
    );
    expect(await encrypted(server.adminUrl, false)).toBe(false);
  });

  test('can be made for another host and refuse plain connections', async () => {
    const server = await startPrivateServer({ tls: { names: ['db.example.org'], required: true } });
    const ca = readFileSync(server.certificates?.rootCertificate ?? '', 'utf8');
    await expect(encrypted(server.adminUrl, { ca })).rejects.toThrow(/altnames/);
    await expect(encrypted(server.adminUrl, false)).rejects.toThrow(/no encryption/);
    const unchecked = { ca, checkServerIdentity: () => undefined };
    expect(await encrypted(server.adminUrl, unchecked)).toBe(true);
  });
});
