import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import type { Queryable } from '../../../src/db/queryable.js';
import type { Check } from '../../../src/maintenance/doctor/check.js';
import { autovacuum, wraparound } from '../../../src/maintenance/doctor/checks/tables.js';
import {
  backups,
  checkpoints,
  embeddedDaemon,
  settings,
  replicationLag,
  replicationLagCheck,
  replicationSlots,
  replicationSlotsCheck,
} from '../../../src/maintenance/doctor/checks/server.js';
import {
  connections,
  preparedTransactions,
  preparedTransactionsCheck,
} from '../../../src/maintenance/doctor/checks/sessions.js';
import {
  leakingViews,
  roleAccess,
  rowSecurity,
} from '../../../src/maintenance/doctor/checks/schema.js';
import { checkLimits, checks, runChecks } from '../../../src/maintenance/doctor/checks.js';
import { openConsole } from '../../deploy/helpers.js';
import { createEmbeddedDatabase } from '../../helpers/embedded-database.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';
import { Proxy } from '../../helpers/proxy.js';
import { runOnce } from '../../helpers/template.js';
import { ask, diagnose } from './helpers.js';

// Settings, roles, slots and ages belong to a whole server, so this one is the file's own.
let server: PrivateServer;
let url: string;
let client: pg.Client;

