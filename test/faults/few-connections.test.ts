import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { LiveEngine } from '../../src/live/engine.js';
import type { LiveState } from '../../src/live/state.js';
import { runAction } from '../../src/maintenance/registry.js';
import { panes } from '../../src/panes/registry.js';
import { collect } from '../maintenance/helpers.js';
import { startPgbouncer } from '../helpers/pgbouncer.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { applySchemaFiles, runOnce } from '../helpers/template.js';

let server: PrivateServer;

beforeAll(async () => {
  server = await startPrivateServer();
  await runOnce(server.adminUrl, `CREATE ROLE few LOGIN PASSWORD 'few'`);
  await runOnce(server.adminUrl, 'CREATE DATABASE traces OWNER few');
  await runOnce(server.url('traces'), 'CREATE EXTENSION vector; CREATE EXTENSION "uuid-ossp"');
  await applySchemaFiles(asFew());
});

afterAll(() => server.remove());

function asFew(): string {
  const url = new URL(server.url('traces'));
  url.username = 'few';
  url.password = 'few';
  return url.href;
}

async function limitTo(connections: number): Promise<void> {
  await runOnce(server.adminUrl, `ALTER ROLE few CONNECTION LIMIT ${connections}`);
}

/** Runs all panes until each has been read anew, and returns every state of the connection on the way. */
async function statesWhileReading(url: string): Promise<string[]> {
  // As the console does, which asks for more than there are before it knows.
  const database = await openDatabase({ url, openAtOnce: 4 });
  const engine = new LiveEngine(database, { cadenceMs: 500, share: 1 });
  const seen: string[] = [];
  const end = engine.subscribe(() => {
    const { state } = engine.getState().connection;
    if (seen.at(-1) !== state) seen.push(state);
  });
  const readAfter =
    (moment: number) =>
    ({ panes: read, vitals }: LiveState) =>
      vitals !== null && panes.every(({ id }) => (read[id].asOf?.getTime() ?? 0) > moment);
  engine.start();
  try {
    await expect.poll(() => readAfter(0)(engine.getState()), { timeout: 30_000 }).toBe(true);
    const first = Math.max(
      ...panes.map(({ id }) => engine.getState().panes[id].asOf?.getTime() ?? 0),
    );
    engine.refreshNow();
    await expect.poll(() => readAfter(first)(engine.getState()), { timeout: 30_000 }).toBe(true);
    expect(panes.map(({ id }) => engine.getState().panes[id].error)).toEqual(panes.map(() => null));
  } finally {
    end();
    await engine.stop();
    await database.close();
  }
  return seen;
}

async function rebuild(url: string): Promise<unknown> {
  const database = await openDatabase({ url });
  const { signal } = new AbortController();
  try {
    const { outcome } = await collect(
      runAction('reindex', { database, signal }, { table: 'hook_executions' }),
    );
    return outcome.result.remaining;
  } catch (error) {
    return error;
  } finally {
    await database.close();
  }
}

it.each([1, 2])(
  'a role with %i connections reads every pane, and stays connected',
  async (limit) => {
    await limitTo(limit);
    expect(await statesWhileReading(asFew())).toEqual(['connected']);
  },
);

it('a pooler with two sessions reads every pane, and stays connected', async () => {
  await limitTo(-1);
  const pooler = await startPgbouncer(server, { poolMode: 'session', poolSize: 2 });
  expect(await statesWhileReading(pooler.url('traces'))).toEqual(['connected']);
  await pooler.stop();
});

it('a rebuild goes by two connections, and says that one is too few', async () => {
  await limitTo(2);
  expect(await rebuild(asFew())).toEqual([]);
  await limitTo(1);
  expect(await rebuild(asFew())).toMatchObject({
    code: 'too_many_connections',
    message: expect.stringContaining('needs a second connection') as string,
    hint: expect.stringContaining('CONNECTION LIMIT') as string,
  });
});
