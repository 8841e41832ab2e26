import type { ChildProcess } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { command as demo } from '../../src/cli/commands/demo.js';
import { coreTables } from '../../src/core/tables.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { closeDatabases, countRows, openDatabase } from './helpers.js';

afterAll(closeDatabases);

type Context = Parameters<typeof demo.run>[0];

async function run(database: TestDatabase, flags: Partial<Context['flags']>, signal?: AbortSignal) {
  const printed: string[] = [];
  const noted: string[] = [];
  const context = {
    flags: { yes: false, remove: false, json: false, readOnly: false, ...flags },
    input: [],
    interactive: false,
    signal: signal ?? new AbortController().signal,
    print: (line: string) => printed.push(line),
    note: (line: string) => noted.push(line),
    ask: () => Promise.reject(new Error('nobody to ask')),
    openDatabase: () => openDatabase(database),
  } as unknown as Context;
  const result = await demo.run(context).catch((error: unknown) => error);
  return { result, printed: printed.join('\n'), noted: noted.join('\n') };
}

test('without --yes a server is not written to: exit code 4, with where and what', async () => {
  const database = await createTestDatabase();
  const { result, noted } = await run(database, { backfill: '120d', rate: 50 });
  expect(result).toMatchObject({ code: 'confirmation_needed', exitCode: 4 });
  expect(String(result)).toContain(`database ${database.name}, schema public`);
  expect(noted).toContain('20,000 traces over the last 120 days');
  expect(noted).toContain('50 traces a second until stopped');
  expect(await countRows(database, 'success_patterns')).toBe(0);
});

test('--remove without --yes says what it would delete, and deletes nothing', async () => {
  const database = await createTestDatabase();
  await run(database, { yes: true, backfill: '30d', traces: 40 });
  const { result, noted } = await run(database, { remove: true });
  expect(result).toMatchObject({ code: 'confirmation_needed', exitCode: 4 });
  expect(noted).toContain('would delete 40 of execution_traces');
  expect(await countRows(database, 'execution_traces')).toBe(40);
});

test('--json gives a summary of the run and of the removal', async () => {
  const database = await createTestDatabase();
  const filled = await run(database, {
    yes: true,
    json: true,
    backfill: '30d',
    traces: 40,
    seed: 7,
  });
  expect(filled.result).toBe(0);
  expect(JSON.parse(filled.printed)).toMatchObject({
    ok: true,
    seed: 7,
    interrupted: false,
    live: null,
    backfill: { traces: 40 },
    rows: { execution_traces: 40 },
  });
  const removed = await run(database, { yes: true, json: true, remove: true });
  expect(removed.result).toBe(0);
  expect(JSON.parse(removed.printed)).toMatchObject({
    ok: true,
    deleted: { execution_traces: 40 },
    keptPatterns: 0,
  });
});

test('brings the schema along where the whole schema is empty', async () => {
  const database = await createTestDatabase({ schema: false });
  const { result } = await run(database, { yes: true, backfill: '1d', traces: 20 });
  expect(result).toBe(0);
  expect(await countRows(database, 'execution_traces')).toBe(20);
});

test('an interrupted run reports what it did and ends well', async () => {
  const database = await createTestDatabase();
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 1_500);
  const { result, printed } = await run(database, { yes: true, rate: 20 }, stop.signal);
  expect(result).toBe(0);
  expect(printed).toContain('interrupted');
  expect(await countRows(database, `execution_traces WHERE status = 'in_progress'`)).toBe(0);
});

test.each([
  [{ backfill: '120' }, /no length of time/],
  [{ rate: 0 }, /--rate is out of bounds/],
  [{ rate: 5_000 }, /--rate is out of bounds/],
  [{ backfill: '1d', traces: 0.5 }, /--traces is out of bounds/],
  [{ seed: -1 }, /--seed is out of bounds/],
  [{ start: 'tomorrow' }, /no moment in time/],
])('refuses %j as wrong usage', async (flags, message) => {
  const database = await createTestDatabase();
  const { result } = await run(database, { yes: true, ...flags });
  expect(result).toMatchObject({ code: 'usage', exitCode: 2 });
  expect(String(result)).toMatch(message);
});

test('killed while it fills, it leaves whole traces, all of which --remove finds', async () => {
  const database = await createTestDatabase();
  const { url } = database;
  const flags = ['--backfill', '30d', '--traces', '50000', '--yes', '--url', url];
  let child: ChildProcess | undefined;
  const killed = runCli(['demo', ...flags], { onStart: (started) => (child = started) });
  await expect
    .poll(() => countRows(database, 'execution_traces'), { timeout: 60_000 })
    .toBeGreaterThan(100);
  child?.kill('SIGKILL');
  expect(await killed).toMatchObject({ signalled: 'SIGKILL' });
  // The server may still be at a statement of the one that is gone.
  await expect
    .poll(
      () =>
        countRows(
          database,
          `pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'trace-console%'`,
        ),
      { timeout: 60_000 },
    )
    .toBe(0);
  const written = await countRows(database, 'execution_traces');
  expect(written).toBeGreaterThan(100);
  expect(written).toBeLessThan(50_000);
  const without = `execution_traces AS t WHERE parent_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM execution_traces AS p WHERE p.correlation_id = t.parent_id)`;
  expect(await countRows(database, without)).toBe(0);
  const removed = await runCli(['demo', '--remove', '--yes', '--json', '--url', url]);
  expect(removed).toMatchObject({ exitCode: 0 });
  for (const table of coreTables)
    expect([table, await countRows(database, table)]).toEqual([table, 0]);
  expect(
    await runCli(['demo', '--backfill', '1d', '--traces', '20', '--yes', '--url', url]),
  ).toMatchObject({ exitCode: 0 });
});
