import { afterAll, beforeAll, expect, it } from 'vitest';
import { cronJobs } from '../../../src/maintenance/retention/schedule.js';
import { recommendedPolicy } from '../../../src/maintenance/retention/policy.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase } from '../../helpers/database.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';
import { runOnce } from '../../helpers/template.js';

// pg_cron is loaded when a server starts, and serves one database of it.
let server: PrivateServer;
let url: string;

beforeAll(async () => {
  server = await startPrivateServer({
    settings: {
      shared_preload_libraries: 'pg_cron',
      'cron.database_name': 'traces',
      'cron.use_background_workers': 'on',
      // Its workers come on top of those of parallel queries.
      max_worker_processes: 16,
    },
  });
  url = await server.createDatabase('traces');
  await runOnce(url, 'CREATE EXTENSION pg_cron');
  await runOnce(
    url,
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT id, id, id, 'test', 'completed', now() - interval '100 days'
     FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 7)) AS ids`,
  );
});

afterAll(() => server.remove());

const maintain = (...args: string[]) => runCli(['maintain', ...args, '--url', url]);

type Schedule = {
  current: boolean;
  jobs: { name: string; schedule: string; lastStatus: string | null }[];
};

async function schedule(): Promise<Schedule> {
  return JSON.parse((await maintain('schedule', '--json')).stdout) as Schedule;
}

it('schedules the policy in pg_cron, which moves what is due by itself; lists and removes the jobs', async () => {
  expect((await maintain('schedule', 'set', '--yes')).exitCode).toBe(2);
  await runCli([
    'schema',
    'materialize',
    'agent_performance',
    'dashboard_summary',
    '--yes',
    '--url',
    url,
  ]);
  await maintain(
    ...['policy', 'set', '--archive-after', '90d', '--prune-usage-after', '180d'],
    ...['--refresh-after', '15m', '--yes'],
  );
  expect(await schedule()).toEqual({ current: false, jobs: [] });
  expect((await maintain('schedule', 'set')).exitCode).toBe(4);
  expect((await maintain('schedule', 'set', '--yes')).exitCode).toBe(0);
  expect(await schedule()).toMatchObject({
    current: true,
    jobs: [
      { name: 'trace-console archive public', schedule: '* * * * *' },
      { name: 'trace-console prune public', schedule: '23 * * * *' },
      { name: 'trace-console refresh public', schedule: '*/15 * * * *' },
    ],
  });
  // Not to wait for the full minute, nor for the hour.
  await runOnce(url, `SELECT cron.alter_job(jobid, schedule => '1 seconds') FROM cron.job`);
  await expect
    .poll(
      async () => {
        const jobs = (await schedule()).jobs;
        return jobs.map(({ lastStatus }) => lastStatus);
      },
      { timeout: 30_000, interval: 500 },
    )
    .toEqual(['succeeded', 'succeeded', 'succeeded']);
  const total = 'SELECT total_traces::int AS n FROM trace_console.public_dashboard_summary';
  await expect.poll(() => runOnce(url, total), { timeout: 30_000 }).toEqual([{ n: 0 }]);
  const [moved] = await runOnce(
    url,
    `SELECT (SELECT count(*)::int FROM execution_traces) AS live,
       (SELECT count(*)::int FROM execution_traces_archive) AS archived`,
  );
  expect(moved).toEqual({ live: 0, archived: 7 });
  // They were changed by hand.
  expect((await maintain('schedule')).stdout).toContain('They differ from the policy');
  await maintain(
    ...['policy', 'set', '--prune-usage-after', 'never', '--refresh-after', 'never', '--yes'],
  );
  await maintain('schedule', 'set', '--yes');
  expect(await schedule()).toMatchObject({
    current: true,
    jobs: [{ name: 'trace-console archive public', schedule: '* * * * *' }],
  });
  expect((await maintain('schedule', 'clear', '--yes')).exitCode).toBe(0);
  expect(await runOnce(url, 'SELECT jobname FROM cron.job')).toEqual([]);
}, 120_000);

it('calls nothing outside the daily window, whose job is tried as it stands', async () => {
  const test = await createTestDatabase();
  const { rows } = await test.query<{ at: string[] }>(
    `SELECT ARRAY(SELECT to_char(now() AT TIME ZONE 'Asia/Tokyo' + hours * interval '1 hour', 'HH24:MI')
       FROM unnest(ARRAY[-2, -1, 1, 2]) AS hours) AS at`,
  );
  const [before2 = '', before1 = '', after1 = '', after2 = ''] = rows[0]?.at ?? [];
  const commandOf = (from: string, to: string) => {
    const window = { from, to, timeZone: 'Asia/Tokyo' };
    return cronJobs('public', { ...recommendedPolicy, window }).map(({ command }) => command);
  };
  for (const [from, to, calls] of [
    [after1, after2, 0],
    [before2, before1, 0],
    [before1, after1, 1],
    [after2, after1, 1],
  ] as const) {
    for (const command of commandOf(from, to)) {
      const { rowCount } = await test.query(command);
      expect(rowCount, command).toBe(calls);
    }
  }
});

it('says what is missing where pg_cron is not', async () => {
  const test = await createTestDatabase();
  const { exitCode, stderr } = await runCli(['maintain', 'schedule', '--url', test.url]);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/trace-console maintain --url \S+ --once/);
});
