import { describe, expect, it } from 'vitest';
import { nextSize } from '../../src/maintenance/archive/archive-traces.js';
import { previewAction, runAction } from '../../src/maintenance/registry.js';
import { openConsole } from '../deploy/helpers.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { collect, fillDueTraces } from './helpers.js';

async function counts(test: TestDatabase): Promise<number[]> {
  const { rows } = await test.query<{ n: number[] }>(
    `SELECT ARRAY[(SELECT count(*) FROM execution_traces), (SELECT count(*) FROM execution_traces_archive),
       (SELECT count(*) FROM hook_executions), (SELECT count(*) FROM hook_executions_archive),
       (SELECT count(*) FROM endpoint_calls), (SELECT count(*) FROM endpoint_calls_archive)]::int[] AS n`,
  );
  return rows[0]?.n ?? [];
}

describe('archiving', () => {
  it('moves what is due with all that belongs to it, in batches, and tells how far it is', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 2_500, 100);
    const database = await openConsole(test.url);
    const { signal } = new AbortController();
    const { progress, outcome } = await collect(
      runAction('archive', { database, signal }, { olderThan: '90 days', pauseMs: 0 }),
    );
    expect(outcome).toMatchObject({
      cancelled: false,
      result: {
        moved: {
          execution_traces: 2_500,
          agent_routing_decisions: 0,
          hook_executions: 2_500,
          endpoint_calls: 2_500,
        },
        skipped: { tooYoung: 0, inProgress: 0, locked: 0 },
        remaining: 0,
      },
    });
    expect(progress[0]).toMatchObject({ done: 0, total: 2_500, unit: 'traces' });
    expect(progress.at(-1)).toMatchObject({ done: 2_500, total: 2_500, secondsLeft: 0 });
    expect(progress.length).toBeGreaterThan(2);
    expect(await counts(test)).toEqual([100, 2_500, 100, 2_500, 100, 2_500]);
    await database.close();
  });

  it('previews the rows and the time span, and says so when nothing is due', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 30, 5);
    const database = await openConsole(test.url);
    const context = { database, signal: new AbortController().signal };
    const preview = await previewAction('archive', context, { olderThan: '90 days' });
    expect(preview.facts[0]).toEqual({ label: 'Traces due', value: '30 at most' });
    expect(preview.sql[0]).toContain("archive_traces('90 days'");
    const none = await previewAction('archive', context, { olderThan: '200 days' });
    expect(none.nothing).toBe('No trace is older than 200 days.');
    expect(await counts(test)).toEqual([35, 0, 35, 0, 35, 0]);
    await database.close();
  });

  it('stops between two batches when cancelled, and a rerun finishes', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 3_000, 0);
    const database = await openConsole(test.url);
    const cancel = new AbortController();
    const first = await collect(
      runAction('archive', { database, signal: cancel.signal }, { olderThan: '90 days' }),
      ({ done }) => {
        if (done) cancel.abort();
      },
    );
    expect(first.outcome.cancelled).toBe(true);
    const moved = first.outcome.result.moved.execution_traces;
    expect(moved).toBeGreaterThan(0);
    expect(first.outcome.result.remaining).toBe(3_000 - moved);
    const rest = await collect(
      runAction(
        'archive',
        { database, signal: new AbortController().signal },
        { olderThan: '90 days' },
      ),
    );
    expect(rest.outcome.result).toMatchObject({ remaining: 0 });
    expect(await counts(test)).toEqual([0, 3_000, 0, 3_000, 0, 3_000]);
    await database.close();
  });

  it('says who is at it when another session archives', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 10, 0);
    const database = await openConsole(test.url);
    const other = await test.pool.connect();
    await other.query('BEGIN');
    await other.query(`SELECT * FROM archive_traces('90 days', 1)`);
    await expect(
      collect(
        runAction(
          'archive',
          { database, signal: new AbortController().signal },
          { olderThan: '90 days' },
        ),
      ),
    ).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringMatching(/another session \(pid \d+, /) as string,
    });
    await other.query('ROLLBACK');
    other.release();
    await database.close();
  });

  it('adapts its batches to the time target, within bounds', () => {
    expect(nextSize(1_000, 100, 200)).toBe(2_000);
    expect(nextSize(1_000, 10, 200)).toBe(2_000);
    expect(nextSize(1_000, 400, 200)).toBe(500);
    expect(nextSize(1_000, 9_000, 200)).toBe(500);
    expect(nextSize(500, 9_000, 200)).toBe(500);
    expect(nextSize(4_000, 10, 200)).toBe(5_000);
  });
});

describe('trace-console archive', () => {
  it('asks before it changes anything, shows a dry run, and prints its result as JSON', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 40, 2);
    const run = (...args: string[]) => runCli(['archive', ...args, '--url', test.url]);
    const refused = await run();
    expect(refused).toMatchObject({ exitCode: 4 });
    expect(refused.stderr).toContain('--yes');
    const dry = await run('--dry-run', '--older-than', '90d');
    expect(dry.exitCode).toBe(0);
    expect(dry.stdout).toContain('40 at most');
    expect(await counts(test)).toEqual([42, 0, 42, 0, 42, 0]);
    const done = await run('--yes', '--json');
    expect(JSON.parse(done.stdout)).toMatchObject({
      moved: { execution_traces: 40, hook_executions: 40, endpoint_calls: 40 },
      remaining: 0,
    });
    expect((await run('--older-than', '90 fortnights')).exitCode).toBe(2);
    expect((await run('--yes', '--read-only')).exitCode).toBe(4);
    expect(await counts(test)).toEqual([2, 40, 2, 40, 2, 40]);
  });
});
