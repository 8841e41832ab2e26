import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { KeptCounters } from '../../../src/embedded/daemon/upkeep.js';
import { stopEmbedded } from '../../../src/embedded/running.js';
import type { Multiplexer } from '../../../src/embedded/mux/multiplexer.js';
import { indexUsage } from '../../../src/panes/index-usage.js';
import { tableSizes } from '../../../src/panes/table-sizes.js';
import { readFresh } from '../../panes/open.js';
import { startMultiplexer } from '../mux/engine.js';
import { RawClient } from '../raw-client.js';
import { connect, openDatabase, TestFolder } from './folder.js';

let multiplexer: Multiplexer;
let counters: KeptCounters;
let client: RawClient;
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ multiplexer, stop } = await startMultiplexer());
  counters = new KeptCounters(multiplexer);
  await counters.prepare();
  client = await new RawClient(multiplexer).greeted();
});

afterAll(() => stop());

// Every engine that is replaced takes half a second, and five on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

/** A new engine, which has counted nothing. */
const restart = (): Promise<void> => multiplexer.replaceEngine();

async function scan(times: number): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    await client.query('SET enable_seqscan = off; SELECT FROM counted WHERE a = 7');
  }
  await client.query('SELECT pg_stat_force_next_flush()');
}

const scans = async (index = 'counted_pkey'): Promise<number> =>
  Number(
    await client.value(
      `SELECT scans FROM trace_console.index_counters WHERE index_name = '${index}'`,
    ),
  );

async function table(name = 'counted'): Promise<Record<string, number>> {
  await client.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await client.query(
    `SELECT rows, dead_rows, changed_since_analyze, inserted_since_vacuum
     FROM trace_console.table_counters WHERE table_name = '${name}'`,
  );
  const [live, dead, changed, inserted] = rows[0]?.map(Number) ?? [];
  return { live: live ?? -1, dead: dead ?? -1, changed: changed ?? -1, inserted: inserted ?? -1 };
}

test('index scans add up over engines, whether taken in between or not', async () => {
  await client.query(
    'CREATE TABLE counted (a int PRIMARY KEY, b int); INSERT INTO counted SELECT n, n FROM generate_series(1, 100) n',
  );
  await scan(3);
  expect(await scans()).toBe(3);
  await counters.take();
  await scan(1);
  await counters.take();
  expect(await scans()).toBe(4);
  await restart();
  expect(await scans()).toBe(4);
  await scan(2);
  expect(await scans()).toBe(6);
  // Nothing taken: what this engine has counted is lost with it, what was kept is not.
  await restart();
  expect(await scans()).toBe(4);
  await counters.take();
  await scan(1);
  await counters.take();
  expect(await scans()).toBe(5);
});

test('a rebuilt or swapped index goes on counting under its name, a dropped one is forgotten', async () => {
  await client.query('REINDEX INDEX CONCURRENTLY counted_pkey');
  expect(await scans()).toBe(5);
  await client.query('CREATE INDEX counted_b ON counted (b)');
  await client.query('SET enable_seqscan = off; SELECT FROM counted WHERE b = 7');
  await counters.take();
  expect(await scans('counted_b')).toBe(1);
  await client.query(
    'CREATE INDEX swapped ON counted (b); DROP INDEX counted_b; ALTER INDEX swapped RENAME TO counted_b',
  );
  await counters.take();
  expect(await scans('counted_b')).toBe(1);
  await client.query('DROP INDEX counted_b');
  await counters.take();
  expect(
    await client.value(
      "SELECT count(*) FROM trace_console.kept_index_counters WHERE index_name = 'counted_b'",
    ),
  ).toBe('0');
});

