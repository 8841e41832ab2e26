import { beforeAll, expect, test } from 'vitest';
import { formatDuration } from '../../src/core/format/time.js';
import { bucketError } from '../../src/panes/reading/calls.js';
import { slowHooks, type SlowHookRow } from '../../src/panes/slow-hooks.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh, readWhole, readWith } from './open.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source)
     VALUES (md5('trace')::uuid, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test')`,
  );
  // 6,000 hooks over two hours; durations from 0 ms to some minutes, long-tailed; a few without a tool.
  await database.query(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at, duration_ms)
     SELECT md5('trace')::uuid, 'PreToolUse', 'hook-' || i % 3, (ARRAY['Bash', 'Edit', NULL])[1 + i % 5 % 3],
       (ARRAY['completed', 'completed', 'completed', 'failed', 'timeout', 'in_progress'])[1 + i % 6],
       now() - i * interval '1.21 seconds',
       CASE WHEN i % 6 < 5 THEN floor(exp(13 * abs(sin(i)))) - 1 END
     FROM generate_series(1, 6000) AS i`,
  );
});

type Expected = { hook: string; tool: string | null; calls: number; failures: number } & Record<
  'p50' | 'p95' | 'max',
  number | null
> & { share: number };

async function counted(window: string): Promise<Map<string, Expected>> {
  const { rows } = await database.query<Record<string, string | null>>(
    `SELECT hook_name AS hook, tool_name AS tool, count(*) AS calls,
       count(*) FILTER (WHERE status IN ('failed', 'timeout')) AS failures,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95,
       max(duration_ms) AS max,
       sum(duration_ms) / sum(sum(duration_ms)) OVER () AS share
     FROM hook_executions WHERE started_at > now() - $1::interval GROUP BY 1, 2`,
    [window],
  );
  const number = (value: string | null | undefined) =>
    value === null || value === undefined ? null : Number(value);
  return new Map(
    rows.map((row) => [
      `${row.hook ?? ''}/${row.tool ?? '-'}`,
      {
        hook: row.hook ?? '',
        tool: row.tool ?? null,
        calls: Number(row.calls),
        failures: Number(row.failures),
        p50: number(row.p50),
        p95: number(row.p95),
        max: number(row.max),
        share: Number(row.share),
      },
    ]),
  );
}

/** Longer windows hold every hook that was inserted: two hours of them, and the time the tests take. */
const everythingMs = 7_300_000;

const keyOf = ({ hook, tool }: SlowHookRow) => `${hook}/${tool ?? '-'}`;

/**
 * Nothing is added, but calls leave a window that moves on: what was read lies between what plain SQL
 * counts before and after it. Kept buckets begin at a slice, which may be one call more or less.
 */
function expectCounts(
  rows: readonly SlowHookRow[],
  before: Map<string, Expected>,
  after: Map<string, Expected>,
) {
  expect(new Set(rows.map(keyOf))).toEqual(new Set(before.keys()));
  for (const row of rows) {
    const [most, least] = [before.get(keyOf(row)), after.get(keyOf(row))];
    for (const figure of ['calls', 'failures'] as const) {
      expect(row[figure]).toBeLessThanOrEqual((most?.[figure] ?? 0) + 1);
      expect(row[figure]).toBeGreaterThanOrEqual((least?.[figure] ?? 0) - 1);
    }
  }
  expect(rows.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
}

/** Of a window that holds everything, which nothing can have left meanwhile. */
function expectShares(rows: readonly SlowHookRow[], plain: Map<string, Expected>) {
  for (const row of rows) expect(row.share).toBeCloseTo(plain.get(keyOf(row))?.share ?? -1, 6);
}

for (const [window, windowMs] of [
  ['5 minutes', 300_000],
  ['1 hour', 3_600_000],
  ['6 hours', 21_600_000],
] as const) {
  test(`on demand the figures of ${window} are those of plain SQL`, async () => {
    const console_ = await openDatabase(database.url);
    const plain = await counted(window);
    const { rows, extras } = await readFresh(console_, slowHooks, { windowMs, exact: true });
    expectCounts(rows, plain, await counted(window));
    expect(extras.percentileError).toBe(0);
    if (windowMs > everythingMs) {
      expectShares(rows, plain);
      for (const row of rows) {
        const { p50, p95, max } = plain.get(keyOf(row)) ?? {};
        expect([row.p50Ms, row.p95Ms, row.maxMs]).toEqual([p50, p95, max]);
      }
    }
  });

  test(`kept buckets give the figures of ${window} within the stated error, read again and again`, async () => {
    const console_ = await openDatabase(database.url);
    const reader = slowHooks.createReader();
    for (let reading = 0; reading < 3; reading += 1) {
      const plain = await counted(window);
      const { rows, extras } = await readWhole(console_, slowHooks, reader, { windowMs });
      expectCounts(rows, plain, await counted(window));
      if (windowMs <= everythingMs) continue;
      expectShares(rows, plain);
      for (const row of rows) {
        const exact = plain.get(keyOf(row));
        expect(row.maxMs).toBe(exact?.max);
        for (const [kept, real] of [
          [row.p50Ms, exact?.p50],
          [row.p95Ms, exact?.p95],
        ] as const) {
          const allowed = (real ?? 0) * extras.percentileError + 0.5;
          expect(Math.abs((kept ?? 0) - (real ?? 0))).toBeLessThanOrEqual(allowed);
        }
      }
    }
  });
}

test('a hook that ends after its minute was closed is counted when the minute is asked for again', async () => {
  const console_ = await openDatabase(database.url);
  const reader = slowHooks.createReader();
  const { rows: inserted } = await database.query<{ id: string }>(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, started_at)
     VALUES (md5('trace')::uuid, 'PreToolUse', 'late', now() - interval '30 seconds') RETURNING id`,
  );
  const late = (rows: readonly SlowHookRow[]) => rows.find(({ hook }) => hook === 'late');
  const read = () => readWith(console_, slowHooks, reader, { windowMs: 300_000 });
  const first = await read();
  expect(late(first.rows)).toMatchObject({ calls: 1, inProgress: 1, maxMs: null });
  await database.query(
    `UPDATE hook_executions SET status = 'failed', duration_ms = 4711 WHERE id = $1`,
    [inserted[0]?.id],
  );
  // Slices of a window of five minutes last 5 s. One with hooks in progress is asked for again when its
  // age has grown by a tenth, here by 3 s.
  await expect
    .poll(async () => late((await read()).rows), {
      timeout: 50_000,
      interval: 500,
    })
    .toMatchObject({ calls: 1, inProgress: 0, failures: 1, maxMs: 4711 });
});

