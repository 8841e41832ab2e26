import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { ensureCollector } from '../../src/ingest/collector/collector.js';
import { collectorOf, readStatus } from '../../src/ingest/collector/status-file.js';
import { checks, type CheckResult } from '../../src/maintenance/doctor/checks.js';
import { losesConnection } from '../../src/db/errors.js';
import { openDatabase } from '../../src/embedded/index.js';
import { stopEmbedded } from '../../src/embedded/running.js';
import { testPrograms } from '../embedded/programs.js';
import { noConfigFile, runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { psql } from '../helpers/psql.js';

const base = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-cli-'));
const dataDir = path.join(base, 'embedded');
const embedded = (...args: string[]) => runCli(['embedded', ...args, '--data-dir', dataDir]);

/** Rows whose values are the ones that get lost on the way when somebody is careless. */
const rows = `
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, prompt_text, context, tags, input_tokens, cost_usd, started_at)
  SELECT id, id, id, 'test', 'completed', E'line\\n\\t\\\\ ''quoted'' 🙂 ' || n, '{"a": [1, null, "\\\\u00e9"]}', ARRAY['x', 'y "z"', NULL], 9007199254740993, 0.123456, '2024-02-29 12:00:00.123456+02'
  FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 450) AS n) AS ids;
  INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding, success_count, failure_count)
  VALUES ('hash', 'test', array_fill(0.25, ARRAY[1536])::vector, 2, 1);
  INSERT INTO execution_traces_archive SELECT *, now() FROM execution_traces LIMIT 3;
  DELETE FROM execution_traces WHERE id IN (SELECT id FROM execution_traces_archive);`;

const digest = `SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM execution_traces AS t
  UNION ALL SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM success_patterns AS t
  UNION ALL SELECT count(*)::text FROM execution_traces_archive`;

let url: string;

beforeAll(async () => {
  await testPrograms();
  const applied = await runCli(['schema', 'apply', '--data-dir', dataDir]);
  expect(applied.stdout).toContain('Nothing to do: the schema is there');
  const status = JSON.parse((await embedded('status', '--json')).stdout) as { psql: string };
  const host = /-h (\S+)/.exec(status.psql)?.[1] ?? '';
  url = `postgresql://postgres@localhost/postgres?host=${host}&port=5432`;
  expect(await psql(url, { commands: [rows] })).toMatchObject({ exitCode: 0 });
});

afterAll(async () => {
  await stopEmbedded(dataDir);
  fs.rmSync(base, { recursive: true, force: true });
});

async function digestOf(target: string): Promise<string> {
  const result = await psql(target, { commands: ["SET timezone = 'UTC'", digest] });
  expect(result.stderr).toBe('');
  return result.stdout;
}

test('copies the embedded database to a server, equal to the last digit', async () => {
  const target = await createTestDatabase({ schema: false });
  const copied = await embedded('import-to', target.url, '--yes', '--json');
  expect(copied.stderr + copied.stdout).toContain('"ok": true');
  expect(copied.exitCode).toBe(0);
  expect(await digestOf(target.url)).toBe(await digestOf(url));
  const again = await embedded('import-to', target.url, '--yes');
  expect(again.exitCode).toBe(4);
  expect(again.stderr).toContain('not empty');
  await target.drop();
});

test('exports SQL that psql runs on an empty server', async () => {
  const file = path.join(base, 'export.sql');
  const exported = await embedded('export', file);
  expect(exported.stdout).toMatch(/execution_traces +447/);
  expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  expect((await embedded('export', file)).exitCode).toBe(2);
  const target = await createTestDatabase({ schema: false });
  expect(await psql(target.url, { files: [file] })).toMatchObject({ exitCode: 0 });
  expect(await digestOf(target.url)).toBe(await digestOf(url));
  await target.drop();
});

test('says what runs, stops it, and keeps the data', async () => {
  const before = await digestOf(url);
  expect((await embedded('status')).stdout).toMatch(/Running .*\nClients: 0/);
  expect((await embedded('stop')).stdout).toContain('Stopped');
  const status = await embedded('status');
  expect(status.stdout).toContain('Not running');
  expect(status.exitCode).toBe(1);
  const verified = await runCli(['schema', 'verify', '--data-dir', dataDir, '--json']);
  expect(verified.stdout).toMatch(/"component": "tables",\s+"expected": 8,\s+"deployed": 8/);
  expect(await digestOf(url)).toBe(before);
});

test('stops the database of a named connection with the collector that writes to it, and refuses a server by its name', async () => {
  const folder = path.join(base, 'named');
  const spool = path.join(base, 'spool');
  const config = path.join(base, 'config.toml');
  const servers = '[connections.prod]\nurl = "postgresql://nobody@127.0.0.1:1/d"\n';
  fs.writeFileSync(config, `${servers}[connections.home]\ndata-dir = "${folder}"\n`, {
    mode: 0o600,
  });
  const environment = { TRACE_CONSOLE_SPOOL: spool };
  const run = (...args: string[]) => runCli([...args, '--config', config], { env: environment });
  const target = { kind: 'connection', name: 'home', config } as const;
  const program = path.join(inject('programs'), 'main.js');
  const { PATH } = process.env;
  ensureCollector(target, program, { PATH, HOME: base, ...noConfigFile, ...environment });
  await vi.waitFor(() => expect(readStatus(spool)?.state).toBe('following'), 30_000);
  const collector = collectorOf(spool)?.pid;
  expect((await run('home', 'embedded', 'status')).stdout).toContain(`Running (${folder})`);
  const refused = await run('prod', 'embedded', 'stop');
  expect(refused).toMatchObject({ exitCode: 2 });
  expect(refused.stderr).toContain('prod is a server');
  // The collector of another database is left alone.
  expect((await run('embedded', 'stop', '--data-dir', dataDir)).stdout).toMatch(/^Stopped /);
  expect(collectorOf(spool)?.pid).toBe(collector);
  const { stdout } = await run('home', 'embedded', 'stop');
  expect(stdout).toContain(`Ended its collector (process ${collector})`);
  expect(stdout).toContain(`Stopped (${folder})`);
  expect(collectorOf(spool)).toBeUndefined();
  expect((await run('home', 'embedded', 'status')).stdout).toContain('Not running');
  // One that has only just been started would bring the database back.
  ensureCollector(target, program, { PATH, HOME: base, ...noConfigFile, ...environment });
  expect((await run('home', 'embedded', 'stop')).stdout).toContain('Ended its collector');
  expect(collectorOf(spool)).toBeUndefined();
  expect((await run('home', 'embedded', 'status')).stdout).toContain('Not running');
});

test('doctor runs whole: what cannot happen there is skipped, and nothing fails', async () => {
  const { stdout, exitCode } = await runCli(['doctor', '--json', '--data-dir', dataDir]);
  const report = JSON.parse(stdout) as { checks: CheckResult[] };
  expect(report.checks).toHaveLength(checks.length);
  for (const { id, severity, evidence } of report.checks) {
    expect.soft(['advice', 'good', 'skipped'], `${id}: ${evidence}`).toContain(severity);
    expect.soft(evidence, id).not.toContain('could not be read');
  }
  expect(report.checks.find(({ id }) => id === 'settings')).toMatchObject({ severity: 'skipped' });
  expect(exitCode).toBe(0);
});

test('says that a stopped daemon does not answer, instead of waiting for it; an open console loses its connection', async () => {
  const open = await openDatabase({ dataDir });
  const { running } = JSON.parse((await embedded('status', '--json')).stdout) as {
    running: { pid: number };
  };
  const silent = new RegExp(`does not answer: process ${running.pid} holds`);
  process.kill(running.pid, 'SIGSTOP');
  const unanswered = open
    .read('SELECT 1', [], { statementTimeoutMs: 100 })
    .catch((error: unknown) => error);
  try {
    const results = await Promise.all([
      embedded('status'),
      embedded('stop'),
      runCli(['status', '--data-dir', dataDir]),
    ]);
    for (const { stderr, exitCode } of results) {
      expect(stderr).toMatch(silent);
      expect(stderr).toContain(`kill -CONT ${running.pid}`);
      expect(exitCode).toBe(3);
    }
    expect(String(await unanswered)).toMatch(silent);
    expect(await unanswered).toSatisfy(losesConnection);
  } finally {
    process.kill(running.pid, 'SIGCONT');
  }
  await open.close();
});
