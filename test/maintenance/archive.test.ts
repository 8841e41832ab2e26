import { describe, expect, it } from 'vitest';
import { ConsoleError, type ErrorCode } from '../../src/db/errors.js';
import {
  nextSize,
  sizeAfterFailure,
  archivePreview,
  countDue,
} from '../../src/maintenance/archive/move-batch.js';
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
    await test.query(`UPDATE execution_traces SET started_at = '-infinity'
      WHERE id = (SELECT id FROM execution_traces ORDER BY started_at LIMIT 1)`);
    const endless = await previewAction('archive', context, { olderThan: '90 days' });
    expect(endless.facts[2]?.value).toMatch(/^before all time to \d{4}-/);
    await test.query(`DELETE FROM execution_traces WHERE started_at = '-infinity'`);
    const none = await previewAction('archive', context, { olderThan: '200 days' });
    expect(none.nothing).toBe('No trace is older than 200 days.');
    expect(await counts(test)).toEqual([34, 0, 34, 0, 34, 0]);
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

  it('passes over a trace to whose hook somebody writes, and moves the rest', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 3, 0);
    const database = await openConsole(test.url);
    const other = await test.pool.connect();
    await other.query(`BEGIN; UPDATE hook_executions SET hook_name = 'mine' WHERE id = (
      SELECT h.id FROM hook_executions h JOIN execution_traces t ON t.id = h.trace_id
      ORDER BY t.started_at, t.id DESC LIMIT 1)`);
    const { signal } = new AbortController();
    const { progress, outcome } = await collect(
      runAction('archive', { database, signal }, { olderThan: '90 days' }),
      // The locked one comes first: two can only be moved when it was passed over.
      async ({ done }) => done === 2 && (await other.query('COMMIT')),
    );
    other.release();
    expect(progress.some(({ blockedBy }) => blockedBy?.includes('has locked'))).toBe(true);
    expect(outcome.result).toMatchObject({ skipped: { locked: 0 }, remaining: 0 });
    expect(await counts(test)).toEqual([0, 3, 0, 3, 0, 3]);
    await database.close();
  }, 60_000);

  it('waits for the short batch of another archiver', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 10, 0);
    const database = await openConsole(test.url);
    const other = await test.pool.connect();
    await other.query(`BEGIN; SELECT * FROM archive_traces('90 days', 4)`);
    const { signal } = new AbortController();
    const archiving = collect(runAction('archive', { database, signal }, { olderThan: '90 days' }));
    await expect
      .poll(async () => {
        const { rows } = await test.query(
          `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        );
        return rows.length;
      })
      .toBe(1);
    await other.query('COMMIT');
    other.release();
    expect((await archiving).outcome.result.moved).toMatchObject({ execution_traces: 6 });
    await database.close();
  });

  it('adapts its batches to the time target, but not under what is worth its costs', () => {
    expect(nextSize(1_000, 100, 200)).toBe(2_000);
    expect(nextSize(1_000, 10, 200)).toBe(2_000);
    expect(nextSize(4_000, 10, 200)).toBe(5_000);
    expect(nextSize(4_000, 1_600, 200)).toBe(2_000);
    expect(nextSize(4_000, 800, 200)).toBe(2_000);
    // A machine on which 1,000 take long: a second at most.
    expect(nextSize(2_000, 900, 200)).toBe(2_000);
    expect(nextSize(2_000, 2_500, 200)).toBe(1_000);
    expect(nextSize(1_000, 9_000, 200)).toBe(500);
    expect(nextSize(111, 1_000, 200)).toBe(111);
    expect(nextSize(10, 10_000, 200)).toBe(5);
    expect(nextSize(1, 60_000, 200)).toBe(1);
    expect(nextSize(100, 10, 200)).toBe(200);
  });

  it('makes whole batches smaller for those who wait for its rows', () => {
    expect(nextSize(3_777, 200, 200, 1)).toBe(1_889);
    expect(nextSize(800, 200, 200, 2)).toBe(500);
    expect(nextSize(300, 900, 200, 1)).toBe(300);
  });

  it('tries fewer traces where a batch takes too long or meets locked rows', () => {
    const failure = (code: ErrorCode) => new ConsoleError(code, 'as it may be');
    expect(sizeAfterFailure(1_000, failure('statement_timeout'))).toBe(100);
    expect(sizeAfterFailure(15, failure('statement_timeout'))).toBe(2);
    expect(sizeAfterFailure(1, failure('statement_timeout'))).toBeUndefined();
    expect(sizeAfterFailure(1_000, failure('lock_timeout'))).toBe(1);
    const deadlock = new ConsoleError('query_failed', 'deadlock detected', { sqlState: '40P01' });
    expect(sizeAfterFailure(1_000, deadlock)).toBe(1);
    expect(sizeAfterFailure(1, failure('lock_timeout'))).toBeUndefined();
    expect(sizeAfterFailure(1_000, failure('query_failed'))).toBeUndefined();
  });
});

describe('the count of what is due', () => {
  it('is given up when it takes too long, and an estimate is called one', async () => {
    const test = await createTestDatabase();
    await fillDueTraces(test, 2);
    // Every row takes its time.
    await test.query(
      `ALTER TABLE execution_traces RENAME TO quick;
       CREATE VIEW execution_traces AS SELECT * FROM quick WHERE pg_sleep(0.3) IS NOT NULL`,
    );
    const database = await openConsole(test.url);
    const due = await countDue(database, '90 days', undefined, 100);
    expect(due).toMatchObject({ traces: null, oldest: expect.any(Date) as Date });
    const { facts, nothing } = await archivePreview(database, '90 days', 100);
    expect(nothing).toBeUndefined();
    expect(facts[0]?.value).toMatch(/^about \d+, estimated: too many to be counted in 100ms$/);
    expect(await countDue(database, '90 days')).toMatchObject({ traces: 2 });
    await database.close();
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
