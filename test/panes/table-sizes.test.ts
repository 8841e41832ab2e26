import { beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { tableSizes } from '../../src/panes/table-sizes.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { keepSizes } from '../../src/deploy/kept-sizes.js';
import { openConsoleTable } from '../../src/deploy/console-schema.js';
import { growth } from '../../src/maintenance/doctor/checks/tables.js';
import { diagnose } from '../maintenance/doctor/helpers.js';
import { openDatabase, readFresh, readWith } from './open.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await insertTraces(3_000);
  // What a session has not told yet would be added to what VACUUM counts.
  await database.query('SELECT pg_stat_force_next_flush()');
  await database.query('VACUUM ANALYZE execution_traces');
});

async function insertTraces(count: number) {
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test',
       (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 150) AS j)
     FROM generate_series(1, $1::int) AS i`,
    [count],
  );
}

test('sizes are those that PostgreSQL measures, and heap, indexes and TOAST make the total', async () => {
  const { rows, extras } = await readFresh(await openDatabase(database.url), tableSizes);
  const plain = await database.query<{ table: string; total: string; index: string }>(
    `SELECT tablename AS table, pg_total_relation_size(quote_ident(tablename)::regclass) AS total,
       pg_indexes_size(quote_ident(tablename)::regclass) AS index
     FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`,
  );
  expect(
    rows
      .map(({ table, totalBytes, indexBytes }) => ({ table, total: totalBytes, index: indexBytes }))
      .sort((a, b) => (a.table < b.table ? -1 : 1)),
  ).toEqual(
    plain.rows.map(({ table, total, index }) => ({
      table,
      total: Number(total),
      index: Number(index),
    })),
  );
  for (const { totalBytes, heapBytes, indexBytes, toastBytes } of rows) {
    expect((heapBytes ?? 0) + (indexBytes ?? 0) + (toastBytes ?? 0)).toBe(totalBytes);
  }
  const [largest] = rows;
  expect(largest).toMatchObject({ table: 'execution_traces', rows: 3_000, deadRows: 0 });
  expect(largest?.toastBytes).toBeGreaterThan(5_000_000);
  expect(largest?.lastVacuum).toBeInstanceOf(Date);
  expect(largest?.vacuumWasAutomatic).toBe(false);
  expect(extras.totalBytes).toBe(rows.reduce((sum, row) => sum + (row.totalBytes ?? 0), 0));
});

test('growth counts from the first reading on, which has none', async () => {
  const console_ = await openDatabase(database.url);
  const reader = tableSizes.createReader();
  const first = await readWith(console_, tableSizes, reader);
  expect(first.extras.growthBytes).toBeNull();
  await insertTraces(200);
  const second = await readWith(console_, tableSizes, reader);
  const traces = (result: typeof first) =>
    result.rows.find(({ table }) => table === 'execution_traces');
  expect(traces(second)?.growthBytes).toBe(
    (traces(second)?.totalBytes ?? 0) - (traces(first)?.totalBytes ?? 0),
  );
  expect(traces(second)?.growthBytes).toBeGreaterThan(0);
});

test('dead rows show after an update', async () => {
  await database.query(
    `UPDATE execution_traces SET project = 'p'; SELECT pg_stat_force_next_flush()`,
  );
  const { rows } = await readFresh(await openDatabase(database.url), tableSizes);
  const { rows: plain } = await database.query<{ dead: string }>(
    `SELECT n_dead_tup AS dead FROM pg_stat_user_tables WHERE relname = 'execution_traces'`,
  );
  const traces = rows.find(({ table }) => table === 'execution_traces');
  expect(traces?.deadRows).toBe(Number(plain[0]?.dead));
  expect(traces?.deadRows).toBeGreaterThanOrEqual(3_000);
});

for (const [what, statement, locked] of [
  ['a table', 'LOCK TABLE hook_executions IN ACCESS EXCLUSIVE MODE', 'hook_executions'],
  ['an index', 'REINDEX INDEX idx_hook_executions_type', 'hook_executions'],
] as const) {
  test(`${what} that another session has locked keeps its last sizes; the other tables go on`, async () => {
    const console_ = await openDatabase(database.url);
    const reader = tableSizes.createReader();
    const before = await readWith(console_, tableSizes, reader);
    const locker = new pg.Client({ connectionString: database.url });
    await locker.connect();
    try {
      const { rows: self } = await locker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const pid = self[0]?.pid ?? 0;
      await locker.query(`BEGIN; ${statement}`);
      const during = await readWith(console_, tableSizes, reader);
      const of = ({ rows }: typeof before) => rows.find(({ table }) => table === locked);
      expect(of(during)).toMatchObject({ totalBytes: of(before)?.totalBytes, lockedBy: pid });
      expect(during.notes).toEqual([
        `${locked} is locked by pid ${pid}: its sizes are those of before`,
      ]);
      expect(during.rows.filter(({ lockedBy }) => lockedBy === null)).toHaveLength(
        before.rows.length - 1,
      );
    } finally {
      await locker.query('ROLLBACK');
      await locker.end();
    }
  });
}

test('growth a day and the size in 30 days come from kept sizes, from two days on; doctor says the same', async () => {
  const console_ = await openDatabase(database.url);
  await console_.transaction({}, (tx) => openConsoleTable(tx, 'schema_files'));
  const reader = tableSizes.createReader();
  expect((await readWith(console_, tableSizes, reader)).extras.keptDays).toBeNull();
  await keepSizes(console_);
  const one = await readWith(console_, tableSizes, reader);
  expect(one.extras).toMatchObject({ keptDays: 1, bytesIn30Days: null });
  await database.query(
    `UPDATE trace_console.relation_sizes
     SET taken_at = taken_at - interval '4 days', taken_on = taken_on - 4`,
  );
  const readOnly = await openDatabase(database.url, { readOnly: true });
  expect([await keepSizes(readOnly), await keepSizes(console_)]).toEqual([false, true]);
  await database.query(
    `UPDATE trace_console.relation_sizes AS now
     SET bytes = before.bytes + CASE before.relation WHEN 'execution_traces' THEN 400000 ELSE 0 END
     FROM trace_console.relation_sizes AS before
     WHERE before.relation = now.relation AND before.taken_on < now.taken_on`,
  );
  const two = await readWith(console_, tableSizes, reader);
  const traces = two.rows.find(({ table }) => table === 'execution_traces');
  expect(traces?.bytesPerDay).toBeCloseTo(100_000, -2);
  expect(traces?.bytesIn30Days).toBeCloseTo((traces?.totalBytes ?? 0) + 3_000_000, -4);
  expect(two.extras.bytesPerDay).toBeCloseTo(100_000, -2);
  expect((await diagnose(database.url, growth)).evidence).toContain(
    'it grows by about 98 kB a day (over 4d of kept sizes)',
  );
});
