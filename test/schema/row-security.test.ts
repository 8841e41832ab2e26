import { join } from 'node:path';
import pg from 'pg';
import { beforeAll, afterAll, describe, expect, test } from 'vitest';
import { verifySchema } from '../../src/deploy/compare.js';
import { openConsole } from '../deploy/helpers.js';
import { runCli } from '../helpers/cli.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { psql } from '../helpers/psql.js';
import { runOnce, schemaFiles } from '../helpers/template.js';
import { countObjects, tables, views } from './counts.js';
import { dumpSchema, withSettings } from './dump.js';

// Roles belong to a whole server, so this one is the file's own.
let server: PrivateServer;
let owner: pg.Client;

const files = schemaFiles();

beforeAll(async () => {
  server = await startPrivateServer();
  await runOnce(
    server.adminUrl,
    `CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN;
     CREATE ROLE app LOGIN PASSWORD 'app'; GRANT anon, authenticated, service_role TO app`,
  );
  await runOnce(server.adminUrl, 'CREATE DATABASE traces OWNER app');
  // As Supabase has it: extensions in a schema of their own, new tables open to all three roles.
  await runOnce(
    server.url('traces'),
    `CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions;
     CREATE EXTENSION "uuid-ossp" SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO PUBLIC;
     ALTER SCHEMA public OWNER TO app;
     ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
     ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role`,
  );
  const result = await psql(appUrl(), { files });
  if (result.exitCode !== 0) throw new Error(result.stderr);
  owner = new pg.Client({ connectionString: appUrl() });
  await owner.connect();
  await owner.query(fill);
});

afterAll(async () => {
  await owner.end();
});

function appUrl(): string {
  const url = new URL(server.url('traces'));
  url.username = 'app';
  url.password = 'app';
  return url.href;
}

/** Each of ada and bob: a trace with a decision, a hook, a call and a use of the one pattern. */
const fill = `
  INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('p', 'i');
  INSERT INTO agent_chaining_patterns (chain_hash, primary_agent) VALUES ('c', 'a');
  INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern) VALUES ('e', 'E', 'm');
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, user_id)
    SELECT id, id, id, 'test', name
    FROM (SELECT gen_random_uuid() AS id, name FROM unnest(ARRAY['ada', 'bob', NULL]) AS name) AS person;
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
    SELECT id, 'a', 1, 'explicit' FROM execution_traces;
  INSERT INTO hook_executions (trace_id, hook_type, hook_name) SELECT id, 'Stop', 'h' FROM execution_traces;
  INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method)
    SELECT id, 's', 'u', 'GET' FROM execution_traces;
  INSERT INTO pattern_usage_log (pattern_id, trace_id) SELECT p.id, t.id FROM success_patterns p, execution_traces t`;

type Query = (sql: string) => Promise<pg.QueryResult<Record<string, unknown>>>;

/** Runs as PostgREST does: a role and the claims of its token, for one transaction that is rolled back. */
async function as<T>(role: string, claims: string, body: (query: Query) => Promise<T>): Promise<T> {
  await owner.query(`BEGIN; SET LOCAL ROLE ${role}`);
  try {
    await owner.query(`SELECT set_config('request.jwt.claims', $1, true)`, [claims]);
    return await body((sql) => owner.query(sql));
  } finally {
    await owner.query('ROLLBACK');
  }
}

const ada = JSON.stringify({ sub: 'ada', role: 'authenticated' });

async function visible(query: Query): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of tables) {
    const { rows } = await query(`SELECT count(*)::int AS n FROM ${table}`);
    counts[table] = rows[0]?.n as number;
  }
  return counts;
}

const patterns = { success_patterns: 1, agent_chaining_patterns: 1, error_patterns: 1 };

function seen(traces: number): Record<string, number> {
  const ofTraces = {
    execution_traces: traces,
    agent_routing_decisions: traces,
    hook_executions: traces,
    endpoint_calls: traces,
    pattern_usage_log: traces,
  };
  return { ...ofTraces, ...patterns };
}

test('with the roles, the counts are complete: 16 policies', async () => {
  expect(await countObjects(owner)).toMatchObject({ indexes: 60, functions: 6, policies: 16 });
});

