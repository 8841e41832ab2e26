import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { actions, runAction, type ActionName } from '../../../src/maintenance/registry.js';
import { openConsole } from '../../deploy/helpers.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';
import { runOnce } from '../../helpers/template.js';
import { collect } from '../helpers.js';
import { expectations } from './expectations.js';
import { somethingToDo } from './something-to-do.js';

const root = join(import.meta.dirname, '../../..');

/** The only places that may cancel: a statement of a session that the console opened itself, or what somebody chose. */
const allowed = [
  // A backend of this console whose connection went silent, once it is at nothing; known by process id and start.
  'src/db/answer-watch.ts: pg_terminate_backend',
  // A direct connection of this very console.
  'src/db/database.ts: pg_cancel_backend',
  // A rebuild that a console of this role began and left; known by name, role and start of its session.
  'src/maintenance/reindex/rebuild-lock.ts: pg_cancel_backend',
  // The backend that somebody chose and confirmed, by its process id and start: the type and the action of each.
  ...Array<string>(2).fill('src/maintenance/end-backend.ts: pg_cancel_backend'),
  ...Array<string>(2).fill('src/maintenance/end-backend.ts: pg_terminate_backend'),
];

it('has no statement that ends or cancels sessions, but for those it opened itself, and those that are chosen', () => {
  const files = ['src', 'schema'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(tsx?|sql)$/.test(name) && !name.includes('generated'))
      .map((name) => `${folder}/${name}`),
  );
  const found = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/pg_(?:cancel|terminate)_backend/g)].map(
      ([call]) => `${file}: ${call}`,
    ),
  );
  expect(found.sort()).toEqual(allowed.toSorted());
});

let server: PrivateServer;

beforeAll(async () => {
  server = await startPrivateServer({ settings: { autovacuum: 'off' } });
});

afterAll(() => server.remove());

/** A session of somebody else; ended by the console it would fail the test. */
async function bystander(url: string, application: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: application });
  await client.connect();
  return client;
}

it('leaves the sessions and builds of others alone, whatever is run, and cancelled at once', async () => {
  const url = await server.createDatabase('traces');
  await runOnce(url, somethingToDo);
  // Of the same role, and one that even calls itself by the console's name.
  const holder = await bystander(url, 'trace-console');
  const builder = await bystander(url, 'psql');
  const sleeper = await bystander(server.adminUrl, 'trace-console');
  const others = [holder, builder, sleeper];
  const pids = async () =>
    (await runOnce<{ pid: number }>(url, 'SELECT pid FROM pg_stat_activity')).map(({ pid }) => pid);
  const own = await Promise.all(
    others.map(async (client) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      return rows[0]?.pid;
    }),
  );
  const sleeping = sleeper.query('SELECT pg_sleep(3600)').catch((error: unknown) => error);
  await holder.query('BEGIN; LOCK TABLE error_patterns IN ROW EXCLUSIVE MODE');
  const building = builder.query('REINDEX INDEX CONCURRENTLY idx_error_type');
  const database = await openConsole(url);
  for (const name of Object.keys(actions) as ActionName[]) {
    const cancel = new AbortController();
    const running = collect(
      runAction(name, { database, signal: cancel.signal }, expectations[name].input as never),
      () => cancel.abort(),
    );
    // Refused, cancelled or done: what counts is what it did to the others.
    await running.catch(() => undefined);
  }
  await database.close();
  expect(await pids()).toEqual(expect.arrayContaining(own));
  await holder.query('COMMIT');
  await building;
  const { rows } = await holder.query<{ killed: number }>(
    'SELECT sessions_killed::int AS killed FROM pg_stat_database WHERE datname = current_database()',
  );
  expect(rows).toEqual([{ killed: 0 }]);
  await Promise.all([holder.end(), builder.end()]);
  // Only this test itself cancels the sleeper.
  await runOnce(server.adminUrl, 'SELECT pg_cancel_backend($1)', [own[2]]);
  expect(await sleeping).toMatchObject({ code: '57014' });
  await sleeper.end();
});
