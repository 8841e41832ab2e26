import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { beforeAll, expect, inject, test } from 'vitest';
import { applySchema } from '../../src/deploy/apply.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { openConsole } from '../deploy/helpers.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { psql } from '../helpers/psql.js';
import { runOnce } from '../helpers/template.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const example = join(root, 'examples/sql/write-trace.sql');

// Roles belong to a whole server, so this one is the file's own.
let server: PrivateServer;
let url: string;

beforeAll(async () => {
  server = await startPrivateServer();
  url = await server.createDatabase('traces');
});

function as(role: string): string {
  const target = new URL(url);
  target.username = role;
  target.password = 'secret';
  return target.href;
}

test('the roles of docs/deploy.md: a writer writes and deletes nothing, a reader reads everything', async () => {
  const deploy = readFileSync(join(root, 'docs/deploy.md'), 'utf8');
  const roles = /<!-- test: roles -->\s+```sql\n(.*?)^```$/ms.exec(deploy)?.[1] ?? '';
  expect(roles).toContain('CREATE ROLE trace_writer');
  await runOnce(
    url,
    `${roles}; ALTER ROLE trace_writer PASSWORD 'secret'; ALTER ROLE trace_reader PASSWORD 'secret'`,
  );

  // The last statement of the example reads the timeline, which is not a writer's business.
  const statements = readFileSync(example, 'utf8').split(/^-- The whole tree/m)[0] ?? '';
  await runOnce(as('trace_writer'), statements);
  await runOnce(
    as('trace_writer'),
    `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
       VALUES ('p', 'i', array_fill(1::real, ARRAY[1536])::vector);
     SELECT record_pattern_usage(id, 'success') FROM success_patterns;
     SELECT * FROM find_similar_patterns(array_fill(1::real, ARRAY[1536])::vector)`,
  );
  for (const refused of [
    'DELETE FROM execution_traces',
    'TRUNCATE execution_traces CASCADE',
    'DROP TABLE execution_traces CASCADE',
    "SELECT * FROM archive_traces('90 days')",
    'SELECT * FROM prune_patterns()',
  ]) {
    await expect(runOnce(as('trace_writer'), refused), refused).rejects.toThrow(
      /permission denied|must be owner/,
    );
  }

  const client = new pg.Client({ connectionString: as('trace_reader') });
  await client.connect();
  try {
    for (const view of [
      'trace_summary',
      'pattern_effectiveness',
      'agent_performance',
      'error_analysis',
      'dashboard_summary',
      'execution_traces_archive',
    ]) {
      await client.query(`SELECT * FROM ${view}`);
    }
    const { rows } = await client.query(
      'SELECT count(*)::int AS events FROM execution_traces t, get_trace_timeline(t.correlation_id) WHERE t.id = trace_id',
    );
    expect(rows).toEqual([{ events: 5 }]);
    await expect(client.query(`UPDATE execution_traces SET status = 'failed'`)).rejects.toThrow(
      'permission denied',
    );
  } finally {
    await client.end();
  }
  const console = await openConsole(as('trace_reader'));
  try {
    expect(await verifySchema(console)).toMatchObject({ ok: true });
  } finally {
    await console.close();
  }
});

test('a server of your own: the owner of the database, no superuser, deploys everything', async () => {
  await runOnce(server.adminUrl, `CREATE ROLE traces_owner LOGIN PASSWORD 'secret'`);
  await runOnce(server.adminUrl, 'CREATE DATABASE owned OWNER traces_owner');
  // Debian's pgvector is not marked as trusted: only a superuser may create it.
  await runOnce(
    server.url('owned'),
    'ALTER SCHEMA public OWNER TO traces_owner; CREATE EXTENSION vector',
  );
  const target = new URL(server.url('owned'));
  target.username = 'traces_owner';
  target.password = 'secret';
  const console = await openConsole(target.href);
  try {
    expect(console.capabilities.superuser).toBe(false);
    expect((await applySchema(console)).failed).toEqual([]);
    expect(await verifySchema(console)).toMatchObject({ ok: true });
  } finally {
    await console.close();
  }
});

test('the commands of docs/deploy.md bring back the schema, the traces and the archive', async () => {
  await psql(url, { files: [example] });
  await runOnce(url, `UPDATE execution_traces SET started_at = now() - interval '91 days'`);
  await runOnce(url, `SELECT * FROM archive_traces('90 days')`);
  await psql(url, { files: [example] });
  const content = `SELECT
    (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM execution_traces t) AS live,
    (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM execution_traces_archive t) AS archived,
    (SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM hook_executions_archive t) AS archived_hooks`;
  const before = await runOnce<Record<string, string | null>>(url, content);
  expect(Object.values(before[0] ?? {})).not.toContain(null);

  const page = readFileSync(join(root, 'docs/deploy.md'), 'utf8');
  const backups = /^## Backups$([^]*?)^## /m.exec(page)?.[1] ?? '';
  const blocks = [...backups.matchAll(/^```bash$([^]*?)^```$/gm)].map(([, lines = '']) => lines);
  expect(blocks).toHaveLength(2);
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-restore-'));
  const program = join(folder, 'trace-console');
  const main = join(inject('programs'), 'main.js');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 });
  const env = {
    PATH: `${folder}:${server.binaries.binDir}:${process.env.PATH ?? ''}`,
    HOME: folder,
    DATABASE_URL: url,
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: server.user,
    PGPASSWORD: server.password,
  };
  for (const lines of blocks) await run('sh', ['-ec', lines], { env, cwd: folder });
  const { stdout } = await run('pg_restore', ['--list', 'archive.dump'], { env, cwd: folder });
  expect(stdout.match(/TABLE DATA public \w+_archive/g)).toHaveLength(4);
  rmSync(folder, { recursive: true });

  const restored = server.url('traces_restored');
  expect(await runOnce(restored, content)).toEqual(before);
  const console = await openConsole(restored);
  try {
    expect(await verifySchema(console)).toMatchObject({ ok: true, differences: [] });
  } finally {
    await console.close();
  }
}, 120_000);
