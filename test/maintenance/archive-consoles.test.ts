import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import { expect, it } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { contents } from '../schema/helpers/trace-rows.js';
import { fillDueTraces } from './helpers.js';

type RunRow = { state: string; client_pid: number; moved: number | null };

async function runs(test: TestDatabase): Promise<RunRow[]> {
  const { rows } = await test.query<{ journal: string | null }>(
    `SELECT to_regclass('trace_console.maintenance_runs')::text AS journal`,
  );
  if (!rows[0]?.journal) return [];
  const found = await test.query<RunRow>(
    `SELECT state, client_pid, (progress->>'done')::int AS moved FROM trace_console.maintenance_runs ORDER BY id`,
  );
  return found.rows;
}

/** What fifteen seconds without a sign of life do to the runs of a killed process. */
async function letLeaseRunOut(test: TestDatabase, pid: number | undefined): Promise<void> {
  if ((await runs(test)).length === 0) return;
  await test.query(
    `UPDATE trace_console.maintenance_runs SET lease_until = clock_timestamp() - interval '1 s'
     WHERE state = 'running' AND client_pid = $1`,
    [pid],
  );
}

function archive(test: TestDatabase, pauseMs: number, ...more: string[]) {
  let child: ChildProcess | undefined;
  const args = ['archive', '--older-than', '90d', '--yes', '--pause', String(pauseMs), ...more];
  const result = runCli([...args, '--url', test.url], { onStart: (started) => (child = started) });
  return { result, process: () => child };
}

it('of two consoles one archives; the other says who does, shows how far, and ends with it', async () => {
  const test = await createTestDatabase();
  await fillDueTraces(test, 2_500);
  const before = await contents(test);
  // Long enough for the second to start on a busy machine, and to hear of the first batch from the journal,
  // where it stands with the next sign of life (5 s).
  const first = archive(test, 9_000);
  const left = async () =>
    (await test.query<{ n: number }>('SELECT count(*)::int AS n FROM execution_traces')).rows[0]?.n;
  await expect.poll(left, { timeout: 30_000, interval: 50 }).toBe(1_500);
  const second = await archive(test, 0).result;
  expect(second).toMatchObject({ exitCode: 0 });
  expect(second.stderr).toMatch(
    /moving traces: 1,000 of 2,500 traces \(40 %\).*waits for \S+ \(\S+@.*\), who is at it since [\d:]+ \(run 1\)/,
  );
  expect(second.stdout).toMatch(
    /Note: \S+ \(.* is at "Archive old traces \(older than 90 days\)" since/,
  );
  expect(second.stdout).toMatch(/did it \(run 1\): Archived 2,500 traces and 5,000 rows/);
  expect((await first.result).stdout).toMatch(/^Archived 2,500 traces/m);
  expect(await runs(test)).toMatchObject([{ state: 'done' }]);
  expect(await contents(test)).toEqual(before);
}, 60_000);

it('consoles killed at ten random moments lose and double nothing, and a rerun finishes', async () => {
  const test = await createTestDatabase();
  await fillDueTraces(test, 8_000);
  const before = await contents(test);
  // Five batches with pauses between them: they go on for longer than the kills.
  const pauseMs = 1_500;
  const consoles = [archive(test, pauseMs), archive(test, pauseMs)];
  const atWork = async () => {
    const pid = (await runs(test)).find(({ state }) => state === 'running')?.client_pid;
    return pid === undefined ? -1 : consoles.findIndex(({ process }) => process()?.pid === pid);
  };
  // The first kill hits the one at work, so that there is a crashed run; on a slow machine the others may come too early.
  await expect.poll(atWork, { timeout: 60_000, interval: 50 }).not.toBe(-1);
  for (let kills = 0; kills < 10; kills += 1) {
    await sleep(Math.random() * (kills === 0 ? 400 : 900));
    const at = kills === 0 ? await atWork() : Math.floor(Math.random() * 2);
    const victim = consoles[at];
    const process = victim?.process();
    process?.kill('SIGKILL');
    await victim?.result;
    await letLeaseRunOut(test, process?.pid);
    consoles[at] = archive(test, pauseMs);
  }
  const ends = await Promise.all(consoles.map(({ result }) => result));
  for (const { exitCode, stderr } of ends)
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  const last = await archive(test, 0, '--json').result;
  expect(JSON.parse(last.stdout)).toMatchObject({ nothing: 'No trace is older than 90 days.' });
  expect(await contents(test)).toEqual(before);
  const { rows } = await test.query(
    `SELECT (SELECT count(*) FROM execution_traces)::int AS live,
       (SELECT count(*) FROM hook_executions_archive)::int AS hooks`,
  );
  expect(rows).toEqual([{ live: 0, hooks: 8_000 }]);
  const states = (await runs(test)).map(({ state }) => state);
  expect(new Set(states)).not.toContain('running');
  expect(states).toContain('crashed');
}, 120_000);
