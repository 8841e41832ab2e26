import { afterAll, expect, test } from 'vitest';
import { demoTraffic } from '../../src/cli/demo-companion.js';
import { parseLength, planDemo, Rhythm } from '../../src/demo/options.js';
import { runDemo } from '../../src/demo/run.js';
import { Proxy } from '../helpers/proxy.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import {
  closeDatabases,
  contents,
  countRows,
  noon,
  openDatabase,
  SteppingClock,
} from './helpers.js';

afterAll(closeDatabases);

const options = { seed: 5, start: noon, rate: 40, seconds: 5 };

/** Times of updates, and the log entries that record_pattern_usage makes. */
const setByTheServer = {
  execution_traces: ['updated_at'],
  agent_routing_decisions: ['updated_at'],
  hook_executions: ['updated_at'],
  success_patterns: ['updated_at'],
  agent_chaining_patterns: ['updated_at'],
  error_patterns: ['updated_at'],
  pattern_usage_log: ['id', 'created_at', 'updated_at'],
};

/** What must hold whenever anybody looks. */
async function violations(database: TestDatabase): Promise<Record<string, number>> {
  const { rows } = await database.query<Record<string, number>>(`
    SELECT
      (SELECT count(*)::int FROM execution_traces
       WHERE (status = 'in_progress') <> (completed_at IS NULL)
          OR (status = 'in_progress') <> (success IS NULL) OR completed_at < started_at) AS traces,
      (SELECT count(*)::int FROM hook_executions
       WHERE (status = 'in_progress') <> (completed_at IS NULL) OR completed_at < started_at) AS hooks,
      (SELECT count(*)::int FROM execution_traces AS t WHERE parent_id IS NOT NULL AND NOT EXISTS (
         SELECT FROM execution_traces AS p WHERE p.correlation_id = t.parent_id)) AS orphans,
      (SELECT count(*)::int FROM execution_traces AS t
       JOIN execution_traces AS p ON p.correlation_id = t.parent_id
       WHERE t.status = 'in_progress' AND p.status <> 'in_progress') AS abandoned,
      (SELECT count(*)::int FROM success_patterns AS p WHERE total_usage_count <> (
         SELECT count(*) FROM pattern_usage_log AS l WHERE l.pattern_id = p.id)) AS counters,
      (SELECT count(*)::int FROM execution_traces WHERE NOT tags @> '{trace-console-demo}') AS untagged`);
  return rows[0] ?? {};
}

const none = { traces: 0, hooks: 0, orphans: 0, abandoned: 0, counters: 0, untagged: 0 };

test('starts exactly rate × seconds traces, as many in each second', async () => {
  const database = await createTestDatabase();
  const summary = await runDemo(await openDatabase(database), options, {
    clock: new SteppingClock(),
  });
  expect(summary.live).toMatchObject({ traces: 200, missed: 0, tracesPerSecond: 40 });
  const { rows } = await database.query<{ count: number }>(`
    SELECT count(*)::int FROM execution_traces GROUP BY date_trunc('second', started_at)`);
  expect(rows.map(({ count }) => count)).toEqual([40, 40, 40, 40, 40]);
});

test('keeps a rate whose interval is no whole number of milliseconds', async () => {
  const database = await createTestDatabase();
  const { live } = await runDemo(
    await openDatabase(database),
    { ...options, rate: 70 / 3, seconds: 6.0005 },
    { clock: new SteppingClock() },
  );
  expect(live?.traces).toBe(141);
  expect(await countRows(database, 'execution_traces')).toBe(141);
});

test('rows are consistent after every step, some traces are seen running, none is left so', async () => {
  const database = await createTestDatabase();
  const running: number[] = [];
  const clock = new SteppingClock(noon, async () => {
    expect(await violations(database)).toEqual(none);
    running.push(await countRows(database, `execution_traces WHERE status = 'in_progress'`));
  });
  await runDemo(await openDatabase(database), { ...options, seconds: 8 }, { clock });
  expect(running.length).toBeGreaterThan(70);
  expect(Math.max(...running)).toBeGreaterThan(20);
  expect(await violations(database)).toEqual(none);
  expect(await countRows(database, `execution_traces WHERE status = 'in_progress'`)).toBe(0);
  expect(await countRows(database, `execution_traces WHERE status = 'completed'`)).toBeGreaterThan(
    10,
  );
});