test('a second run changes nothing, waits for nobody, and an administrator is not the owner', async () => {
  const before = await dumpSchema(server.url('traces'));
  await owner.query('BEGIN; UPDATE execution_traces SET project = project; TABLE trace_summary');
  const second = await psql(withSettings(appUrl(), { lock_timeout: '500ms' }), { files });
  await owner.query('COMMIT');
  expect(second).toMatchObject({ exitCode: 0 });
  expect(await dumpSchema(server.url('traces'))).toBe(before);
});

test('the owner sees and writes everything', async () => {
  expect(await visible((sql) => owner.query(sql))).toEqual(seen(3));
});

test('service_role sees and writes everything', async () => {
  await as('service_role', '', async (query) => {
    expect(await visible(query)).toEqual(seen(3));
    for (const table of tables) {
      const { rowCount } = await query(`UPDATE ${table} SET updated_at = now()`);
      expect(rowCount, table).toBe(seen(3)[table]);
    }
    expect((await query('DELETE FROM execution_traces')).rowCount).toBe(3);
  });
});

test.each([
  ['of its own', ada, 1],
  ['of a user without traces', JSON.stringify({ sub: 'eve' }), 0],
  ['without a sub', '{}', 0],
  ['without claims', '', 0],
])('authenticated reads the traces %s with all that belongs to them', async (_, claims, traces) => {
  expect(await as('authenticated', claims, visible)).toEqual(seen(traces));
});

test('authenticated reads the views, filtered in the same way', async () => {
  await as('authenticated', ada, async (query) => {
    const { rows } = await query('SELECT hook_count, endpoint_count FROM trace_summary');
    expect(rows).toEqual([{ hook_count: '1', endpoint_count: '1' }]);
    for (const view of views) await query(`SELECT * FROM ${view}`);
    const { rows: dashboard } = await query('SELECT total_traces FROM dashboard_summary');
    expect(dashboard).toEqual([{ total_traces: '1' }]);
  });
});

const archives = ['execution_traces_archive', 'hook_executions_archive'];

test.each(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'])(
  'anon may %s nothing, authenticated may only SELECT',
  async (privilege) => {
    const { rows } = await owner.query<{ name: string; anon: boolean; authenticated: boolean }>(
      `SELECT name, has_table_privilege('anon', name, $2) AS anon,
              has_table_privilege('authenticated', name, $2) AS authenticated
       FROM unnest($1::text[]) AS name`,
      [[...tables, ...views, ...archives], privilege],
    );
    expect(rows.filter((row) => row.anon)).toEqual([]);
    const expected = privilege === 'SELECT' ? rows : [];
    expect(rows.filter((row) => row.authenticated)).toEqual(expected);
  },
);

test('functions: anon none, authenticated those that read, service_role all', async () => {
  const { rows } = await owner.query<{ role: string; functions: string[] }>(
    `SELECT role, array_agg(proname::text ORDER BY proname) AS functions
     FROM unnest(ARRAY['anon', 'authenticated', 'service_role']) AS role, pg_proc
     WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype
       AND has_function_privilege(role, oid, 'EXECUTE')
     GROUP BY role ORDER BY role`,
  );
  expect(rows.map((row) => row.role)).toEqual(['authenticated', 'service_role']);
  expect(rows[0]?.functions).toEqual(['find_similar_patterns', 'get_trace_timeline']);
  expect(rows[1]?.functions).toEqual(
    expect.arrayContaining(['archive_traces', 'prune_patterns', 'record_pattern_usage']),
  );
});

test("the token's sub is read once a query", async () => {
  await as('authenticated', ada, async (query) => {
    const { rows } = await query('EXPLAIN SELECT * FROM execution_traces');
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('InitPlan');
  });
});

test('archived traces are protected as live ones are', async () => {
  await as('service_role', '', async (query) => {
    await query(`INSERT INTO execution_traces_archive (id, correlation_id, root_id, session_id, source, status, started_at,
        user_id, created_at, updated_at, context, tags)
      SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), session_id, source, status, started_at,
        user_id, created_at, updated_at, context, tags FROM execution_traces`);
    await query('SET LOCAL ROLE authenticated');
    await query(`SELECT set_config('request.jwt.claims', '${ada}', true)`);
    const { rows } = await query('SELECT user_id FROM execution_traces_archive');
    expect(rows).toEqual([{ user_id: 'ada' }]);
    await query('RESET ROLE');
  });
});

