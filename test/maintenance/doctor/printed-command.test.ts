import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { quoteIdent } from '../../../src/db/quote.js';
import { printedCommand } from '../../../src/maintenance/doctor/check.js';
import type { CheckResult } from '../../../src/maintenance/doctor/checks.js';
import { openConsole } from '../../deploy/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase } from '../../helpers/database.js';
import { startPrivateServer } from '../../helpers/private-server.js';
import { psqlProgram } from '../../helpers/psql.js';
import { runOnce } from '../../helpers/template.js';

const run = promisify(execFile);

/** Pastes a line into a shell whose PATH has psql and trace-console; the password comes from PGPASSWORD. */
async function paste(line: string, url: string, folder: string): Promise<string> {
  const program = join(folder, 'trace-console');
  if (!existsSync(program)) {
    writeFileSync(
      program,
      `#!/bin/sh\nexec "${process.execPath}" "${join(inject('programs'), 'main.js')}" "$@"\n`,
      {
        mode: 0o755,
      },
    );
    symlinkSync(process.execPath, join(folder, 'node'));
  }
  const path = [folder, dirname(await psqlProgram()), process.env.PATH].join(delimiter);
  const env = { PATH: path, HOME: folder, PGPASSWORD: decodeURIComponent(new URL(url).password) };
  const { stdout } = await run('bash', ['-c', line], { cwd: folder, env });
  return stdout;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-paste-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

async function commandOf(url: string, check: string): Promise<string> {
  const { stdout } = await runCli(['doctor', '--url', url, '--check', check, '--json']);
  const [result] = (JSON.parse(stdout) as { checks: CheckResult[] }).checks;
  if (!result?.command) throw new Error(`${check} found nothing`);
  return result.command;
}

it('runs as printed, on the connection it was found on, whatever an index is called', async () => {
  const test = await createTestDatabase();
  const folder = newFolder();
  await test.query(`CREATE INDEX "hk$(touch x)'; \`touch y\`" ON error_patterns (error_type)`);
  await paste(await commandOf(test.url, 'duplicate-indexes'), test.url, folder);
  await expect(commandOf(test.url, 'duplicate-indexes')).rejects.toThrow('found nothing');

  await test.query(`CREATE INDEX "hk$(touch x)" ON error_patterns (error_type);
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"hk$(touch x)"'::regclass`);
  const rebuild = await commandOf(test.url, 'invalid-indexes');
  expect(rebuild).not.toContain(new URL(test.url).password || 'no password');
  await paste(`${rebuild} --yes`, test.url, folder);
  await expect(commandOf(test.url, 'invalid-indexes')).rejects.toThrow('found nothing');
  expect([existsSync(join(folder, 'x')), existsSync(join(folder, 'y'))]).toEqual([false, false]);
});

it('changes several settings of a server in one line', async () => {
  const server = await startPrivateServer();
  const line = await commandOf(server.adminUrl, 'settings');
  expect(line.match(/ALTER SYSTEM/g)?.length).toBeGreaterThan(1);
  await paste(line, server.adminUrl, newFolder());
  const { stdout } = await runCli([
    'doctor',
    '--url',
    server.adminUrl,
    '--check',
    'settings',
    '--json',
  ]);
  // What needs a restart has been written down; what a reload changes holds already.
  expect(stdout).toContain('already changed: holds after a restart');
  expect(stdout).not.toContain('needs a reload');
  await server.stop();
});

it('names a socket folder, a schema and a database of any name', async () => {
  const test = await createTestDatabase();
  const database = await openConsole(test.url);
  const target = {
    address: { host: '/tmp/it is', port: 5433, user: "o'neil", database: 'a;b&c', tls: false },
    capabilities: { ...database.capabilities, schema: 'my schema' },
  };
  await database.close();
  expect(printedCommand(['trace-console schema apply'], target)).toBe(
    "trace-console schema apply --url 'postgresql://o'\\''neil@:5433/a%3Bb%26c?host=%2Ftmp%2Fit%20is' --schema 'my schema'",
  );
  expect(printedCommand(['SELECT 1;', 'SELECT 2;'], target)).toContain(
    "-c 'SELECT 1;' -c 'SELECT 2;'",
  );
});

it('leads each hint of a command to the database that the command was led to', async () => {
  const test = await createTestDatabase();
  const target = new URL(test.url);
  const shown = `--url postgresql://${target.username}@${target.hostname}:${target.port}${target.pathname}`;
  const missing = await runCli(['runs', '999', '--url', test.url]);
  expect(missing.stderr).toContain(`hint: trace-console runs ${shown} lists them`);
  const json = await runCli(['runs', '999', '--url', test.url, '--json']);
  expect(json.stdout).toContain(`trace-console runs ${shown} lists them`);
  const fromEnvironment = await runCli(['runs', '999'], { env: { DATABASE_URL: test.url } });
  expect(fromEnvironment.stderr).toContain('hint: trace-console runs lists them');

  // The doctor of the panes says the same as the command.
  await test.query('CREATE INDEX twice ON error_patterns (error_type)');
  const pane = await runCli(['status', '--pane', 'doctor', '--url', test.url, '--json']);
  const { panes } = JSON.parse(pane.stdout) as { panes: { doctor: { rows: CheckResult[] } } };
  const row = panes.doctor.rows.find(({ id }) => id === 'duplicate-indexes');
  expect(row?.command).toMatch(/^psql .*dbname=.* -c 'DROP INDEX CONCURRENTLY/);
  expect(row).toMatchObject({
    again: `trace-console doctor --check duplicate-indexes ${shown}`,
  });
});

it('tells of the demo only where it harms nobody', async () => {
  const test = await createTestDatabase();
  const status = async () =>
    (await runCli(['status', '--pane', 'slow-hooks', '--url', test.url])).stdout;
  expect(await status()).toMatch(
    /No hook ran .* --window\. For examples: trace-console demo --url /,
  );
  await test.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, prompt_text)
     SELECT id, id, id, 'agent', 'completed', now() - interval '3 days', 'old' FROM gen_random_uuid() AS id`,
  );
  expect(await status()).toMatch(/No hook ran .* --window\.\n/);
  expect(await status()).not.toContain('demo');
});

const hostile = `it's; "$(touch x)" \`touch y\` $HOME`;
const named = (end: string) => quoteIdent(`${hostile} ${end}`);

/** Something for each check that can be brought about by statements, with names that a shell and SQL might misread. */
const unhealthy = `
  CREATE INDEX ${named('twice')} ON error_patterns (error_type);
  CREATE INDEX ${named('invalid')} ON error_patterns (severity, error_type);
  UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${named('invalid').replaceAll("'", "''")}'::regclass;
  CREATE TABLE ${named('parent')} (id integer PRIMARY KEY);
  CREATE TABLE ${named('rows')} (n integer, text text, parent integer REFERENCES ${named('parent')})
    WITH (autovacuum_enabled = false);
  INSERT INTO ${named('rows')} SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 20000) AS n;
  DROP VIEW trace_summary;
  ALTER TABLE execution_traces ENABLE ROW LEVEL SECURITY;
  CREATE VIEW ${named('prompts')} AS SELECT prompt_text FROM execution_traces;
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
    SELECT id, id, id, 'test', status, now() - age FROM (VALUES (gen_random_uuid(), 'in_progress', interval '3 days'),
      (gen_random_uuid(), 'completed', interval '200 days')) AS r (id, status, age);
  INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
    SELECT 'hash-' || i, 'test', array_fill(i / 400.0, ARRAY[1536])::vector FROM generate_series(1, 400) AS i;`;
const counters = 'SELECT pg_stat_force_next_flush()';
const foundBy = [
  'schema',
  'vector-training',
  'vector-lists',
  'invalid-indexes',
  'foreign-keys',
  'duplicate-indexes',
  'stale-statistics',
  'row-security',
  'leaking-views',
  'stuck-traces',
  'retention',
];

describe.each(['a server', 'the embedded database'] as const)('on %s', (place) => {
  it('every command runs as printed, and what it was for is found no more', async () => {
    const folder = newFolder();
    const dataDir = join(folder, `it's $(touch x)`);
    const isEmbedded = place !== 'a server';
    const server = isEmbedded ? undefined : await startPrivateServer();
    let url = '';
    if (server) {
      // The library that the test asks by leaves `;` and `$` of a URL as they are.
      const database = 'it\'s "db" `touch y`';
      await runOnce(server.adminUrl, `CREATE DATABASE ${quoteIdent(database)}`);
      url = server.url(database);
    }
    const where = isEmbedded ? ['--data-dir', dataDir] : ['--url', url];
    const applied = await runCli(['schema', 'apply', '--yes', ...where]);
    expect(applied.exitCode, applied.stderr).toBe(0);
    if (isEmbedded) {
      const { stdout } = await runCli(['embedded', 'status', '--json', ...where]);
      const host = /-h (\S+)/.exec((JSON.parse(stdout) as { psql: string }).psql)?.[1] ?? '';
      url = `postgresql://postgres@localhost/postgres?host=${host}&port=5432`;
    }
    await runOnce(url, unhealthy);
    await runOnce(url, counters);
    await runOnce(url, 'ANALYZE success_patterns');
    const report = async () => {
      const { stdout } = await runCli(['doctor', '--json', ...where]);
      const { checks: all } = JSON.parse(stdout) as { checks: CheckResult[] };
      return new Map(all.map((check) => [check.id, check]));
    };
    const before = await report();
    const found = [...before.values()].filter(({ command }) => command !== null);
    // The daemon analyses each minute by itself.
    const expected = isEmbedded
      ? foundBy.filter((id) => id !== 'stale-statistics')
      : [...foundBy, 'autovacuum', 'settings'];
    expect(found.map(({ id }) => id)).toEqual(expect.arrayContaining(expected));
    for (const { command } of found) {
      const line = command ?? '';
      await paste(line.startsWith('trace-console') ? `${line} --yes` : line, url, folder);
    }
    await runOnce(url, counters);
    const after = await report();
    const stays = found.filter(({ id }) => after.get(id)?.command === before.get(id)?.command);
    // Rows that are old are carried out by the policy that was stored.
    expect(stays.map(({ id }) => id)).toEqual([]);
    expect(['x', 'y'].filter((name) => existsSync(join(folder, name)))).toEqual([]);
    if (isEmbedded) await runCli(['embedded', 'stop', ...where]);
    await server?.stop();
  }, 240_000);
});
