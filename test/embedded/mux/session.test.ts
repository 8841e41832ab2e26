import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Multiplexer } from '../../../src/embedded/mux/multiplexer.js';
import { message, RawClient } from '../raw-client.js';
import { startMultiplexer } from './engine.js';

let multiplexer: Multiplexer;
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ multiplexer, stop } = await startMultiplexer());
});

afterAll(() => stop());

const connect = (parameters?: Record<string, string>): Promise<RawClient> =>
  new RawClient(multiplexer, parameters).greeted();

test('keeps settings, also those of functions that end with their client, from other clients', async () => {
  const [first, second] = [await connect(), await connect({ options: '-c work_mem=5MB' })];
  await first.query('SET work_mem = \'7MB\'; SET search_path = pg_catalog, "odd "" name"');
  await first.query("SELECT set_config('app.tenant', 'first', false)");
  expect(await second.value('SHOW work_mem')).toBe('5MB');
  expect(await second.value('SHOW search_path')).toBe('public');
  expect(await second.value("SELECT current_setting('app.tenant', true)")).not.toBe('first');
  expect(await first.value('SHOW work_mem')).toBe('7MB');
  expect(await first.value('SHOW search_path')).toBe('pg_catalog, "odd "" name"');
  expect(await first.value("SELECT current_setting('app.tenant')")).toBe('first');
  await second.query("SET work_mem = '9MB'");
  await second.query('RESET work_mem');
  await first.query('SELECT 1');
  expect(await second.value('SHOW work_mem')).toBe('5MB');
  await first.query('DISCARD ALL');
  expect(await first.value('SHOW work_mem')).toBe('4MB');
  first.leave();
  second.leave();
});

test('keeps roles from other clients', async () => {
  const [first, second] = [await connect(), await connect()];
  await first.query('CREATE ROLE reader; SET ROLE reader');
  expect(await second.value('SELECT current_user')).toBe('postgres');
  expect(await first.value('SELECT current_user')).toBe('reader');
  first.leave();
  expect(await second.value('SELECT current_user')).toBe('postgres');
  await second.query('DROP ROLE reader');
  second.leave();
});

test('cleans up after a client that leaves outside the transaction of another', async () => {
  const [leaves, stays] = [await connect(), await connect()];
  await leaves.query('LISTEN departures');
  await stays.query('BEGIN; SELECT 1');
  leaves.leave();
  await stays.query('SELECT 1');
  await stays.query('ROLLBACK');
  expect(await stays.value('SELECT count(*) FROM pg_listening_channels()')).toBe('0');

  // Both at once, as of a process that is killed: the one without a transaction first.
  const listens = await connect();
  await listens.query('LISTEN departures');
  await stays.query('BEGIN; SELECT 1');
  listens.leave();
  stays.leave();
  const last = await connect();
  expect(await last.value('SELECT count(*) FROM pg_listening_channels()')).toBe('0');
  last.leave();
});

test('takes back a setting whose transaction is rolled back', async () => {
  const [first, second] = [await connect(), await connect()];
  await first.query("BEGIN; SET work_mem = '7MB'");
  await first.query('ROLLBACK');
  await second.query('SELECT 1');
  expect(await first.value('SHOW work_mem')).toBe('4MB');
  first.leave();
  second.leave();
});

test('gives each client its own prepared statements of one name', async () => {
  const clients = [await connect(), await connect(), await connect()];
  for (const [index, client] of clients.entries()) {
    await client.ask(message.parse(`SELECT ${index}`, 's'), message.sync);
    await client.query(`PREPARE t AS SELECT ${index + 10}`);
  }
  for (const [index, client] of clients.entries()) {
    const bound = await client.ask(message.bind([], 's'), message.execute(), message.sync);
    expect(bound.rows).toEqual([[String(index)]]);
    expect(await client.value('EXECUTE t')).toBe(String(index + 10));
    expect((await client.query('EXPLAIN (COSTS off) EXECUTE t')).error).toBeUndefined();
  }
  const [first, second] = clients as [RawClient, RawClient, RawClient];
  expect((await first.query('DEALLOCATE ALL')).tags).toEqual(['DEALLOCATE ALL']);
  expect((await first.query('EXECUTE t')).error?.code).toBe('26000');
  expect(await second.value('EXECUTE t')).toBe('11');
  await second.query('DEALLOCATE t');
  expect((await second.query('EXECUTE t')).error?.code).toBe('26000');
  for (const client of clients) client.leave();
  const observer = await connect();
  expect(await observer.value('SELECT count(*) FROM pg_prepared_statements')).toBe('0');
  observer.leave();
});

test('keeps the unnamed statement of a client apart over a sync', async () => {
  const [first, second] = [await connect(), await connect()];
  await first.ask(message.parse('SELECT 1'), message.sync);
  await second.ask(message.parse('SELECT 2'), message.sync);
  const run = [message.bind(), message.execute(), message.sync];
  expect((await first.ask(...run)).rows).toEqual([['1']]);
  expect((await second.ask(...run)).rows).toEqual([['2']]);
  await first.query('SELECT 3');
  expect((await first.ask(...run)).error?.code).toBe('26000');
  const third = await connect();
  expect((await third.ask(...run)).error?.code).toBe('26000');
  for (const client of [first, second, third]) client.leave();
});

test('drops the temporary tables of a client that leaves, and only those', async () => {
  const [first, second] = [await connect(), await connect()];
  await first.query('CREATE TEMP TABLE mine (a serial)');
  await second.query('SELECT 1 AS a INTO TEMP yours');
  first.leave();
  expect(await second.value("SELECT to_regclass('mine') IS NULL")).toBe('t');
  expect(await second.value('SELECT a FROM yours')).toBe('1');
  second.leave();
});

test('tells notifications to the clients that listen, after the commit, with the sender', async () => {
  const [first, second, third] = [await connect(), await connect(), await connect()];
  await first.query('LISTEN news');
  await second.query('LISTEN news; LISTEN "Odd Name"');
  await third.query('BEGIN; LISTEN news');
  await third.query('ROLLBACK');
  await third.query("NOTIFY news, 'one'");
  const text = (client: RawClient) => client.notifications.map((each) => each.text);
  expect([text(first), text(second), text(third)]).toEqual([['news:one'], ['news:one'], []]);
  expect(first.notifications[0]?.processId).toBe(third.session.processId);
  await first.query('UNLISTEN news');
  await third.query("NOTIFY news, 'two'; NOTIFY \"Odd Name\", 'three'");
  expect(text(first)).toEqual(['news:one']);
  expect(text(second)).toEqual(['news:one', 'news:two', 'Odd Name:three']);
  second.leave();
  expect((await third.query('SELECT pg_listening_channels()')).rows).toEqual([]);
  first.leave();
  third.leave();
});

test('refuses what one shared session cannot do', async () => {
  const client = await connect();
  for (const sql of [
    'SELECT pg_advisory_lock(1)',
    'SELECT 1; SELECT pg_try_advisory_lock_shared(1)',
    'DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$',
    'DISCARD TEMP',
    'SELECT 1; DEALLOCATE ALL',
  ]) {
    expect((await client.query(sql)).error?.code, sql).toBe('0A000');
  }
  await client.query('BEGIN');
  expect((await client.query('DECLARE c CURSOR WITH HOLD FOR SELECT 1')).error?.code).toBe('0A000');
  expect((await client.query('ROLLBACK')).status).toBe('I');
  expect(await client.value('SELECT pg_try_advisory_xact_lock(1)')).toBe('t');
  expect(await client.value("SELECT 'pg_advisory_lock(1)'")).toBe('pg_advisory_lock(1)');
  client.leave();
});
