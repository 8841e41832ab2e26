import { beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { panes } from '../../src/panes/registry.js';
import type { Pane } from '../../src/panes/contract/pane.js';
import { runCli } from '../helpers/cli.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { runOnce } from '../helpers/template.js';
import { readFresh } from '../panes/open.js';

let server: PrivateServer;

beforeAll(async () => {
  server = await startPrivateServer();
});

describe.each([
  ['de_DE.UTF-8', /storniere Anfrage wegen/, /Passwort-Authentifizierung/],
  ['fr_FR.UTF-8', /annulation de la requête/, /authentification par mot de passe/],
])('a server that speaks %s', (locale, cancelled, wrongPassword) => {
  const name = locale.slice(0, 2);
  let url: string;

  beforeAll(async () => {
    await runOnce(server.adminUrl, `ALTER SYSTEM SET lc_messages = '${locale}'`);
    await runOnce(server.adminUrl, 'SELECT pg_reload_conf()');
    url = await server.createDatabase(name);
    // A limit of the database's own is none of the console's.
    await runOnce(url, `ALTER DATABASE ${name} SET statement_timeout = '300ms'`);
  });

  it('is understood: time-outs, cancels, locks, rights', async () => {
    const database = await openDatabase({ url });
    await expect(
      database.read('SELECT pg_sleep(30)', [], { statementTimeoutMs: 100 }),
    ).rejects.toMatchObject({
      code: 'statement_timeout',
      message: expect.stringMatching(cancelled) as string,
    });

    const connection = await database.connectDirect();
    await connection.query('SELECT pg_sleep(0.5)');
    const running = connection.query('SELECT pg_sleep(600)');
    const ended = expect(running).rejects.toMatchObject({
      code: 'interrupted',
      message: expect.stringMatching(cancelled) as string,
    });
    const active = `SELECT FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%pg_sleep(600)%' AND state = 'active'`;
    const { processId } = connection.cancelKey;
    await expect.poll(() => runOnce(url, active, [processId]), { timeout: 50_000 }).toHaveLength(1);
    await runOnce(url, 'SELECT pg_cancel_backend($1)', [processId]);
    await ended;

    await connection.query('BEGIN; LOCK TABLE execution_traces IN ACCESS EXCLUSIVE MODE');
    await expect(
      database.read('SELECT count(*) FROM execution_traces', [], { lockTimeoutMs: 50 }),
    ).rejects.toMatchObject({ code: 'lock_timeout' });
    await connection.query('ROLLBACK');
    await connection.close();
    await database.close();
  });

  it('refuses a password and a database, in words and with the exit code', async () => {
    const wrong = new URL(url);
    wrong.password = 'wrong';
    const refused = await runCli(['status', '--json', '--url', wrong.href]);
    expect(refused).toMatchObject({
      exitCode: 3,
      stdout: expect.stringContaining('"authentication_failed"') as string,
    });
    expect(server.log()).toMatch(wrongPassword);
    const missing = await runCli(['status', '--json', '--url', server.url('missing')]);
    expect(missing).toMatchObject({
      exitCode: 3,
      stdout: expect.stringContaining('"database_missing"') as string,
    });
  });

  it('has every pane, a schema that is complete, a doctor that could look at everything, a rebuild', async () => {
    const database = await openDatabase({ url });
    for (const pane of panes) await readFresh(database, pane as Pane);
    await database.close();
    expect(await runCli(['schema', 'verify', '--url', url])).toMatchObject({ exitCode: 0 });
    const { stdout } = await runCli(['doctor', '--json', '--url', url]);
    expect(stdout).not.toContain('could not be read');
    const rebuilt = await runCli(['reindex', 'idx_error_type', '--yes', '--url', url]);
    expect(rebuilt).toMatchObject({ exitCode: 0 });
  });
});
