import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StatusJson } from '../../src/cli/status-report.js';
import { overviewPaneIds, paneIds } from '../../src/panes/registry.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, prompt_text)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test',
       (ARRAY['completed', 'failed', 'in_progress'])[1 + i % 3], now() - i * interval '1 minute',
       E'evil \\x1b]0;title\\x07 prompt ' || i
     FROM generate_series(1, 50) AS i`,
  );
});

async function statusJson(args: readonly string[] = []) {
  const { stdout, stderr, exitCode } = await runCli([
    'status',
    '--json',
    '--url',
    database.url,
    ...args,
  ]);
  expect(stderr).toBe('');
  return { report: JSON.parse(stdout) as StatusJson, exitCode };
}

describe('status --json', () => {
  it('has the database and the panes of the overview with when, cost, rows and error', async () => {
    const { report, exitCode } = await statusJson();
    expect(exitCode).toBe(0);
    expect(report.database).toMatchObject({
      name: database.name,
      schema: 'public',
      source: '--url',
    });
    expect(Object.keys(report.panes)).toEqual([...overviewPaneIds]);
    for (const pane of Object.values(report.panes)) {
      expect(pane).toMatchObject({ error: null, rows: expect.any(Array) as unknown });
      expect(typeof pane.costMs).toBe('number');
      expect(new Date(String(pane.asOf)).getTime()).toBeGreaterThan(Date.now() - 60_000);
    }
  });

  it('counts traces by status as plain SQL does, with series, running and stuck', async () => {
    const { report } = await statusJson(['--pane', 'recent-traces', '--window', '1d']);
    const { rows } = await database.query<{ status: string; count: number }>(
      'SELECT status, count(*)::int AS count FROM execution_traces GROUP BY status',
    );
    const pane = report.panes['recent-traces'] as unknown as {
      rows: { status: string; count: number }[];
      series: { started: number }[];
      running: number;
      stuck: { ageMs: number }[];
    };
    const plain = Object.fromEntries(rows.map(({ status, count }) => [status, count]));
    expect(Object.fromEntries(pane.rows.map(({ status, count }) => [status, count]))).toEqual(
      plain,
    );
    expect(pane.series.reduce((sum, { started }) => sum + started, 0)).toBe(50);
    expect(pane.running).toBe(plain.in_progress);
    expect(pane.stuck.length).toBeGreaterThan(0);
    expect(pane.stuck.every(({ ageMs }) => ageMs >= 30 * 60_000)).toBe(true);
  });

  it('reads only the panes that are named', async () => {
    const { report } = await statusJson(['--pane', 'activity', '--pane', 'table-sizes']);
    expect(Object.keys(report.panes)).toEqual(['activity', 'table-sizes']);
  });

  it('reads every pane there is with --all', async () => {
    const { report, exitCode } = await statusJson(['--all']);
    expect(Object.keys(report.panes)).toEqual([...paneIds]);
    expect(exitCode).toBe(0);
  });

  it('says which pane could not be read, prints the others, and exits with 1', async () => {
    const locker = new pg.Client({ connectionString: database.url });
    await locker.connect();
    try {
      await locker.query('BEGIN; LOCK TABLE hook_executions IN ACCESS EXCLUSIVE MODE');
      const { report, exitCode } = await statusJson();
      expect(exitCode).toBe(1);
      const failed = Object.entries(report.panes).filter(([, { error }]) => error !== null);
      expect(failed.map(([id]) => id)).toEqual(['slow-hooks']);
      expect(failed[0]?.[1].error).toMatchObject({ code: 'lock_timeout' });
    } finally {
      await locker.end();
    }
  });

  it('prints one object a line with --watch, until it is interrupted', async () => {
    const { stdout, exitCode } = await runCli(
      ['status', '--url', database.url, '--pane', 'recent-traces', '--json', '--watch', '0.5'],
      {
        onStart: (child) => {
          let lines = 0;
          child.stdout?.on('data', (text: string) => {
            lines += text.split('\n').length - 1;
            if (lines >= 3) child.kill('SIGINT');
          });
        },
      },
    );
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as StatusJson);
    expect(reports.length).toBeGreaterThanOrEqual(3);
    expect(reports.every(({ panes }) => panes['recent-traces']?.error === null)).toBe(true);
    expect(exitCode).toBe(0);
  });
});

describe('status as text', () => {
  it('is plain: a table a pane, and no control character whatever the rows hold', async () => {
    const { stdout, exitCode } = await runCli(['status', '--url', database.url]);
    expect(exitCode).toBe(0);
    for (const title of [
      'RECENT TRACES',
      'SLOW HOOKS',
      'INDEX USAGE',
      'TABLE SIZES',
      'TOP PATTERNS',
      'ACTIVITY',
    ]) {
      expect(stdout).toContain(title);
    }
    expect(stdout).toMatch(/completed\s+16\s+32%/);
    // eslint-disable-next-line no-control-regex -- that there are none is the point
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });

  it('says what is missing in a database without the schema', async () => {
    const empty = await createTestDatabase({ schema: false });
    const { stdout, exitCode } = await runCli(['status', '--url', empty.url]);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('execution_traces does not exist in the schema "public".');
    expect(stdout).toContain('trace-console schema apply');
  });

  it('shows no password', async () => {
    const { stdout } = await runCli(['status', '--url', database.url]);
    const { password } = new URL(database.url);
    if (password) expect(stdout).not.toContain(password);
  });
});

describe('status with wrong flags', () => {
  it.each([
    [['--all', '--pane', 'activity'], /Either --pane or --all/],
    [['--pane', 'nonsense'], /no pane "nonsense"[^]*recent-traces, slow-hooks/],
    [['--window', 'soon'], /--window does not take "soon"/],
    [['--window', '99999999d'], /--window does not take "99999999d"[\s\S]*10s to 366d/],
    [['--window', '5s'], /--window does not take "5s"[\s\S]*10s to 366d/],
    [['--watch', 'often'], /--watch takes seconds/],
  ])('%j', async (args, message) => {
    const { stderr, exitCode } = await runCli(['status', '--url', database.url, ...args]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
  });
});