beforeAll(async () => {
  server = await startPrivateServer({
    settings: {
      max_connections: 16,
      max_prepared_transactions: 5,
      autovacuum: 'off',
      autovacuum_freeze_max_age: 100_000,
      shared_buffers: '32MB',
    },
  });
  url = await server.createDatabase('traces');
  client = new pg.Client({ connectionString: url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
});

/** The command of a finding, a statement at a time, as psql would send it. */
async function type(command: string | null): Promise<void> {
  for (const statement of (command ?? '').split(/(?<=;) /)) await client.query(statement);
}

it('compares the settings with the recommended ones, and tells which need a restart', async () => {
  const before = await diagnose(url, settings);
  expect(before.severity).toBe('advice');
  expect(before.items).toContain('shared_buffers 32 MB (recommended 256MB; needs a restart)');
  expect(before.items).toContain('work_mem 4.0 MB (recommended 16MB; needs a reload)');
  await type(before.command);
  // What stands on the command line of this server wins over ALTER SYSTEM: the rest is mended.
  await expect
    .poll(async () => (await diagnose(url, settings)).items, { timeout: 50_000 })
    .toEqual([expect.stringMatching(/^shared_buffers 32 MB/)]);
  await type('ALTER SYSTEM RESET ALL; SELECT pg_reload_conf();');
});

it('finds autovacuum off, for the whole server', async () => {
  expect(await diagnose(url, autovacuum)).toMatchObject({
    severity: 'critical',
    evidence: 'autovacuum is off for the whole server.',
  });
});

it('finds rows older than vacuum lets them become, until they are frozen', async () => {
  expect(await diagnose(url, wraparound)).toMatchObject({ severity: 'good' });
  // It keeps vacuum from freezing what it could still see, as in life.
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  await holder.query('BEGIN; CREATE TEMPORARY TABLE held (n integer)');
  // A number a subtransaction that writes.
  await client.query('CREATE TABLE burnt (n integer)');
  await client.query(`DO $$ BEGIN
    FOR i IN 1..115000 LOOP
      BEGIN INSERT INTO burnt VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END;
    END LOOP; END $$`);
  const old = await diagnose(url, wraparound);
  expect(old.severity).toBe('warning');
  expect(old.evidence).toMatch(
    /^Oldest row: 11\d,\d{3} transactions .* autovacuum freezes at 100,000/,
  );
  await holder.end();
  await expect
    .poll(
      async () => {
        await type('VACUUM (FREEZE);');
        return (await diagnose(url, wraparound)).severity;
      },
      { timeout: 50_000 },
    )
    .toBe('good');
});

it('counts connections against every limit there is', async () => {
  expect(await diagnose(url, connections)).toMatchObject({ severity: 'good' });
  const others = Array.from({ length: 10 }, () => new pg.Client({ connectionString: url }));
  for (const other of others) await other.connect();
  const found = await diagnose(url, connections);
  expect(found.severity).toMatch(/warning|critical/);
  expect(found.evidence).toMatch(/^1\d of 13 connections are taken \(of 16, less those reserved\)/);
  await Promise.all(others.map((other) => other.end()));
  await expect
    .poll(async () => (await diagnose(url, connections)).severity, { timeout: 50_000 })
    .toBe('good');
});

it('finds a prepared transaction that was forgotten', async () => {
  await client.query(`BEGIN; CREATE TABLE half (n integer); PREPARE TRANSACTION 'order ''7'''`);
  expect(await diagnose(url, preparedTransactions)).toMatchObject({ severity: 'good' });
  const check = preparedTransactionsCheck(0);
  const found = await diagnose(url, check);
  expect(found).toMatchObject({ severity: 'warning', command: `ROLLBACK PREPARED 'order ''7''';` });
  await type(found.command);
  expect(await diagnose(url, check)).toMatchObject({ severity: 'good' });
});

it('finds a slot that nobody reads, and a standby that is behind', async () => {
  const standby = await server.basebackupStandby();
  const behind = replicationLagCheck({ leastBytes: 1_000 });
  // It connects a moment after it accepts connections.
  await expect
    .poll(() => diagnose(url, replicationLag), { timeout: 50_000 })
    .toMatchObject({ severity: 'good', evidence: '1 standby, none far behind.' });
  await runOnce(standby.adminUrl, 'SELECT pg_wal_replay_pause()');
  await client.query('CREATE TABLE filler AS SELECT n FROM generate_series(1, 10000) AS n');
  for (const address of [url, standby.url('traces')]) {
    await expect
      .poll(async () => (await diagnose(address, behind)).severity, { timeout: 50_000 })
      .toBe('warning');
  }
  expect((await diagnose(standby.url('traces'), behind)).evidence).toMatch(
    /^this standby is \d+ kB of log behind/,
  );
  await runOnce(standby.adminUrl, 'SELECT pg_wal_replay_resume()');
  for (const address of [url, standby.url('traces')]) {
    await expect
      .poll(async () => (await diagnose(address, behind)).severity, { timeout: 50_000 })
      .toBe('good');
  }
  await standby.remove();
  expect(await diagnose(url, replicationSlots)).toMatchObject({ evidence: 'There are none.' });
  await client.query(`SELECT pg_create_physical_replication_slot('gone', true)`);
  await client.query('DROP TABLE filler');
  expect(await diagnose(url, replicationSlots)).toMatchObject({ severity: 'advice' });
  const found = await diagnose(url, replicationSlotsCheck(100));
  expect(found.severity).toBe('warning');
  expect(found.evidence).toMatch(/^gone is not read, holds [\d.]+ [kM]B of log\.$/);
  await type(found.command);
  expect(await diagnose(url, replicationSlots)).toMatchObject({ severity: 'good' });
});

it('finds checkpoints that come on demand', async () => {
  const counters = server.binaries.major < 17 ? 'bgwriter' : 'checkpointer';
  const reset = () => client.query(`SELECT pg_stat_reset_shared('${counters}')`);
  await reset();
  expect(await diagnose(url, checkpoints)).toMatchObject({ severity: 'good' });
  for (let i = 0; i <= 20; i += 1) await client.query('CHECKPOINT');
  await expect
    .poll(async () => (await diagnose(url, checkpoints)).severity, { timeout: 50_000 })
    .toBe('advice');
  await reset();
  await expect
    .poll(async () => (await diagnose(url, checkpoints)).severity, { timeout: 50_000 })
    .toBe('good');
});

it('sees row-level security off, half on and without policies, leaking views, and what a role lacks', async () => {
  const secured = await server.createDatabase('secured');
  const run = (sql: string) => runOnce(secured, sql);
  expect(await diagnose(secured, rowSecurity)).toMatchObject({ severity: 'good' });
  expect(await diagnose(secured, leakingViews)).toMatchObject({ severity: 'good' });
  await run(`ALTER TABLE execution_traces ENABLE ROW LEVEL SECURITY;
    CREATE VIEW prompts AS SELECT prompt_text FROM execution_traces;
    CREATE ROLE guest LOGIN PASSWORD 'g'; GRANT USAGE ON SCHEMA public TO guest;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest`);
  expect(await diagnose(secured, rowSecurity)).toMatchObject({
    severity: 'warning',
    evidence: expect.stringContaining('on without any policy on execution_traces') as string,
  });
  const leak = await diagnose(secured, leakingViews);
  expect(leak).toMatchObject({ severity: 'warning', items: ['prompts'] });
  await run(leak.command ?? '');
  expect(await diagnose(secured, leakingViews)).toMatchObject({ severity: 'good' });

  const asGuest = new URL(secured);
  asGuest.username = 'guest';
  asGuest.password = 'g';
  const filtered = await diagnose(asGuest.href, roleAccess);
  expect(filtered).toMatchObject({ severity: 'warning', items: ['execution_traces'] });
  await run(/ALTER ROLE .*;$/.exec(filtered.fix ?? '')?.[0] ?? '');
  expect(await diagnose(asGuest.href, roleAccess)).toMatchObject({ severity: 'good' });
  await run('REVOKE SELECT ON error_patterns FROM guest');
  const locked = await diagnose(asGuest.href, roleAccess);
  expect(locked.evidence).toBe('"guest" may not read error_patterns.');
  await run(/GRANT .*;$/.exec(locked.fix ?? '')?.[0] ?? '');
  expect([filtered.command, locked.command]).toEqual([null, null]);
  expect(await diagnose(asGuest.href, roleAccess)).toMatchObject({ severity: 'good' });

  await run('CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role');
  const exposed = await diagnose(secured, rowSecurity);
  expect(exposed.severity).toBe('warning');
  expect(exposed.evidence).toContain("Supabase's roles are here");
});

it('runs whole for a role without privileges: what it may not see is skipped with the reason', async () => {
  await client.query(`CREATE ROLE nobody LOGIN PASSWORD 'n'`);
  const asNobody = new URL(url);
  asNobody.username = 'nobody';
  asNobody.password = 'n';
  const database = await openConsole(asNobody.href);
  const results = await ask(database, checks);
  await database.close();
  expect(results).toHaveLength(checks.length);
  const skipped = results.filter(({ severity }) => severity === 'skipped');
  expect(skipped.map(({ id }) => id)).toEqual(
    expect.arrayContaining(['idle-transactions', 'lock-waits', 'replication-lag', 'stuck-traces']),
  );
  expect(skipped.find(({ id }) => id === 'lock-waits')?.evidence).toContain(
    'GRANT pg_read_all_stats TO "nobody"',
  );
});

it('says whether the log is archived, and when that fails', async () => {
  expect(await diagnose(url, backups)).toMatchObject({
    severity: 'advice',
    evidence: expect.stringContaining('archive_mode is off') as string,
  });
  const archiving = await startPrivateServer({
    settings: { archive_mode: 'on', archive_command: 'test ! -e "$PWD/full"' },
  });
  const ask = () => diagnose(archiving.adminUrl, backups);
  const switchFile = 'SELECT pg_switch_wal(), pg_logical_emit_message(true, $$t$$, $$m$$)';
  await runOnce(archiving.adminUrl, switchFile);
  await expect
    .poll(async () => (await ask()).evidence, { timeout: 50_000 })
    .toMatch(/^The write-ahead log is archived: the last archived file, \w{24}/);
  writeFileSync(join(archiving.dataFolder, 'full'), '');
  await runOnce(archiving.adminUrl, switchFile);
  await expect.poll(ask, { timeout: 50_000 }).toMatchObject({
    severity: 'warning',
    evidence: expect.stringMatching(
      /^Archiving fails at \w{24} \(\d+ times in all\); the last archived file, \w{24}, is .* old/,
    ) as string,
  });
  await archiving.stop('immediate');
});

it('where one check has no answer because the network is cut, no other waits for one', async () => {
  const proxy = await Proxy.start({ host: '127.0.0.1', port: server.port });
  onTestFinished(() => proxy.stop());
  const database = await openConsole(proxy.through(url));
  onTestFinished(() => database.close());
  const [check] = checks;
  if (!check) throw new Error('no checks');
  const asked: string[] = [];
  const cut: Check = {
    ...check,
    skip: () => undefined,
    run: async ({ tx }) => {
      asked.push('cut');
      proxy.silence();
      await tx.query('SELECT 1');
      throw new Error('an answer');
    },
  };
  const other: Check = { ...cut, run: () => Promise.reject(new Error(asked.join())) };
  const limits = { ...checkLimits, statementTimeoutMs: 200, graceMs: 100 };
  const { capabilities } = database;
  const context = {
    capabilities,
    database,
    transaction: <Result>(work: (tx: Queryable) => Promise<Result>) =>
      database.transaction(limits, work),
  };
  await expect(runChecks(context, [cut, other])).rejects.toMatchObject({
    code: 'statement_timeout',
  });
  expect(asked).toEqual(['cut']);
});

it('says how the process of the embedded database is, and what its log has of the last day', async () => {
  expect(await diagnose(url, embeddedDaemon)).toMatchObject({ severity: 'skipped' });
  const embedded = await createEmbeddedDatabase({ schema: false, extensions: false });
  onTestFinished(() => embedded.remove());
  const before = await diagnose(embedded.url, embeddedDaemon);
  expect(before.severity).toBe('good');
  expect(before.evidence).toMatch(
    /^Process \d+ \(version \S+\) answers, and runs for \S+, with 0 restarts of its engine\.$/,
  );
  const slow = runOnce(embedded.url, 'SET statement_timeout = 50; SELECT pg_sleep(600)');
  await expect(slow).rejects.toMatchObject({ code: '57014' });
  const after = await diagnose(embedded.url, embeddedDaemon);
  expect(after.severity).toBe('advice');
  expect(after.evidence).toContain('1 restart of its engine; its log has 1 trouble');
  expect(after.items).toEqual([
    expect.stringMatching(/ago: engine ended: canceling statement due to statement timeout/),
  ]);
  expect(after.fix).toContain('daemon.log has all');
});