test('equal seed and start give equal live rows', async () => {
  const runs = [];
  for (const slowness of [0, 700]) {
    const database = await createTestDatabase();
    // The second server is slow: larger steps, the same rows.
    const clock: SteppingClock = new SteppingClock(noon, () => clock.skip(slowness));
    await runDemo(await openDatabase(database), { ...options, rate: 20, seconds: 15 }, { clock });
    runs.push(await contents(database, setByTheServer));
  }
  expect(runs[0]?.pattern_usage_log?.length).toBeGreaterThan(5);
  expect(runs[1]).toEqual(runs[0]);
});

test('a COMMIT whose answer is lost has its rows, its uses and its counts once', async () => {
  const rows = [];
  let lost = 0;
  for (const losesAnswers of [false, true]) {
    const database = await createTestDatabase();
    const { hostname: host, port } = new URL(database.url);
    const proxy = await Proxy.start({ host, port: Number(port || 5432) });
    // Steps of a tenth of a second: at this rate many of them only change rows, and count.
    const clock = new SteppingClock(noon, (step) => {
      if (!losesAnswers || step % 3 !== 0) return;
      proxy.losesAnswerTo = 'COMMIT';
      lost += 1;
    });
    const console_ = await openDatabase({ url: proxy.through(database.url) });
    await runDemo(console_, { ...options, rate: 0.5, seconds: 120 }, { clock });
    rows.push(await contents(database, setByTheServer));
    await console_.close();
    await proxy.stop();
  }
  expect(lost).toBeGreaterThan(100);
  expect(rows[0]?.pattern_usage_log?.length).toBeGreaterThan(5);
  expect(rows[1]).toEqual(rows[0]);
});

test('the signal ends it at once and cleanly: what is open is cancelled', async () => {
  const database = await createTestDatabase();
  const stop = new AbortController();
  const clock = new SteppingClock(noon, (step) => {
    if (step === 40) stop.abort();
  });
  const summary = await runDemo(
    await openDatabase(database),
    { seed: 5, start: noon, rate: 40 },
    { clock, signal: stop.signal },
  );
  expect(summary.interrupted).toBe(true);
  expect(summary.live?.traces).toBe(160);
  const cancelled = `execution_traces WHERE status = 'cancelled' AND context ->> 'cancelled_by' = 'end of the demo'`;
  expect(await countRows(database, cancelled)).toBe(summary.live?.cancelled);
  expect(summary.live?.cancelled).toBeGreaterThan(0);
  expect(await countRows(database, `execution_traces WHERE status = 'in_progress'`)).toBe(0);
  expect(await countRows(database, `hook_executions WHERE status = 'in_progress'`)).toBe(0);
  expect(await violations(database)).toEqual(none);
});

test('a server that falls behind is caught up with; beyond ten seconds traces are left out', async () => {
  const database = await createTestDatabase();
  const clock = new SteppingClock(noon, (step) => {
    if (step === 5) clock.skip(8_000);
    if (step === 50) clock.skip(30_000);
  });
  const { live } = await runDemo(
    await openDatabase(database),
    { ...options, rate: 10, seconds: 60 },
    { clock },
  );
  expect(live?.longestLagMs).toBeGreaterThan(25_000);
  expect(live?.missed).toBeGreaterThan(190);
  expect(live?.missed).toBeLessThan(210);
  expect((live?.traces ?? 0) + (live?.missed ?? 0)).toBe(600);
  expect(await countRows(database, 'execution_traces')).toBe(live?.traces);
  expect(await violations(database)).toEqual(none);
});

test('goes on after its connections were cut, with nothing lost and nothing twice', async () => {
  const database = await createTestDatabase();
  const clock = new SteppingClock(noon, async (step) => {
    if (step % 10 !== 0) return;
    await database.query(`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`);
  });
  const { live, rows } = await runDemo(await openDatabase(database), options, { clock });
  expect(live?.traces).toBe(200);
  expect(await countRows(database, 'execution_traces')).toBe(200);
  expect(await countRows(database, 'hook_executions')).toBe(rows.hook_executions);
  expect(await countRows(database, 'pattern_usage_log')).toBe(rows.pattern_usage_log);
  expect(await violations(database)).toEqual(none);
});

