import { describe, expect, it } from 'vitest';
import { severities } from '../../../src/maintenance/doctor/check.js';
import { checks, type CheckResult } from '../../../src/maintenance/doctor/checks.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase } from '../../helpers/database.js';

type Report = { ok: boolean; checks: CheckResult[] };

describe('trace-console doctor', () => {
  it('lists every check, the worst first, as JSON and as a table, and changes nothing', async () => {
    const test = await createTestDatabase();
    await test.query('CREATE INDEX "evil\u001b[2Jname" ON error_patterns (error_type)');
    const run = (...args: string[]) =>
      runCli(['doctor', '--url', test.url, '--read-only', ...args]);
    const json = await run('--json');
    const report = JSON.parse(json.stdout) as Report;
    expect(report.checks.map(({ id }) => id).sort()).toEqual(checks.map(({ id }) => id).sort());
    const ranks = report.checks.map(({ severity }) => severities.indexOf(severity));
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    // A duplicate index is a warning.
    expect(report.ok).toBe(false);
    expect(json.exitCode).toBe(1);
    const text = await run();
    expect(text.exitCode).toBe(1);
    expect(text.stdout).toContain('Duplicate indexes');
    expect(text.stdout).toContain('→ Drop the one that is covered.');
    expect(text.stdout).not.toContain('\u001b');
    await test.query('DROP INDEX "evil\u001b[2Jname"');
    expect(await run()).toMatchObject({ exitCode: 0 });
  });

  it('asks only what is named, and knows what it does not know', async () => {
    const test = await createTestDatabase();
    const run = (...args: string[]) => runCli(['doctor', '--url', test.url, ...args]);
    const { stdout, exitCode } = await run('--check', 'schema', '--check', 'pgvector', '--json');
    expect((JSON.parse(stdout) as Report).checks.map(({ id }) => id)).toEqual([
      'schema',
      'pgvector',
    ]);
    expect(exitCode).toBe(0);
    const unknown = await run('--check', 'horoscope');
    expect(unknown).toMatchObject({ exitCode: 2 });
    expect(unknown.stderr).toContain('hint: Checks: schema, pgvector');
  });

  it('goes on past a locked table, and says what it could not look at', async () => {
    const test = await createTestDatabase();
    const locker = await test.pool.connect();
    await locker.query('BEGIN; LOCK TABLE execution_traces IN ACCESS EXCLUSIVE MODE');
    const { stdout } = await runCli(['doctor', '--url', test.url, '--json']);
    await locker.query('ROLLBACK');
    locker.release();
    const report = JSON.parse(stdout) as Report;
    expect(report.checks).toHaveLength(checks.length);
    expect(report.checks.find(({ id }) => id === 'retention')).toMatchObject({
      severity: 'skipped',
      evidence: expect.stringMatching(/^could not be read: /) as string,
    });
    expect(report.checks.find(({ id }) => id === 'pgvector')).toMatchObject({ severity: 'good' });
  });
});
