import { beforeAll, expect, test } from 'vitest';
import { recentTraces } from '../../src/panes/recent-traces.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh, readWhole } from './open.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  // 3,000 traces over two hours, every status among them, none on a whole second.
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, prompt_text)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test',
       (ARRAY['completed', 'completed', 'completed', 'failed', 'timeout', 'cancelled', 'in_progress'])[1 + i % 7],
       now() - i * interval '2.41 seconds', 'prompt ' || i
     FROM generate_series(1, 3000) AS i`,
  );
});

/** What the monitoring query of the schema's description counts. */
async function counted(window: string): Promise<Record<string, number>> {
  const { rows } = await database.query<{ status: string; n: string }>(
    `SELECT status, count(*) AS n FROM execution_traces
     WHERE started_at > now() - $1::interval GROUP BY status`,
    [window],
  );
  return Object.fromEntries(rows.map(({ status, n }) => [status, Number(n)]));
}

function byStatus(rows: readonly { status: string; count: number }[]): Record<string, number> {
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

/** A window that nothing leaves while a test runs. */
const day = { windowMs: 86_400_000 };

async function insert(status: string, startedAgo: string): Promise<string> {
  const { rows } = await database.query<{ id: string }>(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', $1, now() - $2::interval)
     RETURNING id`,
    [status, startedAgo],
  );
  return rows[0]?.id ?? '';
}

for (const [window, windowMs] of [
  ['5 minutes', 300_000],
  ['1 hour', 3_600_000],
  ['1 day', 86_400_000],
] as const) {
  test(`counts by status what plain SQL counts over ${window}, also when read again`, async () => {
    const console_ = await openDatabase(database.url);
    const reader = recentTraces.createReader();
    for (let reading = 0; reading < 3; reading += 1) {
      const before = await counted(window);
      const { rows } = await readWhole(console_, recentTraces, reader, { windowMs });
      const after = await counted(window);
      // A trace may leave the window between the statements.
      expect([before, after]).toContainEqual(byStatus(rows));
    }
  });
}

test('the series adds up to the counts', async () => {
  const console_ = await openDatabase(database.url);
  const { rows, extras } = await readFresh(console_, recentTraces);
  const counts = byStatus(rows);
  const started = extras.series.reduce((sum, point) => sum + point.started, 0);
  const failed = extras.series.reduce((sum, point) => sum + point.failed, 0);
  expect(started).toBe(rows.reduce((sum, { count }) => sum + count, 0));
  expect(failed).toBe((counts.failed ?? 0) + (counts.timeout ?? 0));
  expect(extras.series.length).toBe(61);
});

test('a trace that ends long after its minute was counted changes the counts with the next reading', async () => {
  const console_ = await openDatabase(database.url);
  const reader = recentTraces.createReader();
  const id = await insert('in_progress', '40 minutes');
  const before = byStatus((await readWhole(console_, recentTraces, reader, day)).rows);
  await database.query(`UPDATE execution_traces SET status = 'failed' WHERE id = $1`, [id]);
  const after = byStatus((await readWhole(console_, recentTraces, reader, day)).rows);
  expect(after.in_progress).toBe((before.in_progress ?? 0) - 1);
  expect(after.failed).toBe((before.failed ?? 0) + 1);
});

test('a trace inserted late in progress is counted with the next reading', async () => {
  const console_ = await openDatabase(database.url);
  const reader = recentTraces.createReader();
  const before = await readWhole(console_, recentTraces, reader, day);
  await insert('in_progress', '30 minutes');
  const after = await readWhole(console_, recentTraces, reader, day);
  expect(byStatus(after.rows).in_progress).toBe((byStatus(before.rows).in_progress ?? 0) + 1);
  expect(after.extras.running).toBe(before.extras.running + 1);
});

test('running counts what is in progress whenever it started; stuck names the longest first', async () => {
  const console_ = await openDatabase(database.url);
  const id = await insert('in_progress', '3 days');
  const { extras } = await readFresh(console_, recentTraces, { stuckAfterMs: 3_600_000 });
  const { rows } = await database.query<{ running: string; stuck: string }>(
    `SELECT count(*) AS running, count(*) FILTER (WHERE started_at < now() - interval '1 hour') AS stuck
     FROM execution_traces WHERE status = 'in_progress'`,
  );
  expect(extras.running).toBe(Number(rows[0]?.running));
  expect(extras.stuckCount).toBe(Number(rows[0]?.stuck));
  expect(extras.stuck).toHaveLength(20);
  expect(extras.stuck[0]).toMatchObject({ id, source: 'test' });
  expect(extras.stuck[0]?.ageMs).toBeGreaterThanOrEqual(3 * 86_400_000);
});

test('rows that start in the future count, as they do in plain SQL', async () => {
  const console_ = await openDatabase(database.url);
  const before = byStatus((await readFresh(console_, recentTraces, { ...day, exact: true })).rows);
  await insert('completed', '-1 hour');
  const { rows, extras } = await readFresh(console_, recentTraces, { ...day, exact: true });
  expect(byStatus(rows).completed).toBe((before.completed ?? 0) + 1);
  expect(extras.series.at(-1)?.started).toBeGreaterThanOrEqual(1);
});
