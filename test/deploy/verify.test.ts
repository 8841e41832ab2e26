import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applySchema } from '../../src/deploy/apply.js';
import { readCatalogue, manifest, manifestOf } from '../../src/deploy/catalogue.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { openConsole } from './helpers.js';

let server: PrivateServer;

beforeAll(async () => {
  // A server of its own: the roles belong to the whole server.
  server = await startPrivateServer();
});
afterAll(async () => {
  await server.stop();
});

describe('a complete deployment', () => {
  it('without the roles is good, with the policies skipped', async () => {
    const test = await createTestDatabase();
    const { stdout, exitCode } = await runCli(['schema', 'verify', '--url', test.url]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/Component +Expected +Deployed +Status/);
    expect(stdout).toMatch(/indexes +60 +60 +ok/);
    expect(stdout).toMatch(/policies +16 +0 +skipped/);
  });

  it('with the roles has all objects, as --json tells, and the manifest is what the files make', async () => {
    const url = await server.createDatabase('complete', { schema: false });
    const database = await openConsole(url);
    await applySchema(database, { rls: true });
    const catalogue = await database.transaction({}, (tx) => readCatalogue(tx, 'public'));
    // Servers of other versions print expressions with other parentheses.
    if (Math.floor(database.capabilities.serverVersion / 10_000) === 17) {
      expect(manifestOf(catalogue)).toEqual(manifest);
    }
    const { stdout, exitCode } = await runCli(['schema', 'verify', '--json', '--url', url]);
    expect(exitCode).toBe(0);
    const objects = [
      ['tables', 8],
      ['archives', 4],
      ['indexes', 60],
      ['views', 5],
      ['functions', 6],
      ['triggers', 8],
      ['policies', 16],
      ['extensions', 2],
    ].map(([component, count]) => ({ component, expected: count, deployed: count, status: 'ok' }));
    expect(JSON.parse(stdout)).toEqual({ ok: true, objects, differences: [] });
    await database.close();
  });

  it('is complete whatever a role or database sets for the printing of definitions', async () => {
    const test = await createTestDatabase();
    await test.query(`ALTER DATABASE ${test.name} SET quote_all_identifiers = on;
      ALTER DATABASE ${test.name} SET standard_conforming_strings = off`);
    const database = await openConsole(test.url);
    expect(await verifySchema(database)).toMatchObject({ ok: true, differences: [] });
    await database.close();
  });

  it('can be verified by a role without any privilege on it', async () => {
    const url = await server.createDatabase('for_reader', { schema: false });
    const admin = await openConsole(url);
    await applySchema(admin, { rls: true });
    await admin.transaction({}, (tx) => tx.query(`CREATE ROLE stranger LOGIN PASSWORD 's'`));
    await admin.close();
    const asStranger = new URL(url);
    asStranger.username = 'stranger';
    asStranger.password = 's';
    const database = await openConsole(asStranger.href);
    expect(await verifySchema(database)).toMatchObject({ ok: true });
    await database.close();
  });
});