test('rows and dead rows add up until VACUUM and ANALYZE count them', async () => {
  await client.query('DELETE FROM counted WHERE a <= 30');
  expect(await table()).toEqual({ live: 70, dead: 30, changed: 130, inserted: 100 });
  await counters.take();
  await restart();
  expect(await table()).toEqual({ live: 70, dead: 30, changed: 130, inserted: 100 });
  await client.query('DELETE FROM counted WHERE a <= 40');
  await client.query('INSERT INTO counted VALUES (1, 1), (2, 2)');
  expect(await table()).toEqual({ live: 62, dead: 40, changed: 142, inserted: 102 });
  await client.query('ANALYZE counted');
  expect(await table()).toMatchObject({ live: 62, dead: 40, changed: 0 });
  await client.query('VACUUM counted');
  expect(await table()).toEqual({ live: 62, dead: 0, changed: 0, inserted: 0 });
  await counters.take();
  await restart();
  const vacuumed = `SELECT last_vacuum < now() AND last_analyze < last_vacuum FROM trace_console.table_counters WHERE table_name = 'counted'`;
  expect(await client.value(vacuumed)).toBe('t');
  await client.query('TRUNCATE counted');
  expect(await table()).toMatchObject({ live: 0, dead: 0 });
});

test('an idle database is not written to, and the daemon does not count its own', async () => {
  await counters.take();
  const written = 'SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables';
  await client.query('SELECT pg_stat_force_next_flush()');
  const before = await client.value(written);
  await counters.take();
  await client.query('SELECT pg_stat_force_next_flush()');
  expect(await client.value(written)).toBe(before);
  expect(
    await client.value(
      `SELECT count(*) FROM trace_console.kept_table_counters WHERE schema_name = 'trace_console'`,
    ),
  ).toBe('0');
});

test('a reset begins anew', async () => {
  await scan(2);
  expect(await scans()).toBeGreaterThan(2);
  await client.query('SELECT pg_stat_reset()');
  expect(await scans()).toBe(0);
  await scan(1);
  await counters.take();
  await restart();
  expect(await scans()).toBe(1);
  expect(
    await client.value(
      `SELECT min(since) > now() - interval '1 minute' FROM trace_console.index_counters WHERE index_name = 'counted_pkey'`,
    ),
  ).toBe('t');
});

test('what is lost of them alone is made anew, and the rest keeps what it counted', async () => {
  const before = await scans();
  expect(before).toBeGreaterThan(0);
  for (const lost of [
    'TABLE trace_console.kept_table_counters CASCADE',
    'VIEW trace_console.index_counters',
  ]) {
    await client.query(`DROP ${lost}`);
    await counters.prepare();
    expect(await scans()).toBe(before);
  }
  await client.query('ALTER TABLE trace_console.kept_index_counters ADD COLUMN other int');
  await client.query('DROP VIEW trace_console.table_counters');
  await counters.prepare();
  await counters.take();
});

test("takes its figures whatever a client's session is set to", async () => {
  await client.query('CREATE ROLE nobody_here; SET default_transaction_read_only = on');
  await client.query('SET search_path = nowhere; SET ROLE nobody_here');
  await counters.take();
  await client.query('RESET ROLE; RESET ALL');
});

test('the panes go on counting over a stop of the daemon, and say since when', async () => {
  const folder = new TestFolder();
  const address = await folder.open();
  const writer = await connect(address);
  await writer.query(
    `CREATE TABLE kept (a int PRIMARY KEY); INSERT INTO kept SELECT generate_series(1, 1000); DELETE FROM kept WHERE a <= 40`,
  );
  await writer.query('SET enable_seqscan = off; SELECT FROM kept WHERE a = 500');
  await writer.query('SELECT pg_stat_force_next_flush()');
  await writer.end();
  const read = async () => {
    const database = await openDatabase(folder, await folder.open());
    const indexes = await readFresh(database, indexUsage);
    const tables = await readFresh(database, tableSizes);
    await database.close();
    return { index: indexes.rows.find(({ index }) => index === 'kept_pkey'), tables };
  };
  const before = await read();
  expect(before.index?.scans).toBeGreaterThan(0);
  await stopEmbedded(folder.dataDir);
  const stopped = Date.now();
  const { index, tables } = await read();
  expect(index?.scans).toBe(before.index?.scans);
  expect(tables.rows.find(({ table: name }) => name === 'kept')).toMatchObject({
    rows: 960,
    deadRows: 40,
  });
  expect(tables.extras.countersKept).toBe(true);
  expect(tables.extras.countersSince.getTime()).toBeLessThan(stopped);
  await folder.remove();
});
