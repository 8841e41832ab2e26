import { beforeAll, expect, it } from 'vitest';
import { runCli, type CliResult } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';

/** As whoever expects many rows does by hand: the same columns, a part for each span of time, a key that holds the time. */
const byHand = `
  ALTER TABLE endpoint_calls DROP CONSTRAINT endpoint_calls_hook_execution_id_fkey;
  ALTER TABLE hook_executions RENAME TO hooks_before;
  CREATE TABLE hook_executions (LIKE hooks_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED)
    PARTITION BY RANGE (started_at);
  DROP TABLE hooks_before CASCADE;
  ALTER TABLE hook_executions ADD PRIMARY KEY (id, started_at);
  CREATE TABLE hook_executions_old PARTITION OF hook_executions FOR VALUES FROM (MINVALUE) TO ('2026-01-01')
    PARTITION BY RANGE (started_at);
  CREATE TABLE hook_executions_old_rest PARTITION OF hook_executions_old DEFAULT;
  CREATE TABLE hook_executions_new PARTITION OF hook_executions DEFAULT;
  INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, status, started_at)
    SELECT id, id, id, id, 'test', 'completed', '2025-06-01' FROM gen_random_uuid() AS id;
  INSERT INTO hook_executions (trace_id, hook_type, hook_name, started_at)
    SELECT id, 'PreToolUse', 'guard', at FROM execution_traces, unnest(ARRAY[timestamptz '2025-06-01', '2026-06-01']) AS at`;

let test: TestDatabase;

beforeAll(async () => {
  test = await createTestDatabase();
  await test.query(byHand);
});

function run(line: string): Promise<CliResult> {
  return runCli([...line.split(' '), '--url', test.url]);
}

it('gets its indexes, built on its partitions without stopping writers, and keeps them', async () => {
  expect(await run('schema apply --yes')).toMatchObject({ exitCode: 0 });
  const { rows } = await test.query(
    `SELECT x.indisvalid AS valid, (SELECT count(*)::int FROM pg_partition_tree(i.oid) WHERE isleaf) AS parts
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
     WHERE x.indrelid = 'hook_executions'::regclass AND i.relname LIKE 'idx%'`,
  );
  expect(rows).toHaveLength(8);
  expect(rows).toEqual(Array(8).fill({ valid: true, parts: 2 }));
  const { stdout } = await run('schema verify');
  expect(stdout).not.toMatch(/idx_\w+/);
  expect((await run('schema apply --yes')).stdout).toContain('Nothing');
});

it('is vacuumed and analysed by its name', async () => {
  expect((await run('vacuum hook_executions --yes')).exitCode).toBe(0);
  expect((await run('analyze hook_executions --yes')).stdout).toContain('Analyzed hook_executions');
  const { rows } = await test.query(
    `SELECT relname::text AS table, vacuum_count::int AS vacuums FROM pg_stat_user_tables
     WHERE relname IN ('hook_executions_new', 'hook_executions_old_rest') ORDER BY 1`,
  );
  expect(rows).toEqual([
    { table: 'hook_executions_new', vacuums: 1 },
    { table: 'hook_executions_old_rest', vacuums: 1 },
  ]);
  expect((await run('vacuum --yes')).stdout).toContain('VACUUM "public"."hook_executions"');
});

it('is rebuilt by the name of the table, and of an index', async () => {
  const filesOf = async () => {
    const { rows } = await test.query<{ file: string }>(
      `SELECT relfilenode::text AS file FROM pg_partition_tree('hook_executions_pkey') AS part
       JOIN pg_class AS c ON c.oid = part.relid WHERE isleaf ORDER BY c.relname`,
    );
    return rows.map(({ file }) => file);
  };
  const before = await filesOf();
  expect(await run('reindex hook_executions_pkey --yes')).toMatchObject({ exitCode: 0 });
  const after = await filesOf();
  expect(after).toHaveLength(2);
  expect(after.filter((file) => before.includes(file))).toEqual([]);
  expect(await run('reindex --table hook_executions --yes')).toMatchObject({ exitCode: 0 });
  expect((await filesOf()).filter((file) => after.includes(file))).toEqual([]);
});

it('is counted as one, and archived', async () => {
  const { stdout } = await run('metrics');
  expect(stdout).toContain('trace_console_table_rows{table="hook_executions"} 2');
  const archived = await run('archive --older-than 90d --yes');
  expect(archived.stdout).toContain('Archived 1 trace and 2 rows');
});
