import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { postgresql } from '../../src/panes/postgresql.js';
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
    .poll(async () => (await readFresh(console_, postgresql)).extras.waiting, { timeout: 50_000 })
    .toBe(1);
  const { rows, extras } = await readFresh(console_, postgresql);
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
  const opened = await openRow(console_, postgresql, row);
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
  const { rows, notes } = await readFresh(await openDatabase(url.href), postgresql);
  expect(rows.length).toBeGreaterThan(0);
  expect(notes.join()).toMatch(/of other roles are hidden .*pg_read_all_stats/);
});

test('blocking chains stand as trees: who blocks, below it who waits, and whom those hold up', async () => {
  const database = await createTestDatabase();
  await database.query(
    'CREATE TABLE accounts (id int PRIMARY KEY); INSERT INTO accounts VALUES (1), (2)',
  );
  const first = await connect(database, 'first');
  const second = await connect(database, 'second');
  const third = await connect(database, 'third');
  await first.query('BEGIN; SELECT FROM accounts WHERE id = 1 FOR UPDATE');
  await second.query('BEGIN; SELECT FROM accounts WHERE id = 2 FOR UPDATE');
  const waits = [
    second.query('SELECT FROM accounts WHERE id = 1 FOR UPDATE'),
    third.query('SELECT FROM accounts WHERE id = 2 FOR UPDATE'),
  ];
  const console_ = await openDatabase(database.url);
  await expect
    .poll(async () => (await readFresh(console_, postgresql)).extras.waiting, { timeout: 50_000 })
    .toBe(2);
  const { rows } = await readFresh(console_, postgresql);
  expect(
    rows.flatMap(({ application, depth }) => (depth === null ? [] : [[application, depth]])),
  ).toEqual([
    ['first', 0],
    ['second', 1],
    ['third', 2],
  ]);
  const row = rows.find(({ application }) => application === 'second');
  if (!row) throw new Error('no row');
  const opened = await openRow(console_, postgresql, row);
  const lines = opened?.kind === 'records' ? (opened.sections?.[0]?.lines ?? []) : [];
  expect(lines.map((line) => line.map(({ text }) => text).join(' '))).toEqual([
    expect.stringMatching(/^● \d+ first idle in transaction for \S+ BEGIN; SELECT/) as string,
    expect.stringMatching(/^└─ \d+ this one Lock: transactionid for /) as string,
    expect.stringMatching(/^ {2}└─ \d+ third Lock: transactionid for /) as string,
  ]);
  await first.query('ROLLBACK');
  await waits[0];
  await second.query('ROLLBACK');
  await waits[1];
});