test('history and traffic in one run join without a gap or an overlap', async () => {
  const database = await createTestDatabase();
  await runDemo(
    await openDatabase(database),
    { ...options, backfillMs: 6 * 3_600_000, traces: 200 },
    { clock: new SteppingClock() },
  );
  expect(
    await countRows(database, `execution_traces WHERE started_at < to_timestamp(${noon / 1000})`),
  ).toBe(200);
  expect(
    await countRows(database, `execution_traces WHERE started_at >= to_timestamp(${noon / 1000})`),
  ).toBe(200);
});

test('the last hours of a history have the rate of the traffic that follows', async () => {
  const database = await createTestDatabase();
  const { backfill } = await runDemo(
    await openDatabase(database),
    { seed: 5, start: noon, backfillMs: 6 * 3_600_000, rate: 0.05, seconds: 1_800 },
    { clock: new SteppingClock() },
  );
  const { rows } = await database.query<{ part: number; count: number }>(
    `SELECT floor(date_part('epoch', started_at - to_timestamp($1)) / 1800)::int AS part, count(*)::int AS count
     FROM execution_traces WHERE started_at >= to_timestamp($1) - interval '2 hours' GROUP BY 1 ORDER BY 1`,
    [noon / 1_000],
  );
  expect(rows.map(({ part }) => part)).toEqual([-4, -3, -2, -1, 0]);
  // 0.05 a second are 90 in half an hour; prompts of history bring several at once.
  for (const { count } of rows) expect(Math.abs(count - 90)).toBeLessThan(25);
  expect(backfill?.traces).toBeLessThan(2_000);
});

test('in the demo of the console a window of up to a day is like the one before it', () => {
  const { history, live, leadMs } = planDemo(
    { backfillMs: parseLength(demoTraffic.backfill), rate: demoTraffic.rate },
    true,
    noon,
  );
  const { lengthMs = 0, traces = 0, steadyMs } = history ?? {};
  const rhythm = new Rhythm(noon, lengthMs, steadyMs);
  const until = (ms: number) => (1 - rhythm.shareAt(noon - ms)) * traces;
  for (const minutes of [5, 15, 60, 360, 1_440]) {
    const ms = minutes * 60_000;
    const before = until(2 * ms) - until(ms);
    expect(until(ms) / before).toBeCloseTo(1, 1);
    expect((1_000 * until(ms)) / ms / (live?.rate ?? 0)).toBeCloseTo(1, 1);
  }
  expect(traces).toBeLessThan(20_000);
  expect(leadMs).toBe(600_000);
});

test('a run goes on where another was stopped: what is there stays, and the pause stays a pause', async () => {
  const database = await createTestDatabase();
  const open = await openDatabase(database);
  const hour = 3_600_000;
  const stop = new AbortController();
  const history = { seed: 5, backfillMs: 24 * hour, traces: 300, rate: 0.01 };
  await runDemo(
    open,
    { ...history, start: noon },
    {
      clock: new SteppingClock(noon, () => new Promise((resolve) => setTimeout(resolve, 5))),
      signal: stop.signal,
      onProgress: (progress) => {
        if (progress.phase === 'backfill' && progress.traces > 0) stop.abort();
      },
    },
  );
  const spanOf = async () => {
    const { rows } = await database.query<{ oldest: Date; newest: Date; ids: string[] }>(
      'SELECT min(started_at) AS oldest, max(started_at) AS newest, array_agg(id) AS ids FROM execution_traces',
    );
    return rows[0] ?? { oldest: new Date(), newest: new Date(), ids: [] };
  };
  const first = await spanOf();
  expect(first.oldest.getTime()).toBeGreaterThan(noon - 20 * hour);
  const later = first.newest.getTime() + 3 * hour;
  const again = { ...history, seed: 6, start: later, seconds: 60, continues: true };
  const second = await runDemo(open, again, { clock: new SteppingClock(later) });
  expect(second.backfill?.traces).toBeGreaterThan(50);
  const whole = await spanOf();
  expect(whole.ids).toEqual(expect.arrayContaining(first.ids));
  expect(whole.oldest.getTime()).toBeLessThan(later - 20 * hour);
  const between = await countRows(
    database,
    `execution_traces WHERE started_at > to_timestamp(${first.newest.getTime() / 1_000}) + interval '1 second'
       AND started_at < to_timestamp(${later / 1_000}) - interval '11 minutes'`,
  );
  expect(between).toBe(0);
  const third = await runDemo(
    open,
    { ...again, seed: 7, start: later + hour },
    { clock: new SteppingClock(later + hour) },
  );
  expect(third.backfill).toBeNull();
});
