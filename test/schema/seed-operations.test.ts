import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
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

test('pg_dump and pg_restore bring back the schema, the traces and the archive', async () => {
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

  const env = { PGPASSWORD: server.password, PATH: process.env.PATH };
  const address = ['-h', server.host, '-p', String(server.port), '-U', server.user];
  const dump = join(server.process.folder, 'traces.dump');
  const tool = (name: string, args: string[]) =>
    run(join(server.binaries.binDir, name), [...address, ...args], { env });
  await tool('pg_dump', ['--format=custom', `--file=${dump}`, 'traces']);
  await tool('createdb', ['traces_restored']);
  await tool('pg_restore', ['--no-owner', '--exit-on-error', '--dbname=traces_restored', dump]);

  const restored = server.url('traces_restored');
  expect(await runOnce(restored, content)).toEqual(before);
  const console = await openConsole(restored);
  try {
    expect(await verifySchema(console)).toMatchObject({ ok: true, differences: [] });
  } finally {
    await console.close();
  }
}, 120_000);
