import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import { openConsole } from '../../deploy/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { collect } from '../helpers.js';

let test: TestDatabase;

/** 1,200 patterns that are due and 10 that are not, each with a log of today; 700 old logs. */
beforeEach(async () => {
  test = await createTestDatabase();
  await test.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, failure_count,
       total_usage_count, last_used_at)
     SELECT 'pattern ' || n, 'intent', 0, 1, CASE WHEN n <= 1200 THEN 1 ELSE 9 END, now() - interval '40 days'
     FROM generate_series(1, 1210) AS n;
     INSERT INTO pattern_usage_log (pattern_id, used_at) SELECT id, now() FROM success_patterns;
     INSERT INTO pattern_usage_log (pattern_id, used_at)
     SELECT id, now() - interval '200 days' FROM success_patterns, generate_series(1, 70)
     WHERE total_usage_count = 9`,
  );
});

async function counts(): Promise<object | undefined> {
  const { rows } = await test.query<object>(
    `SELECT (SELECT count(*)::int FROM success_patterns) AS patterns,
       (SELECT count(*)::int FROM pattern_usage_log) AS logs`,
  );
  return rows[0];
}

async function open(): Promise<Database> {
  const database = await openConsole(test.url);
  onTestFinished(() => database.close());
  return database;
}

describe('pruning patterns', () => {
  it('shows what is due by the rules, deletes exactly that in batches, and says how far it is', async () => {
    const context = { database: await open(), signal: new AbortController().signal };
    const preview = await previewAction('prune', context, {});
    expect(preview.typed).toBe('prune');
    expect(preview.facts.slice(0, 3).map(({ value }) => value.split(' ')[0])).toEqual([
      '700',
      '1,200',
      '1,200',
    ]);
    expect(preview.list).toHaveLength(21);
    expect(preview.list?.[0]).toMatch(/^[^:]+: 1 use, 0 good, unused for 40 days; /);
    expect(preview.list?.at(-1)).toBe('and 1,180 more');
    expect(await counts()).toEqual({ patterns: 1_210, logs: 1_910 });
    const { progress, outcome } = await collect(runAction('prune', context, {}));
    expect(outcome.result).toEqual({ usageLogs: 700, patterns: 1_200, usageLogsOfPatterns: 1_200 });
    expect(progress.at(-1)).toMatchObject({ done: 1_900, total: 1_900, unit: 'rows' });
    expect(progress.length).toBeGreaterThan(2);
    expect(await counts()).toEqual({ patterns: 10, logs: 10 });
    expect((await previewAction('prune', context, {})).nothing).toBeDefined();
  });

  it('stops between two batches when cancelled', async () => {
    const cancel = new AbortController();
    const { outcome } = await collect(
      runAction('prune', { database: await open(), signal: cancel.signal }, {}),
      ({ done }) => (done ? cancel.abort() : undefined),
    );
    expect(outcome).toMatchObject({ cancelled: true, result: { usageLogs: 500, patterns: 500 } });
    expect(await counts()).toMatchObject({ patterns: 710 });
  });

  it('as a command takes other rules, counts in a dry run, and wants a yes', async () => {
    const prune = (...args: string[]) => runCli(['prune', ...args, '--url', test.url]);
    expect((await prune()).exitCode).toBe(4);
    const dry = await prune('--dry-run', '--unused-for', '60d', '--usage-older-than', '210d');
    expect(dry.stdout).toContain('Nothing to do');
    expect((await prune('--min-success', '2')).exitCode).toBe(2);
    const done = await prune('--yes', '--json', '--min-uses', '10');
    expect(JSON.parse(done.stdout)).toMatchObject({ patterns: 1_210 });
    expect(await counts()).toEqual({ patterns: 0, logs: 0 });
  });
});