describe('a difference', () => {
  it.each([
    [
      'tables',
      'ALTER TABLE execution_traces DROP COLUMN model CASCADE',
      'execution_traces',
      /lacks column model/,
    ],
    [
      'tables',
      'ALTER TABLE hook_executions ALTER COLUMN status DROP NOT NULL',
      'hook_executions',
      /nullability in status/,
    ],
    [
      'tables',
      'ALTER TABLE endpoint_calls DROP CONSTRAINT endpoint_calls_trace_id_fkey',
      'endpoint_calls',
      /FOREIGN KEY/,
    ],
    [
      'tables',
      'ALTER TABLE execution_traces ADD COLUMN extra text',
      'execution_traces',
      /unlike its archive, column extra/,
    ],
    [
      'tables',
      'ALTER TABLE hook_executions ADD COLUMN "constructor" text',
      'hook_executions',
      /unlike its archive, column constructor/,
    ],
    ['archives', 'DROP TABLE hook_executions_archive', 'hook_executions_archive', /is missing/],
    ['indexes', 'DROP INDEX idx_execution_traces_root', 'idx_execution_traces_root', /is missing/],
    [
      'indexes',
      'DROP INDEX idx_execution_traces_root; CREATE INDEX idx_execution_traces_root ON execution_traces (session_id)',
      'idx_execution_traces_root',
      /another index/,
    ],
    ['views', 'DROP VIEW trace_summary', 'trace_summary', /is missing/],
    [
      'views',
      'ALTER VIEW trace_summary RESET (security_invoker)',
      'trace_summary',
      /security_invoker is off/,
    ],
    ['functions', 'DROP FUNCTION prune_patterns', 'prune_patterns(', /is missing/],
    [
      'functions',
      'ALTER FUNCTION archive_traces SECURITY DEFINER',
      'archive_traces(',
      /owner’s rights/,
    ],
    [
      'functions',
      'GRANT EXECUTE ON FUNCTION prune_patterns TO PUBLIC',
      'prune_patterns(',
      /every role/,
    ],
    [
      'triggers',
      'ALTER TABLE execution_traces DISABLE TRIGGER USER',
      'execution_traces.execution_traces_derived_columns',
      /is disabled/,
    ],
    [
      'triggers',
      'DROP TRIGGER error_patterns_derived_columns ON error_patterns',
      'error_patterns.error_patterns_derived_columns',
      /is missing/,
    ],
  ])('of %s is named: %s', async (component, sql, object, problem) => {
    const test = await createTestDatabase();
    await test.query(sql);
    const database = await openConsole(test.url);
    const { ok, objects, differences } = await verifySchema(database);
    expect(ok).toBe(false);
    const found = differences.filter((difference) => difference.component === component);
    expect(found).toHaveLength(1);
    expect(found[0]?.object).toContain(object);
    expect(found[0]?.problem).toMatch(problem);
    expect(objects.find((line) => line.component === component)?.status).toBe('differs');
    await database.close();
  });

  it.each([
    'ALTER INDEX idx_pattern_embedding SET (lists = 500)',
    'DROP INDEX idx_pattern_embedding; CREATE INDEX idx_pattern_embedding ON success_patterns USING hnsw (prompt_embedding vector_cosine_ops)',
    'CREATE INDEX idx_pattern_intent_ccnew ON success_patterns (intent_classification)',
    'CREATE TABLE somebody_elses (n int); CREATE INDEX ON execution_traces (source)',
    'ALTER TABLE execution_traces RENAME CONSTRAINT execution_traces_status_check TO other_name',
  ])('is none: %s', async (sql) => {
    const test = await createTestDatabase();
    await test.query(sql);
    const database = await openConsole(test.url);
    expect(await verifySchema(database)).toMatchObject({ ok: true, differences: [] });
    await database.close();
  });

  it('of the policies counts once the roles are there', async () => {
    const url = await server.createDatabase('policies', { schema: false });
    const database = await openConsole(url);
    await applySchema(database, { rls: true });
    await database.transaction({}, (tx) =>
      tx.query(`DROP POLICY error_patterns_authenticated ON error_patterns;
        DROP POLICY hook_executions_archive_authenticated ON hook_executions_archive;
        ALTER TABLE pattern_usage_log DISABLE ROW LEVEL SECURITY;
        ALTER POLICY execution_traces_authenticated ON execution_traces USING (true)`),
    );
    const { differences } = await verifySchema(database);
    expect(differences.map(({ object, problem }) => `${object} ${problem}`)).toEqual([
      'hook_executions_archive policy hook_executions_archive_authenticated is missing',
      'error_patterns.error_patterns_authenticated is missing',
      'execution_traces.execution_traces_authenticated has another expression',
      'pattern_usage_log.pattern_usage_log_authenticated has no effect: row-level security is off',
      'pattern_usage_log.pattern_usage_log_service_role has no effect: row-level security is off',
    ]);
    await database.close();
  });
});
