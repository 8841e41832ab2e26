import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { LiveEngine } from '../../src/live/engine.js';
import { panes } from '../../src/panes/registry.js';
import { runCli } from '../helpers/cli.js';
import { startPgbouncer } from '../helpers/pgbouncer.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { testServer } from '../helpers/server.js';
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
  const refused = [
    'sessions: The role "authenticated" may not read trace_console.agent_sessions.',
    'maintenance-runs: The role "authenticated" may not read trace_console.maintenance_runs.',
  ];
  expect(await errorsOfPanes(url.href)).toEqual(refused);
  // With it a question that a policy filters is an error.
  await runOnce(server.adminUrl, 'ALTER ROLE authenticated SET row_security = off');
  expect(await errorsOfPanes(url.href)).toEqual(refused);
});

describe('a role with settings of its own', () => {
  let asRole: (role: string) => string;

  beforeAll(() => {
    asRole = (role) => {
      const url = new URL(server.url('traces'));
      url.username = role;
      url.password = 'r';
      return url.href;
    };
  });

  const alter = async (role: string, settings: Readonly<Record<string, string>>) => {
    await runOnce(server.adminUrl, `CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'r'`);
    for (const [name, value] of Object.entries(settings)) {
      await runOnce(server.adminUrl, `ALTER ROLE ${role} SET ${name} = '${value}'`);
    }
    return asRole(role);
  };

  it('that end sessions and statements, or speak otherwise, opens, reads every pane and maintains', async () => {
    const url = await alter('hasty', {
      statement_timeout: '20ms',
      lock_timeout: '1ms',
      idle_session_timeout: '20ms',
      idle_in_transaction_session_timeout: '20ms',
      ...(testServer().major >= 17 ? { transaction_timeout: '20ms' } : {}),
      lc_messages: 'de_DE.UTF-8',
      client_encoding: 'LATIN1',
      client_min_messages: 'debug1',
      datestyle: 'SQL, DMY',
      intervalstyle: 'iso_8601',
      timezone: 'Asia/Kathmandu',
      default_transaction_isolation: 'serializable',
      quote_all_identifiers: 'on',
    });
    // The screen is loaded while the database is opened: its connections are idle meanwhile.
    const loading = setInterval(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    }, 120);
    const opened = await openDatabase({ url, openAtOnce: 3 }).finally(() => {
      clearInterval(loading);
    });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    await opened.refreshCapabilities();
    await opened.close();
    expect(await errorsOfPanes(url)).toEqual([]);
    for (const command of [
      'status',
      'vacuum execution_traces',
      'reindex idx_execution_traces_tags',
    ]) {
      const yes = command === 'status' ? [] : ['--yes'];
      expect(await runCli([...command.split(' '), ...yes, '--url', url])).toMatchObject({
        exitCode: 0,
      });
    }
  });

  it('that make it read-only, or lead to no schema, is told of them', async () => {
    const quiet = await alter('quiet', { default_transaction_read_only: 'on' });
    expect(await errorsOfPanes(quiet)).toEqual([]);
    const vacuum = await runCli(['vacuum', 'execution_traces', '--yes', '--url', quiet]);
    expect(vacuum).toMatchObject({
      exitCode: 4,
      stderr: expect.stringMatching(/default_transaction_read_only is on for this conn/) as string,
    });
    expect(vacuum.stderr).not.toContain('--read-only');
    const lost = await alter('lost', { search_path: 'nowhere' });
    expect(await runCli(['traces', '--url', lost])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/No schema of the role's search_path[^]*--schema/) as string,
    });
    expect((await runCli(['traces', '--url', lost, '--schema', 'public'])).exitCode).toBe(0);
  });
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