const privatePatterns = join(import.meta.dirname, '../../examples/sql/private-patterns.sql');

test('a policy on request keeps the patterns of others from a signed-in user, and verify knows it', async () => {
  await owner.query(
    `UPDATE success_patterns SET source_correlation_id = (SELECT correlation_id FROM execution_traces WHERE user_id = 'bob')`,
  );
  for (const run of ['first', 'again']) {
    expect(await psql(appUrl(), { files: [privatePatterns] }), run).toMatchObject({ exitCode: 0 });
  }
  const seenBy = async (user: string) => {
    await owner.query(`BEGIN; SET LOCAL ROLE authenticated;
      SET LOCAL request.jwt.claims = '{"sub": "${user}"}'`);
    const { rowCount } = await owner.query('SELECT FROM success_patterns');
    await owner.query('ROLLBACK');
    return rowCount;
  };
  expect([await seenBy('ada'), await seenBy('bob')]).toEqual([0, 1]);
  const database = await openConsole(appUrl());
  expect((await verifySchema(database)).differences).toEqual([]);
  await database.close();
});

describe('row by row, with the policy on request', () => {
  const asUser = (sub: string) => {
    const url = new URL(appUrl());
    url.searchParams.set(
      'options',
      `-c role=authenticated -c request.jwt.claims=${JSON.stringify({ sub })}`,
    );
    // In a URL a space is no plus.
    return url.href.replaceAll('+', '%20');
  };

  beforeAll(async () => {
    await owner.query(
      `UPDATE success_patterns SET source_correlation_id = (SELECT correlation_id FROM execution_traces WHERE user_id = 'bob')`,
    );
    expect(await psql(appUrl(), { files: [privatePatterns] })).toMatchObject({ exitCode: 0 });
  });

  test('authenticated reads of each table exactly the rows that belong to its traces', async () => {
    const ids = async (query: Query, table: string) =>
      (await query(`SELECT id FROM ${table} ORDER BY id`)).rows.map(({ id }) => id);
    const belongs: Record<string, string> = {
      execution_traces: `user_id = 'ada'`,
      success_patterns: `source_correlation_id IN (SELECT correlation_id FROM execution_traces WHERE user_id = 'ada')`,
      agent_chaining_patterns: 'true',
      error_patterns: 'true',
    };
    for (const table of tables) {
      const of =
        belongs[table] ?? `trace_id IN (SELECT id FROM execution_traces WHERE user_id = 'ada')`;
      const hers = await ids((sql) => owner.query(sql), `${table} WHERE ${of}`);
      expect(await as('authenticated', ada, (query) => ids(query, table)), table).toEqual(hers);
    }
  });

  test('the console shows these rows, and doctor says that it is a part', async () => {
    const { stdout } = await runCli(['traces', '--json', '--url', asUser('ada')]);
    const { rows } = await owner.query<{ id: string }>(
      `SELECT correlation_id AS id FROM execution_traces WHERE user_id = 'ada'`,
    );
    const shown = JSON.parse(stdout) as { total: number; traces: Record<string, unknown>[] };
    expect(shown).toMatchObject({ total: 1 });
    expect(JSON.stringify(shown.traces)).toContain(rows[0]?.id);
    const status = await runCli(['status', '--json', '--url', asUser('bob')]);
    const { panes } = JSON.parse(status.stdout) as {
      panes: Record<string, { rows: Record<string, unknown>[] }>;
    };
    expect(panes['slow-hooks']?.rows).toMatchObject([{ calls: 1 }]);
    const doctor = await runCli([
      'doctor',
      '--json',
      '--check',
      'role-access',
      '--url',
      asUser('bob'),
    ]);
    const report = JSON.parse(doctor.stdout) as { checks: Record<string, unknown>[] };
    expect(report.checks).toEqual([
      expect.objectContaining({
        severity: 'warning',
        evidence: expect.stringContaining('hides rows of') as string,
        fix: expect.stringContaining('is for users, each with rows of his own') as string,
        command: null,
      }),
    ]);
  });
});
