import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applySchema, planApply } from '../../src/deploy/apply.js';
import { buildIndexes } from '../../src/deploy/build-indexes.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { fingerprint, openConsole } from './helpers.js';

const olderShape = readFileSync(join(import.meta.dirname, 'older-shape.sql'), 'utf8');

/** The routing table of another program of the platform, known in the wild. */
const foreignRouting = `CREATE TABLE agent_routing_decisions (
  id uuid PRIMARY KEY, correlation_id uuid NOT NULL, user_request text NOT NULL,
  selected_agent text NOT NULL, confidence_score numeric(5,4), created_at timestamptz)`;

async function older() {
  const test = await createTestDatabase({ schema: false });
  await test.query(olderShape);
  return { test, database: await openConsole(test.url) };
}

describe("a database deployed by hand in the seed's older shape", () => {
  it('is compatible, and what it lacks is told by name', async () => {
    const { database } = await older();
    const plan = await planApply(database);
    expect(plan.kind).toBe('adopt');
    expect(plan.conflicts).toEqual([]);
    expect(new Set(plan.verdicts.map(({ verdict }) => verdict))).toEqual(new Set(['compatible']));
    const traces = plan.verdicts.find(({ table }) => table === 'execution_traces');
    expect(traces?.missingColumns).toEqual(
      expect.arrayContaining(['project', 'model', 'input_tokens', 'cost_usd']),
    );
    const { ok, differences } = await verifySchema(database);
    expect(ok).toBe(false);
    expect(differences).toContainEqual({
      component: 'indexes',
      object: 'idx_execution_traces_session',
      problem: 'is missing',
    });
    await database.close();
  });

  it('is changed by nothing but a confirmed apply', async () => {
    const { test, database } = await older();
    const before = await fingerprint(test);
    for (const args of [
      ['schema', 'apply'],
      ['schema', 'verify'],
      ['schema', 'apply', '--dry-run'],
    ]) {
      await runCli([...args, '--url', test.url]);
    }
    expect(await fingerprint(test)).toEqual(before);
    const { stdout, exitCode } = await runCli(['schema', 'apply', '--url', test.url]);
    expect(exitCode).toBe(4);
    expect(stdout).toContain('column execution_traces.project text');
    expect(stdout).toContain(
      'index idx_execution_traces_session on execution_traces, CONCURRENTLY',
    );
    await database.close();
  });

  it('gets what it lacks around what it has, and keeps every row, view and function', async () => {
    const { test, database } = await older();
    const kept = `SELECT md5(string_agg(t::text, ',' ORDER BY id)) AS sum FROM (
      SELECT id, correlation_id, status, duration_ms FROM execution_traces) AS t`;
    const [rowsBefore, view] = await Promise.all([
      test.query(kept),
      test.query(`SELECT pg_get_viewdef('pattern_effectiveness'::regclass) AS sql`),
    ]);
    const result = await applySchema(database);
    const built = await buildIndexes(database, result.plan.addIndexes);
    expect(built.failed).toEqual([]);
    expect((await test.query(kept)).rows).toEqual(rowsBefore.rows);
    expect(
      (await test.query(`SELECT pg_get_viewdef('pattern_effectiveness'::regclass) AS sql`)).rows,
    ).toEqual(view.rows);

    const { rows: columns } = await test.query<{ column_name: string }>(
      `SELECT column_name FROM information_schema.columns WHERE table_name = 'execution_traces'`,
    );
    expect(columns.map(({ column_name }) => column_name)).toEqual(
      expect.arrayContaining(['project', 'model', 'cost_usd']),
    );
    const { rows: archives } = await test.query(
      `SELECT relname FROM pg_class WHERE relname LIKE '%\\_archive' AND relkind = 'r'`,
    );
    expect(archives).toHaveLength(4);
    const { rows: rowSecurity } = await test.query(
      `SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity`,
    );
    expect(rowSecurity).toEqual([]);
    await database.close();
  });

  it('does not get a second index where one of another name covers the same', async () => {
    const { test, database } = await older();
    const { plan } = await applySchema(database);
    const offered = plan.addIndexes.map(({ name }) => name);
    expect(offered).toContain('idx_execution_traces_session');
    expect(offered).not.toContain('idx_execution_traces_root');
    expect(offered).not.toContain('idx_pattern_embedding');
    await buildIndexes(database, plan.addIndexes);
    const again = await planApply(database);
    expect(again.addIndexes).toEqual([]);
    const { rows } = await test.query(`SELECT 1 FROM pg_index WHERE NOT indisvalid`);
    expect(rows).toEqual([]);
    await database.close();
  });

  it('is done when nothing is left to create: the next apply changes nothing', async () => {
    const { test, database } = await older();
    await database.close();
    const args = ['schema', 'apply', '--yes', '--json', '--url', test.url];
    expect(JSON.parse((await runCli(args)).stdout)).toMatchObject({ kind: 'adopt' });
    const before = await fingerprint(test);
    expect(JSON.parse((await runCli(args)).stdout)).toMatchObject({ applied: [] });
    expect(await fingerprint(test)).toEqual(before);
  });

  it('gets no trigger that would run a function of others by the name of ours', async () => {
    const { test, database } = await older();
    await test.query(`CREATE FUNCTION maintain_derived_columns() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE 'not for you'; END $$`);
    const { failed } = await applySchema(database);
    expect(failed.map(({ reason }) => reason)).toContainEqual(
      expect.stringContaining('the function maintain_derived_columns() is not ours'),
    );
    const { rows } = await test.query(
      `SELECT 1 FROM pg_trigger WHERE tgname LIKE '%derived_columns'`,
    );
    expect(rows).toEqual([]);
    await test.query(`UPDATE execution_traces SET status = 'failed'`);
    await database.close();
  });

  it('keeps its writers working where a duration does not fit into its own column', async () => {
    const { test, database } = await older();
    await applySchema(database);
    await test.query(`INSERT INTO execution_traces (correlation_id, root_id, session_id, source, started_at)
      VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'forgotten', now() - interval '40 days')`);
    const { rows } = await test.query(
      `UPDATE execution_traces SET status = 'timeout' WHERE source = 'forgotten'
       RETURNING success, completed_at IS NOT NULL AS completed, duration_ms`,
    );
    expect(rows).toEqual([{ success: false, completed: true, duration_ms: null }]);
    await database.close();
  });

  it('gets no trigger that could not work with its types, and says which', async () => {
    const test = await createTestDatabase({ schema: false });
    await test.query(olderShape);
    await test.query('ALTER TABLE execution_traces ALTER success TYPE smallint USING success::int');
    const database = await openConsole(test.url);
    const { failed } = await applySchema(database);
    expect(failed.map(({ reason }) => reason)).toContain(
      'no trigger was added: execution_traces: success is smallint',
    );
    await test.query(`INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, success)
      VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'old_writer', 'completed', 1)`);
    await database.close();
  });

  it('keeps its writers working, beside the new triggers', async () => {
    const { test, database } = await older();
    await applySchema(database);
    const { rows } = await test.query<{ success: boolean; duration_ms: number }>(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, duration_ms)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'old_writer', 'failed', 7)
       RETURNING success, duration_ms`,
    );
    expect(rows).toEqual([{ success: false, duration_ms: 7 }]);
    await test.query(
      `UPDATE execution_traces SET status = 'completed' WHERE source = 'old_writer'`,
    );
    await database.close();
  });
});

describe('a table that is missing', () => {
  it('comes with its indexes, and protected where the others are', async () => {
    const test = await createTestDatabase();
    await test.query(`ALTER TABLE execution_traces ENABLE ROW LEVEL SECURITY;
      DROP TABLE endpoint_calls CASCADE`);
    const args = ['schema', 'apply', '--yes', '--url', test.url];
    const { exitCode, stdout } = await runCli(args);
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
    const { rows } = await test.query(
      `SELECT relrowsecurity AS protected, (SELECT count(*)::int FROM pg_index WHERE indrelid = c.oid) AS indexes
       FROM pg_class AS c WHERE oid = 'endpoint_calls'::regclass`,
    );
    expect(rows).toEqual([{ protected: true, indexes: 8 }]);
    expect((await runCli(['schema', 'verify', '--url', test.url])).exitCode).toBe(0);
    expect((await runCli(args)).stdout).toContain('Nothing to do');
  });
});

describe('an index that is missing', () => {
  async function indexOf(test: Awaited<ReturnType<typeof createTestDatabase>>, schema: string) {
    const { rows } = await test.query<{ valid: boolean }>(
      `SELECT indisvalid AS valid FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid
       WHERE c.relname = 'idx_execution_traces_root' AND c.relnamespace::regnamespace = $1::text::regnamespace`,
      [schema],
    );
    return rows;
  }

  it('is built anew where a killed build left it invalid', async () => {
    const test = await createTestDatabase();
    await test.query(`UPDATE pg_index SET indisvalid = false
      WHERE indexrelid = 'idx_execution_traces_root'::regclass`);
    const { exitCode, stdout } = await runCli(['schema', 'apply', '--yes', '--url', test.url]);
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
    expect(stdout).toContain('Created: idx_execution_traces_root.');
    expect(await indexOf(test, 'public')).toEqual([{ valid: true }]);
  });

  it('stays as it is while another session works on its table', async () => {
    const test = await createTestDatabase();
    await test.query(`UPDATE pg_index SET indisvalid = false
      WHERE indexrelid = 'idx_execution_traces_root'::regclass`);
    const other = await test.pool.connect();
    await other.query('BEGIN; LOCK TABLE execution_traces IN SHARE UPDATE EXCLUSIVE MODE');
    const { exitCode, stdout } = await runCli(['schema', 'apply', '--yes', '--url', test.url]);
    await other.query('ROLLBACK');
    other.release();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /Not created: idx_execution_traces_root: .*process \d+ works on its table/,
    );
    expect(await indexOf(test, 'public')).toEqual([{ valid: false }]);
  });

  it('is built in a schema whose name has a meaning in a replacement text', async () => {
    const test = await createTestDatabase({ schema: false, extensions: true });
    const args = ['schema', 'apply', '--yes', '--schema', 'a$&b', '--url', test.url];
    expect((await runCli(args)).exitCode).toBe(0);
    await test.query('DROP INDEX "a$&b".idx_execution_traces_root');
    expect((await runCli(args)).exitCode).toBe(0);
    expect(await indexOf(test, '"a$&b"')).toEqual([{ valid: true }]);
  });

  it('is built once by two that apply at once', async () => {
    const test = await createTestDatabase();
    await test.query('DROP INDEX idx_execution_traces_root');
    const consoles = await Promise.all([openConsole(test.url), openConsole(test.url)]);
    const results = await Promise.all(
      consoles.map(async (console) => {
        const { plan } = await applySchema(console);
        return buildIndexes(console, plan.addIndexes);
      }),
    );
    expect(results.flatMap(({ applied }) => applied)).toEqual(['idx_execution_traces_root']);
    expect(results.flatMap(({ failed }) => failed)).toEqual([]);
    expect(await indexOf(test, 'public')).toEqual([{ valid: true }]);
    await Promise.all(consoles.map((console) => console.close()));
  });
});

describe('a table of the same name that is not ours', () => {
  it('is named, refused and untouched', async () => {
    const test = await createTestDatabase({ schema: false });
    await test.query(foreignRouting);
    const before = await fingerprint(test);
    for (const args of [
      ['schema', 'apply', '--yes'],
      ['schema', 'reset', '--yes'],
    ]) {
      const { exitCode, stderr } = await runCli([...args, '--url', test.url]);
      expect(exitCode).toBe(4);
      expect(stderr).toContain('agent_routing_decisions');
      expect(stderr).toContain('trace_id');
    }
    const verified = await runCli(['schema', 'verify', '--json', '--url', test.url]);
    expect(verified.exitCode).toBe(1);
    expect(verified.stdout).toContain('agent_routing_decisions');
    expect(await fingerprint(test)).toEqual(before);
  });

  it('is refused also when it is a view, or keeps its times without a zone', async () => {
    for (const [sql, reason] of [
      ['CREATE VIEW execution_traces AS SELECT 1 AS id', 'it is a view'],
      [
        olderShape.replace('started_at timestamptz', 'started_at timestamp'),
        'started_at is timestamp',
      ],
    ] as const) {
      const test = await createTestDatabase({ schema: false });
      await test.query(sql);
      const database = await openConsole(test.url);
      await expect(applySchema(database)).rejects.toMatchObject({
        code: 'schema_incompatible',
        message: expect.stringContaining(reason) as string,
      });
      await database.close();
    }
  });
});
