import { expect, it } from 'vitest';
import {
  idleTransactions,
  idleTransactionsCheck,
  lockWaitsCheck,
} from '../../../src/maintenance/doctor/checks/sessions.js';
import {
  temporaryFiles,
  temporaryFilesCheck,
} from '../../../src/maintenance/doctor/checks/server.js';
import { createTestDatabase } from '../../helpers/database.js';
import { diagnose } from './helpers.js';

it('names who holds a transaction open, and who waits behind it with which statement', async () => {
  const test = await createTestDatabase();
  const idle = idleTransactionsCheck({ idleMs: 0 });
  const waits = lockWaitsCheck(0);
  const holder = await test.pool.connect();
  const waiter = await test.pool.connect();
  await holder.query('BEGIN; LOCK TABLE error_patterns IN ACCESS EXCLUSIVE MODE');
  const waiting = waiter.query('SELECT count(*) FROM error_patterns');
  await expect
    .poll(async () => (await diagnose(test.url, waits)).severity, { timeout: 50_000 })
    .toBe('warning');
  expect((await diagnose(test.url, waits)).evidence).toMatch(
    /^1 session: pid \d+ waits for \S+ \(SELECT count\(\*\) FROM error_patterns\) behind pid \d+ \(BEGIN; LOCK TABLE error_patterns/,
  );
  const open = await diagnose(test.url, idle);
  expect(open).toMatchObject({ severity: 'warning' });
  expect(open.items[0]).toMatch(
    /^pid \d+ \(postgres, no name\) idle in its transaction for .*LOCK TABLE/,
  );
  expect(await diagnose(test.url, idleTransactions)).toMatchObject({ severity: 'good' });
  await holder.query('ROLLBACK');
  await waiting;
  holder.release();
  waiter.release();
  for (const check of [idle, waits]) {
    expect(await diagnose(test.url, check)).toMatchObject({ severity: 'good' });
  }
});

it('adds up what went by way of temporary files', async () => {
  const test = await createTestDatabase();
  const client = await test.pool.connect();
  await client.query(
    `SET work_mem = '64kB'; SELECT n FROM generate_series(1, 50000) AS n ORDER BY md5(n::text);
     SELECT pg_stat_force_next_flush()`,
  );
  client.release();
  expect(await diagnose(test.url, temporaryFiles)).toMatchObject({ severity: 'good' });
  const check = temporaryFilesCheck(1);
  await expect
    .poll(async () => (await diagnose(test.url, check)).severity, { timeout: 50_000 })
    .toBe('advice');
  await test.query('SELECT pg_stat_reset()');
  expect(await diagnose(test.url, check)).toMatchObject({ severity: 'good' });
});
