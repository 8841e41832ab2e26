import { describe, expect, it, vi } from 'vitest';
import {
  autovacuum,
  deadRows,
  growth,
  staleStatistics,
} from '../../../src/maintenance/doctor/checks/tables.js';
import { bloat, bloatCheck } from '../../../src/maintenance/doctor/checks/bloat.js';
import {
  crashedRuns,
  retention,
  stuckTraces,
} from '../../../src/maintenance/doctor/checks/upkeep.js';
import { schemaDifferences } from '../../../src/maintenance/doctor/checks/schema.js';
import { archiveTraces } from '../../../src/maintenance/archive/archive-traces.js';
import { beginRun } from '../../../src/maintenance/journal/journaled.js';
import { runCli } from '../../helpers/cli.js';
import { writePolicy, recommendedPolicy } from '../../../src/maintenance/retention/policy.js';
import { openConsole } from '../../deploy/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { diagnose } from './helpers.js';

/** Traces of that age in days and status. */
function trace(test: TestDatabase, days: number, status = 'completed') {
  return test.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT id, id, id, 'test', $2, now() - make_interval(secs => $1 * 86400.0) FROM gen_random_uuid() AS id`,
    [days, status],
  );
}

describe('rows and their statistics', () => {
  it('are found stale, dead and bloated, each until its command has run', async () => {
    const test = await createTestDatabase();
    await test.query(
      `CREATE TABLE facts (n integer, text text) WITH (autovacuum_enabled = false);
       INSERT INTO facts SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 20000) AS n;
       SELECT pg_stat_force_next_flush()`,
    );
    const off = await diagnose(test.url, autovacuum);
    expect(off).toMatchObject({ severity: 'warning', evidence: 'It is off for facts.' });
    const stale = await diagnose(test.url, staleStatistics);
    expect(stale).toMatchObject({
      severity: 'warning',
      items: ['facts: never analysed, about 20,000 rows'],
    });
    await test.query(stale.command ?? '');
    expect(await diagnose(test.url, staleStatistics)).toMatchObject({ severity: 'good' });

    await test.query('DELETE FROM facts WHERE n % 10 <> 0; SELECT pg_stat_force_next_flush()');
    const dead = await diagnose(test.url, deadRows);
    expect(dead).toMatchObject({ severity: 'warning' });
    expect(dead.items).toEqual(['facts: 18,000 dead beside 20,000 live rows']);
    expect(await diagnose(test.url, staleStatistics)).toMatchObject({
      items: ['facts: 18,000 of about 20,000 rows changed since'],
    });
    // What a session of the server's own (autovacuum of another table) may still see is removed by no vacuum.
    await vi.waitFor(async () => {
      await test.query(dead.command ?? '');
      expect(await diagnose(test.url, deadRows)).toMatchObject({ severity: 'good' });
    }, 30_000);

    const check = bloatCheck({ leastBytes: 500_000 });
    const found = await diagnose(test.url, check);
    expect(found.severity).toBe('advice');
    // A tenth of the rows is left.
    expect(found.evidence).toMatch(
      /^1 table: facts: about 2\.\d MB of 3\.\d MB empty \((8[5-9]|9[0-3])%\)\.$/,
    );
    expect(await diagnose(test.url, bloat)).toMatchObject({ severity: 'good' });
    await test.query(found.command ?? '');
    expect(await diagnose(test.url, check)).toMatchObject({ severity: 'good' });

    await test.query(off.command ?? '');
    expect(await diagnose(test.url, autovacuum)).toMatchObject({ severity: 'good' });
  });

  it('tell how the database grows; of the disk only where the server does', async () => {
    const test = await createTestDatabase();
    const { severity, evidence } = await diagnose(test.url, growth);
    expect(severity).toBe('good');
    expect(evidence).toMatch(/^The database takes [\d.]+ MB; how it grows cannot be told yet/);
    expect(evidence).toContain('The server does not tell how much room its disk has.');
    // A stand-in for the extension system_stats, which Debian does not have: its name and its function.
    await test.query(
      `CREATE FUNCTION pg_sys_disk_info(OUT mount_point text, OUT total_space bigint, OUT free_space bigint)
         RETURNS SETOF record LANGUAGE sql AS $$ VALUES ('/', 1000000::bigint, 900000::bigint),
           ('/nowhere', 7, 7), (rtrim(current_setting('data_directory'), '/'), 100000000000, 4000000000) $$;
       INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
       VALUES (99999, 'system_stats', 10, 'public'::regnamespace, false, '3.0')`,
    );
    const full = await diagnose(test.url, growth);
    expect(full.severity).toBe('critical');
    expect(full.evidence).toMatch(/3\.7 GB of 93 GB are free/);
    await test.query(
      `CREATE OR REPLACE FUNCTION pg_sys_disk_info(OUT mount_point text, OUT total_space bigint, OUT free_space bigint)
         RETURNS SETOF record LANGUAGE sql AS $$ VALUES ('/', 100000000000, 50000000000) $$`,
    );
    expect(await diagnose(test.url, growth)).toMatchObject({ severity: 'good' });
  });
});

describe('traces', () => {
  it('in progress for long are counted by their index, until they are closed', async () => {
    const test = await createTestDatabase();
    await trace(test, 0, 'in_progress');
    expect(await diagnose(test.url, stuckTraces)).toMatchObject({ severity: 'good' });
    await trace(test, 0.5, 'in_progress');
    expect(await diagnose(test.url, stuckTraces)).toMatchObject({
      severity: 'advice',
      evidence: '1 in progress for more than 30 minutes, the oldest for 12h.',
    });
    await trace(test, 3, 'in_progress');
    const found = await diagnose(test.url, stuckTraces);
    expect(found).toMatchObject({ severity: 'warning' });
    expect(found.command).toMatch(/^trace-console close-stuck --started-before 20\S+Z$/);
    // Becomes stuck between the report and the command: it was not reported.
    await trace(test, 0.0208, 'in_progress');
    await test.query(`UPDATE execution_traces SET started_at = now() - interval '30 minutes'
      WHERE status = 'in_progress' AND started_at BETWEEN now() - interval '1 hour' AND now() - interval '20 minutes'`);
    const [, ...words] = (found.command ?? '').split(' ');
    const { stdout } = await runCli([...words, '--yes', '--json', '--url', test.url]);
    expect(JSON.parse(stdout)).toEqual({ closed: 2, remaining: 0 });
    expect(await diagnose(test.url, stuckTraces)).toMatchObject({ severity: 'advice' });
    await runCli(['close-stuck', '--yes', '--url', test.url]);
    expect(await diagnose(test.url, stuckTraces)).toMatchObject({ severity: 'good' });
    await test.query('DROP INDEX idx_execution_traces_running');
    const skipped = await diagnose(test.url, stuckTraces);
    expect(skipped).toMatchObject({ severity: 'skipped' });
  });

  it('that are overdue are named by the recommended ages, and by the policy when there is one', async () => {
    const test = await createTestDatabase();
    await trace(test, 90.5);
    expect(await diagnose(test.url, retention)).toMatchObject({ severity: 'good' });
    await trace(test, 100);
    expect(await diagnose(test.url, retention)).toMatchObject({
      severity: 'advice',
      items: ['the oldest trace is 100 days old, to be kept 90 days'],
    });
    const database = await openConsole(test.url);
    const keep = (archiveAfter: string | null) =>
      database.transaction({}, (tx) =>
        writePolicy(tx, 'public', { ...recommendedPolicy, archiveAfter }),
      );
    await keep('120 days');
    expect(await diagnose(test.url, retention)).toMatchObject({ severity: 'good' });
    await keep('30 days');
    expect(await diagnose(test.url, retention)).toMatchObject({
      severity: 'warning',
      command: 'trace-console maintain --once',
      items: ['the oldest trace is 100 days old, to be kept 30 days'],
    });
    await test.query(`SELECT archive_traces('30 days', 1000)`);
    expect(await diagnose(test.url, retention)).toMatchObject({ severity: 'good' });
    await database.close();
  });
});

describe('maintenance', () => {
  it('whose console died is named, until somebody has done it again', async () => {
    const test = await createTestDatabase();
    await trace(test, 100);
    const database = await openConsole(test.url);
    expect(await diagnose(test.url, crashedRuns)).toMatchObject({ severity: 'good' });
    const begun = await beginRun(database, archiveTraces, { olderThan: '90 days' });
    if (begun.kind !== 'begun') throw new Error('the run did not begin');
    expect(await diagnose(test.url, crashedRuns)).toMatchObject({ severity: 'good' });
    await test.query(
      `UPDATE trace_console.maintenance_runs SET lease_until = now() - interval '1 s'`,
    );
    const crashed = await diagnose(test.url, crashedRuns);
    expect(crashed).toMatchObject({
      severity: 'advice',
      command: `trace-console runs resume ${begun.id}`,
    });
    const resumed = await runCli(['runs', 'resume', String(begun.id), '--yes', '--url', test.url]);
    expect(resumed.exitCode, resumed.stderr).toBe(0);
    expect(await diagnose(test.url, crashedRuns)).toMatchObject({ severity: 'good' });
    await database.close();
  });
});

describe('the schema', () => {
  it('is good as deployed; what lacks or is another program’s is told', async () => {
    const test = await createTestDatabase();
    expect(await diagnose(test.url, schemaDifferences)).toMatchObject({ severity: 'good' });
    await test.query('DROP INDEX idx_error_open');
    expect(await diagnose(test.url, schemaDifferences)).toMatchObject({
      severity: 'warning',
      items: ['indexes: idx_error_open is missing'],
    });
    await test.query('DROP TABLE error_patterns CASCADE');
    const missing = await diagnose(test.url, schemaDifferences);
    expect(missing.severity).toBe('critical');
    expect(missing.evidence).toContain('error_patterns (missing)');
  });
});
