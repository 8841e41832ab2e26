import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkById, runChecks, type CheckResult } from '../../src/maintenance/doctor/checks.js';
import { runAction } from '../../src/maintenance/registry.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { psql } from '../helpers/psql.js';
import { deployFirstRelease } from '../deploy/first-release.js';
import { openConsole } from '../deploy/helpers.js';
import { dumpOf } from '../schema/dump.js';
import { collect } from './helpers.js';

/** Failed and completed traces with a decision each. */
const addTraces = `
WITH trace AS (
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, error_type, started_at, completed_at)
  SELECT id, id, id, 'test', CASE WHEN n % 4 = 0 THEN 'failed' ELSE 'completed' END, CASE WHEN n % 4 = 0 THEN repeat('Timeout', 1000) END,
    now() - make_interval(mins => n), now() - make_interval(mins => n) + make_interval(secs => n)
  FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 12) AS n) AS made RETURNING id
)
INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
SELECT id, 'agent-' || row_number() OVER () % 3, 0.9, 'explicit' FROM trace`;

const views = ['agent_performance', 'error_analysis', 'dashboard_summary'];

async function filled(): Promise<TestDatabase> {
  const test = await createTestDatabase();
  await test.query(addTraces);
  return test;
}

const materialize = (test: TestDatabase, ...more: string[]) =>
  runCli(['schema', 'materialize', ...more, '--url', test.url]);

