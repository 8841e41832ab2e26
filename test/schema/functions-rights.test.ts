import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PrivateServer, startPrivateServer } from '../helpers/private-server.js';
import { psql } from '../helpers/psql.js';
import { runOnce, schemaFiles } from '../helpers/template.js';
import { addTrace, archiveBatch } from './helpers/trace-rows.js';

// Roles belong to a whole server, so this one is the file's own.
let server: PrivateServer;
let owner: pg.Client;

beforeAll(async () => {
  server = await startPrivateServer();
  await runOnce(
    server.adminUrl,
    `CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN;
     CREATE ROLE clerk NOLOGIN;
     CREATE ROLE app LOGIN PASSWORD 'app'; GRANT authenticated, service_role, clerk TO app`,
  );
  await runOnce(server.adminUrl, 'CREATE DATABASE traces OWNER app');
  await runOnce(
    server.url('traces'),
    `CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions;
     CREATE EXTENSION "uuid-ossp" SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO PUBLIC;
     ALTER SCHEMA public OWNER TO app`,
  );
  const url = new URL(server.url('traces'));
  url.username = 'app';
  url.password = 'app';
  const result = await psql(url.href, { files: schemaFiles() });
  if (result.exitCode !== 0) throw new Error(result.stderr);
  owner = new pg.Client({ connectionString: url.href });
  await owner.connect();
  // All rights on the tables, and a policy that shows it a part of the rows.
  await owner.query(`
    GRANT USAGE ON SCHEMA public TO clerk;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk;
    GRANT EXECUTE ON FUNCTION archive_traces, prune_patterns TO clerk;
    CREATE POLICY part_of_it ON execution_traces FOR ALL TO clerk USING (user_id = 'ada') WITH CHECK (true);
    CREATE POLICY part_of_it ON pattern_usage_log FOR ALL TO clerk USING (false)`);
});

afterAll(async () => {
  await owner.end();
});

/** Runs as a role in a transaction that is rolled back. */
async function as<Result>(role: string, body: () => Promise<Result>): Promise<Result> {
  await owner.query(`BEGIN; SET LOCAL ROLE ${role}`);
  try {
    return await body();
  } finally {
    await owner.query('ROLLBACK');
  }
}

test('an owner who is no superuser may call all five, with vector in another schema', async () => {
  await owner.query('BEGIN');
  await addTrace(owner, { tree: 'one' });
  expect(await archiveBatch(owner)).toMatchObject({ trees: 1 });
  const { rows } = await owner.query(
    `WITH pattern AS (
       INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
       VALUES ('p', 'i', array_fill(0.1::real, ARRAY[1536])::extensions.vector) RETURNING id)
     SELECT id FROM pattern`,
  );
  expect(rows).toHaveLength(1);
  const { rows: used } = await owner.query(
    `SELECT record_pattern_usage(id, 'success') IS NOT NULL AS recorded,
            (SELECT similarity FROM find_similar_patterns(prompt_embedding)) AS similarity,
            (SELECT count(*)::int FROM get_trace_timeline(md5('one/root')::uuid)) AS events,
            (SELECT patterns::int FROM prune_patterns(dry_run => true)) AS prunable
     FROM success_patterns`,
  );
  expect(used).toEqual([{ recorded: true, similarity: 1, events: 5, prunable: 0 }]);
  await owner.query('ROLLBACK');
});

test('a role that row-level security filters is refused, with the tables and what would help', async () => {
  await as('clerk', async () => {
    await expect(archiveBatch(owner)).rejects.toMatchObject({
      code: '42501',
      message: expect.stringMatching(
        /^row-level security filters what clerk sees of .*execution_traces.*: the archive would be incomplete$/,
      ) as string,
      hint: `use the tables' owner, service_role, or a role with BYPASSRLS`,
    });
  });
  await as('clerk', async () => {
    await expect(owner.query('SELECT prune_patterns(dry_run => true)')).rejects.toThrow(
      'row-level security filters what clerk sees of pattern_usage_log, success_patterns: the pruning would be incomplete',
    );
  });
});

test('service_role, whose policy lets everything pass, may archive and prune without BYPASSRLS', async () => {
  await owner.query('BEGIN');
  await addTrace(owner, { tree: 'one' });
  await owner.query('SET LOCAL ROLE service_role');
  expect(await archiveBatch(owner)).toMatchObject({ trees: 1, hook_executions: 2 });
  const { rows } = await owner.query('SELECT patterns::int FROM prune_patterns()');
  expect(rows).toEqual([{ patterns: 0 }]);
  await owner.query('ROLLBACK');
});

test('a restrictive policy over service_role is a filter again', async () => {
  await owner.query(
    `CREATE POLICY narrow ON hook_executions AS RESTRICTIVE FOR ALL TO service_role USING (hook_type = 'Stop')`,
  );
  await as('service_role', async () => {
    await expect(archiveBatch(owner)).rejects.toThrow(
      'row-level security filters what service_role sees of hook_executions: the archive would be incomplete',
    );
  });
  await owner.query('DROP POLICY narrow ON hook_executions');
});

test('the owner under FORCE ROW LEVEL SECURITY is refused, too', async () => {
  await owner.query('BEGIN; ALTER TABLE endpoint_calls FORCE ROW LEVEL SECURITY');
  // app is a member of service_role, whose policy would let it pass: only without that is it filtered.
  await owner.query('DROP POLICY endpoint_calls_service_role ON endpoint_calls');
  await expect(archiveBatch(owner)).rejects.toThrow(
    'row-level security filters what app sees of endpoint_calls',
  );
  await owner.query('ROLLBACK');
});

test.each([
  'find_similar_patterns',
  'get_trace_timeline',
  'record_pattern_usage',
  'archive_traces',
  'prune_patterns',
])('%s runs with the rights of its caller, and not for everybody', async (name) => {
  const { rows } = await owner.query(
    `SELECT prosecdef AS definer, COALESCE(proacl::text, '{=X/}') ~ '[{,]=' AS open, l.lanname AS language,
            EXISTS (SELECT FROM unnest(proconfig) AS setting
                    WHERE setting = 'search_path=public, extensions, pg_temp') AS has_path
     FROM pg_proc p JOIN pg_language l ON l.oid = prolang
     WHERE proname = $1 AND pronamespace = 'public'::regnamespace`,
    [name],
  );
  expect(rows).toEqual([{ definer: false, open: false, language: 'plpgsql', has_path: true }]);
});
