import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { LiveEngine } from '../../src/live/engine.js';
import { panes } from '../../src/panes/registry.js';
import { runCli } from '../helpers/cli.js';
import { startPgbouncer } from '../helpers/pgbouncer.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { runOnce } from '../helpers/template.js';

let server: PrivateServer;

beforeAll(async () => {
  server = await startPrivateServer();
  await server.createDatabase('traces');
});

afterAll(() => server.remove());

async function errorsOfPanes(url: string): Promise<string[]> {
  const database = await openDatabase({ url });
  const engine = new LiveEngine(database, { cadenceMs: 500, share: 1 });
  engine.start();
  const { getState } = engine;
  try {
    await expect
      .poll(
        () => panes.every(({ id }) => getState().panes[id].asOf ?? getState().panes[id].error),
        {
          timeout: 30_000,
        },
      )
      .toBe(true);
    return panes.flatMap(({ id }) => {
      const { error } = getState().panes[id];
      return error ? [`${id}: ${error.message}`] : [];
    });
  } finally {
    await engine.stop();
    await database.close();
  }
}

async function createEncoded(encoding: string): Promise<string> {
  const name = encoding.toLowerCase();
  await runOnce(
    server.adminUrl,
    `CREATE DATABASE ${name} ENCODING '${encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0`,
  );
  return server.url(name);
}

it('deploys into a database in SQL_ASCII and reads it; says that LATIN1 will not do', async () => {
  const ascii = await createEncoded('SQL_ASCII');
  expect((await runCli(['schema', 'apply', '--yes', '--url', ascii])).exitCode).toBe(0);
  expect((await runCli(['schema', 'verify', '--url', ascii])).exitCode).toBe(0);
  expect(await errorsOfPanes(ascii)).toEqual([]);
  const latin = await runCli(['schema', 'apply', '--yes', '--url', await createEncoded('LATIN1')]);
  expect(latin.exitCode).toBe(1);
  expect(latin.stderr).toMatch(/encoding of the database cannot hold it[^]*ENCODING 'UTF8'/);
});

it('reads as a role that row-level security filters', async () => {
  await server.createDatabase('supabase', { schema: false });
  const applied = await runCli([
    'schema',
    'apply',
    '--rls',
    '--yes',
    '--url',
    server.url('supabase'),
  ]);
  expect(applied.exitCode).toBe(0);
  await runOnce(server.adminUrl, `ALTER ROLE authenticated LOGIN PASSWORD 'a'`);
  const url = new URL(server.url('supabase'));
  url.username = 'authenticated';
  url.password = 'a';
  // What agents and consoles do is not for users; the tables of traces are, row by row.
  expect(await errorsOfPanes(url.href)).toEqual([
    'sessions: The role "authenticated" may not read trace_console.agent_sessions.',
    'maintenance-runs: The role "authenticated" may not read trace_console.maintenance_runs.',
  ]);
});

it('shows a paused pooler as a lost connection, and goes on when it resumes', async () => {
  const pooler = await startPgbouncer(server);
  const database = await openDatabase({ url: pooler.url('traces') });
  const engine = new LiveEngine(database, { cadenceMs: 500, share: 1 });
  engine.start();
  const state = () => engine.getState().connection.state;
  await expect.poll(state, { timeout: 50_000 }).toBe('connected');
  await runOnce(pooler.url('pgbouncer'), 'PAUSE');
  await expect.poll(state, { timeout: 40_000 }).toBe('reconnecting');
  await runOnce(pooler.url('pgbouncer'), 'RESUME');
  await expect.poll(state, { timeout: 40_000 }).toBe('connected');
  await engine.stop();
  await database.close();
  await pooler.stop();
});

it('says in plain words what a pooler refuses', async () => {
  const refusal = async (url: string) => {
    const opened = openDatabase({ url });
    const error = await opened.then(
      (database) => database.close(),
      (failure: unknown) => failure,
    );
    expect(error).toMatchObject({ code: 'pooled_connection', hint: expect.any(String) as string });
    return (error as Error).message;
  };
  const pooler = await startPgbouncer(server);
  expect(await refusal(`${pooler.url('traces')}?options=-c%20work_mem%3D1MB`)).toMatch(
    /no options/,
  );
  expect(await refusal(pooler.url('pgbouncer'))).toMatch(/administration console/);
  await pooler.stop();
  const statement = await startPgbouncer(server, { poolMode: 'statement' });
  expect(await refusal(statement.url('traces'))).toMatch(/single statements/);
  await statement.stop();
});