/** The rows that only the view or only its copy has. */
async function differences(test: TestDatabase, view: string): Promise<number> {
  const { rows: columns } = await test.query<{ name: string }>(
    `SELECT attname::text AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0`,
    [view],
  );
  const list = columns.map(({ name }) => name).join(', ');
  const [ours, theirs] = [`trace_console.public_${view}`, view].map(
    (of) => `SELECT ${list} FROM ${of}`,
  );
  const { rows } = await test.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM ((${ours} EXCEPT ALL ${theirs}) UNION ALL (${theirs} EXCEPT ALL ${ours})) AS other`,
  );
  return rows[0]?.n ?? -1;
}

async function counts(test: TestDatabase): Promise<object | undefined> {
  const { rows } = await test.query(
    `SELECT (SELECT count(*)::int FROM information_schema.views WHERE table_schema = 'public') AS views,
       (SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relations,
       (SELECT count(*)::int FROM pg_class WHERE relkind = 'm') AS materialized`,
  );
  return rows[0];
}

async function checked(test: TestDatabase): Promise<CheckResult | undefined> {
  const database = await openConsole(test.url);
  const [result] = await runChecks(
    {
      capabilities: database.capabilities,
      database,
      transaction: (work) => database.transaction({ readOnly: true }, work),
    },
    [checkById('materialized-views')],
  );
  await database.close();
  return result;
}

describe('trace-console schema materialize', () => {
  it('copies heavy views on request, says what is missing there, refreshes them, and takes them away', async () => {
    const test = await filled();
    const before = await counts(test);
    expect(await checked(test)).toMatchObject({
      severity: 'good',
      evidence: 'No view is materialized.',
    });
    expect((await materialize(test, '--refresh')).stdout).toContain(
      'No view of the schema "public" is materialized',
    );
    const dry = await materialize(test, '--dry-run');
    expect(dry.stdout).toContain('becomes trace_console.public_agent_performance');
    expect((await materialize(test)).exitCode).toBe(4);
    expect(await counts(test)).toEqual(before);

    expect(await materialize(test, ...views, '--yes')).toMatchObject({ exitCode: 0 });
    // What the target schema holds is counted: it has the same objects as before.
    expect(await counts(test)).toEqual({ ...before, materialized: 3 });
    for (const view of views) expect(await differences(test, view), view).toBe(0);
    const again = await materialize(test, '--yes');
    expect(again.stdout).toMatch(
      /They are there: agent_performance: 3 rows, (just refreshed|refreshed \d+s ago)/,
    );

    await test.query(addTraces);
    for (const view of views) expect(await differences(test, view), view).toBeGreaterThan(0);
    const refreshed = await materialize(test, '--refresh', '--yes', '--json');
    expect(JSON.parse(refreshed.stdout)).toEqual({ done: views, remaining: [] });
    for (const view of views) expect(await differences(test, view), view).toBe(0);

    const verified = await runCli(['schema', 'verify', '--url', test.url]);
    expect(verified.exitCode).toBe(0);
    expect(verified.stdout).toMatch(
      /materialized views +│? +3 │ +3 │ ok|materialized views +3 +3 +ok/,
    );
    const journal = await test.query(
      `SELECT action, state, subject FROM trace_console.maintenance_runs ORDER BY id`,
    );
    expect(journal.rows).toEqual([
      { action: 'materialize', state: 'done', subject: views.join(', ') },
      { action: 'refresh-views', state: 'done', subject: 'all materialized views' },
    ]);

    const dropped = await materialize(test, 'error_analysis', '--drop', '--yes');
    expect(dropped).toMatchObject({ exitCode: 0 });
    expect(await counts(test)).toEqual({ ...before, materialized: 2 });
    expect((await materialize(test, 'trace_summary', '--yes')).exitCode).toBe(2);
    const reset = await runCli(['schema', 'reset', '--yes', '--url', test.url]);
    expect(reset).toMatchObject({ exitCode: 0 });
    expect(reset.stdout).toContain('materialized view trace_console.public_agent_performance');
    expect((await runCli(['schema', 'apply', '--yes', '--url', test.url])).exitCode).toBe(0);
  });

  it('comes back from a dump as a copy that is refreshed as before', async () => {
    const test = await filled();
    await materialize(test, ...views, '--yes');
    const restored = await createTestDatabase({ schema: false });
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-dump-'));
    onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'dump.sql');
    fs.writeFileSync(file, await dumpOf(test.url));
    expect(await psql(restored.url, { files: [file] })).toMatchObject({ exitCode: 0 });
    for (const view of views) expect(await differences(restored, view), view).toBe(0);
    await restored.query(addTraces);
    expect(await materialize(restored, '--refresh', '--yes')).toMatchObject({ exitCode: 0 });
    for (const view of views) expect(await differences(restored, view), view).toBe(0);
    expect((await runCli(['schema', 'verify', '--url', restored.url])).exitCode).toBe(0);
  });

  it('leaves nothing behind when it is cancelled while it waits for a lock, whose holder it names', async () => {
    const test = await filled();
    const database = await openConsole(test.url);
    const holder = await openConsole(test.url);
    onTestFinished(async () => {
      await Promise.all([database.close(), holder.close()]);
    });
    const cancel = new AbortController();
    const blockers: string[] = [];
    const { outcome } = await holder.transaction({}, async (tx) => {
      await tx.query('LOCK TABLE agent_routing_decisions IN ACCESS EXCLUSIVE MODE');
      return collect(
        runAction(
          'materialize',
          { database, signal: cancel.signal },
          { views: ['dashboard_summary', 'agent_performance'] },
        ),
        ({ blockedBy }) => {
          if (blockedBy === undefined) return;
          blockers.push(blockedBy);
          cancel.abort();
        },
      );
    });
    expect(blockers[0]).toContain('LOCK TABLE agent_routing_decisions');
    expect(outcome).toMatchObject({
      cancelled: true,
      result: { done: [], remaining: ['dashboard_summary', 'agent_performance'] },
    });
    expect(await counts(test)).toMatchObject({ materialized: 0 });
  });

  it('stays usable when a later file replaces the view below it', async () => {
    const test = await createTestDatabase({ schema: false });
    await deployFirstRelease(test.url);
    await test.query(addTraces);
    expect(await materialize(test, 'error_analysis', '--yes')).toMatchObject({ exitCode: 0 });
    expect((await runCli(['schema', 'apply', '--yes', '--url', test.url])).exitCode).toBe(0);
    await test.query(addTraces);
    expect((await materialize(test, '--refresh', '--yes')).exitCode).toBe(0);
    expect(await differences(test, 'error_analysis')).toBe(0);
  });

  it('names a copy that lacks a column of its view, and does not refresh it', async () => {
    const test = await filled();
    await materialize(test, '--yes');
    await test.query(`DROP MATERIALIZED VIEW trace_console.public_agent_performance;
      CREATE MATERIALIZED VIEW trace_console.public_agent_performance AS SELECT agent_name, now() AS refreshed_at FROM agent_performance`);
    const verified = await runCli(['schema', 'verify', '--url', test.url]);
    expect(verified.exitCode).toBe(1);
    expect(verified.stdout).toContain('column total_executions');
    expect(await checked(test)).toMatchObject({
      severity: 'warning',
      commands: ['trace-console schema materialize --drop'],
    });
    const { exitCode, stderr } = await materialize(test, '--refresh', '--yes');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 });
    expect(stderr).toContain('make it anew');
  });
});

describe('the policy of refreshing', () => {
  const policy = (test: TestDatabase, ...more: string[]) =>
    runCli(['maintain', 'policy', 'set', ...more, '--yes', '--url', test.url]);
  const once = async (test: TestDatabase) =>
    JSON.parse(
      (await runCli(['maintain', '--once', '--json', '--url', test.url])).stdout,
    ) as object;

  it('is carried out at any time of day, when a copy is old enough, and doctor says when it is not', async () => {
    const test = await filled();
    await materialize(test, '--yes');
    expect((await policy(test, '--refresh-after', '30s')).exitCode).toBe(2);
    const { rows } = await test.query<{ from: string; to: string }>(
      `SELECT to_char(now() AT TIME ZONE 'UTC' + interval '2 hours', 'HH24:MI') AS from, to_char(now() AT TIME ZONE 'UTC' + interval '3 hours', 'HH24:MI') AS to`,
    );
    const closed = `${rows[0]?.from ?? ''}-${rows[0]?.to ?? ''}`;
    await policy(test, '--refresh-after', '15m', '--archive-after', '90d', '--between', closed);
    // Young enough: nothing is done.
    expect(await once(test)).toEqual({ ok: true, steps: [] });
    expect(await checked(test)).toMatchObject({ severity: 'good' });
    // As one that nobody has refreshed for three days.
    await test.query(`DROP MATERIALIZED VIEW trace_console.public_agent_performance;
      CREATE MATERIALIZED VIEW trace_console.public_agent_performance AS
        SELECT *, now() - interval '3 days' AS refreshed_at FROM agent_performance;
      CREATE UNIQUE INDEX ON trace_console.public_agent_performance (agent_name)`);
    await test.query(addTraces);
    expect(await checked(test)).toMatchObject({
      severity: 'warning',
      evidence: 'agent_performance: 3 rows, refreshed 3d ago (to be refreshed after 15 minutes).',
      commands: ['trace-console schema materialize --refresh'],
    });
    expect(await once(test)).toMatchObject({
      ok: true,
      steps: [{ action: 'refresh-views', state: 'done' }],
    });
    expect(await differences(test, 'agent_performance')).toBe(0);
  });
});
