import pg from 'pg';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { ConsoleError } from '../../src/db/errors.js';
import type { Database, DatabaseOptions } from '../../src/db/database.js';
import type { ChosenBackend } from '../../src/maintenance/end-backend.js';
import { previewAction, runAction } from '../../src/maintenance/registry.js';
import { readRuns } from '../../src/maintenance/journal/run.js';
import { openConsole } from '../deploy/helpers.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { runCli } from '../helpers/cli.js';
import { collect } from './helpers.js';

let test: TestDatabase;

beforeAll(async () => {
  test = await createTestDatabase();
});

async function consoleOf(url = test.url, options: DatabaseOptions = {}) {
  const database = await openConsole(url, options);
  onTestFinished(() => database.close());
  return { database, signal: new AbortController().signal };
}

async function connect(name: string): Promise<{ client: pg.Client; pid: number }> {
  const client = new pg.Client({ connectionString: test.url, application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end().catch(() => undefined));
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return { client, pid: rows[0]?.pid ?? 0 };
}

async function chosen(database: Database, pid: number): Promise<ChosenBackend> {
  const [row] = await database.read<{ backend_start: Date; query_start: Date }>(
    'SELECT backend_start, query_start FROM pg_stat_activity WHERE pid = $1',
    [pid],
  );
  return {
    pid,
    startedAt: row?.backend_start.toISOString() ?? '',
    queryStartedAt: row?.query_start.toISOString() ?? '',
  };
}

/** A statement that runs until it is ended, seen to be running. */
async function sleeping(database: Database, name: string) {
  const { client, pid } = await connect(name);
  const ended = client.query('SELECT pg_sleep(600)').then(
    () => undefined,
    (error: unknown) => (error as { code?: string }).code,
  );
  await expect
    .poll(async () => {
      const rows = await database.read(
        `SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND query LIKE '%pg_sleep%'`,
        [pid],
      );
      return rows.length;
    })
    .toBe(1);
  return { client, pid, ended };
}

it('cancels the statement that was seen, leaves the connection, and is in the journal', async () => {
  const context = await consoleOf();
  const { database } = context;
  const { client, pid, ended } = await sleeping(database, 'reports');
  const input = { backends: [await chosen(database, pid)] };
  const preview = await previewAction('cancel-query', context, input);
  expect(preview.title).toBe(`Cancel the query of pid ${pid}`);
  expect(preview.list?.[0]).toMatch(/\(reports\), active.*: SELECT pg_sleep\(600\)$/);
  expect(preview.sql).toEqual([`SELECT pg_cancel_backend(${pid})`]);
  const { outcome } = await collect(runAction('cancel-query', context, input));
  expect(outcome.result).toEqual({ ended: [pid], gone: [], remaining: [] });
  expect(await ended).toBe('57014');
  expect((await client.query('SELECT 1')).rowCount).toBe(1);
  const [run] = await database.transaction({ readOnly: true }, (tx) => readRuns(tx, 'public', 1));
  expect(run).toMatchObject({ action: 'cancel-query', subject: `pid ${pid}`, state: 'done' });

  // The same backend at another statement was not chosen.
  const again = await previewAction('cancel-query', context, input);
  expect(again.nothing).toMatch(/has ended, or has gone on/);
  const late = await collect(runAction('cancel-query', context, input));
  expect(late.outcome.result).toEqual({ ended: [], gone: [pid], remaining: [] });
  expect((await client.query('SELECT 1')).rowCount).toBe(1);
});

it('terminates a backend with its transaction, but none that took its number later', async () => {
  const context = await consoleOf();
  const { client, pid } = await connect('holder');
  await client.query('BEGIN; LOCK TABLE error_patterns IN ACCESS EXCLUSIVE MODE');
  const backend = await chosen(context.database, pid);
  const earlier = { ...backend, startedAt: '2026-01-01T00:00:00.000Z' };
  const other = await collect(runAction('terminate-backend', context, { backends: [earlier] }));
  expect(other.outcome.result).toEqual({ ended: [], gone: [pid], remaining: [] });
  expect((await client.query('SELECT 1')).rowCount).toBe(1);

  const cancel = await previewAction('cancel-query', context, {
    backends: [await chosen(context.database, pid)],
  });
  expect(cancel.nothing).toMatch(/runs no statement/);
  const { stdout, exitCode } = await runCli(
    ['backend', 'terminate', String(pid), '--started', backend.startedAt].concat([
      '--yes',
      '--json',
      '--url',
      test.url,
    ]),
  );
  expect({ exitCode, result: JSON.parse(stdout) as unknown }).toEqual({
    exitCode: 0,
    result: { ended: [pid], gone: [], remaining: [] },
  });
  await expect(client.query('SELECT 1')).rejects.toThrow();
  const gone = await runCli(['backend', 'cancel', String(pid), '--yes', '--url', test.url]);
  expect(gone.stderr).toMatch(/No backend of this database with pid/);
});

it('never ends a backend of its own, nor one without the right, nor read-only', async () => {
  const context = await consoleOf();
  const { database } = context;
  const own = await database.read<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const { pid } = await connect('bystander');
  const refusal = async (under: typeof context, of: number) => {
    const input = { backends: [await chosen(database, of)] };
    const asked = [
      () => previewAction('terminate-backend', under, input),
      () => collect(runAction('terminate-backend', under, input)),
    ];
    const codes = new Set<string>();
    for (const ask of asked) {
      await ask().then(
        () => codes.add('none'),
        (error: unknown) => codes.add(error instanceof ConsoleError ? error.code : String(error)),
      );
    }
    return [...codes].join();
  };
  expect(await refusal(context, own[0]?.pid ?? 0)).toBe('usage');
  expect(await refusal(await consoleOf(test.url, { readOnly: true }), pid)).toBe('read_only');

  const role = `signaller_${process.pid}`;
  await test.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT pg_read_all_stats TO ${role};
    CREATE ROLE ${role}_app LOGIN PASSWORD 'x'`);
  onTestFinished(() => test.query(`DROP ROLE ${role}, ${role}_app`).then(() => undefined));
  const urlOf = (user: string) => {
    const url = new URL(test.url);
    url.username = user;
    url.password = 'x';
    return url.href;
  };
  const weak = await consoleOf(urlOf(role));
  expect(await refusal(weak, pid)).toBe('privilege_missing');
  const app = new pg.Client({ connectionString: urlOf(`${role}_app`) });
  app.on('error', () => undefined);
  await app.connect();
  const { rows } = await app.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const appPid = rows[0]?.pid ?? 0;
  expect(await refusal(weak, appPid)).toBe('privilege_missing');
  await test.query(`GRANT pg_signal_backend TO ${role}`);
  // A superuser's stays out of reach.
  expect(await refusal(weak, pid)).toBe('privilege_missing');
  const input = { backends: [await chosen(database, appPid)] };
  const { outcome } = await collect(runAction('terminate-backend', weak, input));
  expect(outcome.result).toMatchObject({ ended: [appPid] });
  expect(outcome.summary).toContain(`Terminated pid ${appPid}.`);
  await app.end().catch(() => undefined);
});
