import { describe, expect, it } from 'vitest';
import { openForMs, untilClosed } from '../../../src/maintenance/retention/policy.js';
import { runAction } from '../../../src/maintenance/registry.js';
import { openConsole } from '../../deploy/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';

const hour = 3_600_000;

/** A database with ten traces of 100 days and two of one day. */
async function filled(): Promise<TestDatabase> {
  const test = await createTestDatabase();
  await test.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT id, id, id, 'test', 'completed', now() - make_interval(days => CASE WHEN n <= 10 THEN 100 ELSE 1 END)
     FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 12) AS n) AS ids`,
  );
  return test;
}

async function count(test: TestDatabase, table: string): Promise<number> {
  const { rows } = await test.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return rows[0]?.n ?? -1;
}

describe('the daily window', () => {
  it('is open from its beginning to its end, over midnight too', () => {
    expect(openForMs(1 * hour, 5 * hour, 1 * hour)).toBe(4 * hour);
    expect(openForMs(1 * hour, 5 * hour, 5 * hour - 1)).toBe(1);
    expect(openForMs(1 * hour, 5 * hour, 5 * hour)).toBe(0);
    expect(openForMs(1 * hour, 5 * hour, 0)).toBe(0);
    expect(openForMs(22 * hour, 4 * hour, 23 * hour)).toBe(5 * hour);
    expect(openForMs(22 * hour, 4 * hour, 1 * hour)).toBe(3 * hour);
    expect(openForMs(22 * hour, 4 * hour, 12 * hour)).toBe(0);
  });
});

describe('the end of the daily window', () => {
  it('stops every step, and so does the person', async () => {
    const closing = untilClosed(new AbortController().signal, 20);
    expect(closing.aborted).toBe(false);
    await expect.poll(() => closing.aborted).toBe(true);
    const cancel = new AbortController();
    const open = [untilClosed(cancel.signal, hour), untilClosed(cancel.signal, Infinity)];
    expect(open.map(({ aborted }) => aborted)).toEqual([false, false]);
    cancel.abort();
    expect(open.map(({ aborted }) => aborted)).toEqual([true, true]);
  });
});

describe('trace-console maintain policy', () => {
  it('stores what is named, keeps the rest, shows and clears it', async () => {
    const test = await createTestDatabase();
    const run = (...args: string[]) =>
      runCli(['maintain', 'policy', ...args, '--url', test.url, '--json']);
    expect(JSON.parse((await run()).stdout)).toEqual({ policy: null });
    expect((await run('set', '--archive-after', '60d')).exitCode).toBe(4);
    expect((await run('set', '--archive-after', '60d', '--yes')).exitCode).toBe(0);
    const set = await run(
      ...['set', '--prune-usage-after', '26w', '--between', '22:30-04:00'],
      ...['--time-zone', 'Europe/Berlin', '--yes'],
    );
    const expected = {
      archiveAfter: '60 days',
      purgeAfter: null,
      pruneUsageAfter: '182 days',
      prunePatternsAfter: null,
      refreshAfter: null,
      window: { from: '22:30', to: '04:00', timeZone: 'Europe/Berlin' },
    };
    expect(JSON.parse(set.stdout)).toEqual(expected);
    expect(JSON.parse((await run('show')).stdout)).toMatchObject({ policy: expected });
    const text = await runCli(['maintain', 'policy', '--url', test.url]);
    expect(text.stdout).toContain('archived when older than 60 days');
    expect(text.stdout).toContain('22:30 to 04:00 (Europe/Berlin)');
    for (const wrong of [
      ['set', '--between', '5-9'],
      ['set', '--between', '01:00-02:00', '--time-zone', 'Mars/Base'],
    ]) {
      expect((await run(...wrong, '--yes')).exitCode, wrong.join(' ')).toBe(2);
    }
    expect((await run('clear', '--yes')).exitCode).toBe(0);
    expect(JSON.parse((await run()).stdout)).toEqual({ policy: null });
  });
});

describe('trace-console maintain --once', () => {
  it('carries the policy out without a question, and enters it in the journal', async () => {
    const test = await filled();
    const run = (...args: string[]) => runCli(['maintain', ...args, '--url', test.url]);
    expect(await run('--once')).toMatchObject({ exitCode: 2 });
    await test.query(
      `WITH pattern AS (
         INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, failure_count, total_usage_count, last_used_at)
         VALUES ('poor', 'test', 1, 3, 4, now() - interval '60 days') RETURNING id)
       INSERT INTO pattern_usage_log (pattern_id, used_at) SELECT id, now() - interval '300 days' FROM pattern`,
    );
    // Of the pattern nothing is said: it stays.
    await run(
      ...['policy', 'set', '--archive-after', '90d', '--prune-usage-after', '180d', '--yes'],
    );
    const dry = await run('--once', '--dry-run');
    expect(dry).toMatchObject({ exitCode: 0 });
    expect(dry.stdout).toContain('10 at most');
    expect(await count(test, 'execution_traces')).toBe(12);
    expect((await run('--once', '--read-only')).exitCode).toBe(4);
    const done = await run('--once', '--json');
    expect(done.exitCode).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({
      ok: true,
      steps: [
        {
          action: 'archive',
          state: 'done',
          result: { moved: { execution_traces: 10 }, remaining: 0 },
        },
        { action: 'prune', state: 'done', result: { usageLogs: 1, patterns: 0 } },
        { action: 'analyze', state: 'done' },
      ],
    });
    expect(await count(test, 'pattern_usage_log')).toBe(0);
    expect(await count(test, 'success_patterns')).toBe(1);
    expect(await count(test, 'execution_traces')).toBe(2);
    const { rows } = await test.query(
      'SELECT action, state FROM trace_console.maintenance_runs ORDER BY id DESC LIMIT 4',
    );
    expect(rows).toEqual([
      { action: 'analyze', state: 'done' },
      { action: 'prune', state: 'done' },
      { action: 'archive', state: 'done' },
      { action: 'maintain', state: 'done' },
    ]);
    expect(JSON.parse((await run('--once', '--json')).stdout)).toEqual({ ok: true, steps: [] });

    // Archived traces are purged only when the policy says so.
    const early = await run('policy', 'set', '--purge-after', '90d', '--yes');
    expect(early).toMatchObject({ exitCode: 2 });
    expect(await count(test, 'execution_traces_archive')).toBe(10);
    await run('policy', 'set', '--purge-after', '95d', '--yes');
    const purged = JSON.parse((await run('--once', '--json')).stdout) as { steps: object[] };
    expect(purged.steps).toMatchObject([
      { action: 'archive', state: 'nothing' },
      { action: 'purge', state: 'done', result: { deleted: { execution_traces: 10 } } },
      { action: 'prune', state: 'nothing' },
      { action: 'analyze', state: 'done' },
    ]);
    expect(await count(test, 'execution_traces_archive')).toBe(0);
  });

  it('keeps to its time of day, unless told otherwise', async () => {
    const test = await filled();
    const run = (...args: string[]) => runCli(['maintain', ...args, '--url', test.url]);
    // A window that begins in two hours, by the server's clock.
    const { rows } = await test.query<{ window: string }>(
      `SELECT to_char(now() AT TIME ZONE 'UTC' + interval '2 hours', 'HH24:MI') || '-' ||
              to_char(now() AT TIME ZONE 'UTC' + interval '3 hours', 'HH24:MI') AS window`,
    );
    const between = rows[0]?.window ?? '';
    await run('policy', 'set', '--archive-after', '90d', '--between', between, '--yes');
    const outside = await run('--once');
    expect(outside).toMatchObject({ exitCode: 0 });
    expect(outside.stdout).toContain('outside the policy’s time');
    expect(await count(test, 'execution_traces')).toBe(12);
    expect((await run('--once', '--any-time')).exitCode).toBe(0);
    expect(await count(test, 'execution_traces')).toBe(2);
  });

  it('leaves the work to the one that is at it, and tells a step that failed', async () => {
    const test = await filled();
    const run = (...args: string[]) => runCli(['maintain', ...args, '--url', test.url]);
    await run('policy', 'set', '--archive-after', '90d', '--yes');
    const database = await openConsole(test.url);
    const other = runAction('maintain', { database, signal: new AbortController().signal }, {});
    // Its first progress: it is in the journal, and waits to be read on.
    await other.next();
    const busy = await run('--once');
    expect(busy).toMatchObject({ exitCode: 4 });
    expect(busy.stderr).toContain('Carry out the retention policy');
    await other.return(undefined as never);
    await database.close();
    await test.query('DROP FUNCTION archive_traces');
    const failed = await run('--once', '--json');
    expect(failed.exitCode).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({
      ok: false,
      steps: [{ action: 'archive', state: 'failed' }],
    });
  });
});
