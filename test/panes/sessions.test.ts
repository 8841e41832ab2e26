import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { sessions } from '../../src/panes/sessions.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, openRow, readFresh } from './open.js';

async function connect(database: TestDatabase, name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url, application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

test('says who waits for whom, with the statement of each, the blocker first', async () => {
  const database = await createTestDatabase();
  const holder = await connect(database, 'holder');
  const waiter = await connect(database, 'waiter');
  await connect(database, 'idler');
  await holder.query('BEGIN; LOCK TABLE error_patterns IN ACCESS EXCLUSIVE MODE');
  const waits = waiter.query('SELECT count(*) FROM error_patterns').catch(() => undefined);
  const console_ = await openDatabase(database.url);
  await expect
    .poll(async () => (await readFresh(console_, sessions)).extras.waiting, { timeout: 20_000 })
    .toBe(1);
  const { rows, extras } = await readFresh(console_, sessions);
  const named = (name: string) => rows.find(({ application }) => application === name);
  const pid = named('holder')?.pid;
  expect(rows[0]).toMatchObject({
    application: 'holder',
    state: 'idle in transaction',
    blocks: 1,
    blockedBy: [],
  });
  expect(named('waiter')).toMatchObject({
    state: 'active',
    blockedBy: [pid],
    wait: 'Lock: relation',
    query: 'SELECT count(*) FROM error_patterns',
  });
  expect(named('idler')).toBeUndefined();
  expect(extras.idle).toBeGreaterThanOrEqual(1);
  const row = named('waiter');
  if (!row) throw new Error('no row');
  const opened = await openRow(console_, sessions, row);
  expect(opened).toMatchObject({ rows: [{ blocked_by: [pid] }] });
  expect(JSON.stringify(opened)).toContain('error_patterns');
  await holder.query('ROLLBACK');
  await waits;
});

test('says that statements of other roles are hidden from a role that may not see them', async () => {
  const database = await createTestDatabase();
  const role = `watcher_${process.pid}`;
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`);
  onTestFinished(() => database.query(`DROP ROLE ${role}`).then(() => undefined));
  const other = await connect(database, 'other');
  await other.query('BEGIN; SELECT 1');
  const url = new URL(database.url);
  url.username = role;
  url.password = 'x';
  const { rows, notes } = await readFresh(await openDatabase(url.href), sessions);
  expect(rows.length).toBeGreaterThan(0);
  expect(notes.join()).toMatch(/of other roles are hidden .*pg_read_all_stats/);
});