test('a window that moves on lets go of what has left it', async () => {
  const console_ = await openDatabase(database.url);
  const reader = slowHooks.createReader();
  await database.query(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at, duration_ms)
     VALUES (md5('trace')::uuid, 'PreToolUse', 'leaving', 'completed', now() - interval '58.5 seconds', 5)`,
  );
  const names = async () =>
    (await readWith(console_, slowHooks, reader, { windowMs: 60_000 })).rows.map(
      ({ hook }) => hook,
    );
  expect(await names()).toContain('leaving');
  await expect.poll(names, { timeout: 50_000, interval: 200 }).not.toContain('leaving');
});

test('shows hooks and tool calls, or one kind of them', async () => {
  const database = await createTestDatabase();
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test') RETURNING id)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, duration_ms)
     SELECT id, type, name, 'Bash', 'completed', 5
     FROM trace, (VALUES ('PreToolUse', 'guard'), ('ToolUse', 'tool')) AS hook (type, name)`,
  );
  const console_ = await openDatabase(database.url);
  const named = async (variant: string, exact: boolean) => {
    const { rows } = await readFresh(console_, slowHooks, { variant, exact });
    return rows.map(({ hook }) => hook).sort();
  };
  expect(slowHooks.variants?.map(({ id }) => id)).toEqual(['all', 'hooks', 'tools']);
  for (const exact of [false, true]) {
    expect(await named('all', exact)).toEqual(['guard', 'tool']);
    expect(await named('hooks', exact)).toEqual(['guard']);
    expect(await named('tools', exact)).toEqual(['tool']);
  }
});

test('a duration that must be a slip of its writer is as long as it is, and is written as too long', async () => {
  const slip = 8_000_000_000_000_000;
  await database.query(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, duration_ms)
     VALUES (md5('trace')::uuid, 'PreToolUse', 'slip', 'completed', $1)`,
    [slip],
  );
  const { rows } = await readFresh(await openDatabase(database.url), slowHooks);
  const row = rows.find(({ hook }) => hook === 'slip');
  expect(Math.abs((row?.p95Ms ?? 0) / slip - 1)).toBeLessThan(bucketError);
  expect([formatDuration(row?.p95Ms), formatDuration(row?.maxMs)]).toEqual(['>273y', '>273y']);
  await database.query(`DELETE FROM hook_executions WHERE hook_name = 'slip'`);
});
