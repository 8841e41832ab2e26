import { expect, it } from 'vitest';
import { cronJobs } from '../../../src/maintenance/retention/schedule.js';
import { recommendedPolicy } from '../../../src/maintenance/retention/policy.js';
import { createTestDatabase } from '../../helpers/database.js';
import { fillDueTraces } from '../helpers.js';

const policy = { ...recommendedPolicy, archiveAfter: '90 days' };

it('the archive job gets past the oldest traces when all of a batch must stay', async () => {
  const test = await createTestDatabase();
  await fillDueTraces(test, 7);
  // A tree that is as old as it is alive: more traces than two batches hold, and one of today.
  await test.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT gen_random_uuid(), '00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'test', 'completed',
       now() - CASE WHEN n = 0 THEN interval '0' ELSE interval '200 days' END
     FROM generate_series(0, 10100) AS n`,
  );
  const archived = async () =>
    (await test.query<{ n: number }>('SELECT count(*)::int AS n FROM execution_traces_archive'))
      .rows[0]?.n;
  for (const { command } of cronJobs('public', policy)) await test.query(command);
  expect(await archived()).toBe(7);
  // Nothing is left to do: it ends all the same.
  for (const { command } of cronJobs('public', policy)) await test.query(command);
  expect(await archived()).toBe(7);
});

it.each([
  [1, '*/1 * * * *'],
  [17, '*/15 * * * *'],
  [59, '*/30 * * * *'],
  [60, '7 */1 * * *'],
  [300, '7 */4 * * *'],
  [2_880, '7 3 * * *'],
])('a copy that may be %i minutes old is refreshed at %s', (minutes, schedule) => {
  const jobs = cronJobs('public', { ...policy, window: null }, ['a', 'b"c'], minutes);
  expect(jobs.at(-1)).toEqual({
    name: 'trace-console refresh public',
    schedule,
    command:
      'REFRESH MATERIALIZED VIEW CONCURRENTLY "trace_console"."a"; REFRESH MATERIALIZED VIEW CONCURRENTLY "trace_console"."b""c";',
  });
});
