import { expect, test } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { psql } from '../helpers/psql.js';
import { functions, views } from './counts.js';
import { corrected, correctedFile, pathOf, printed } from './seed/blocks.js';
import { runBlock } from './seed/run.js';

const names = (rows: unknown[], column: string) =>
  rows.map((row) => (row as Record<string, unknown>)[column]);

test('verification: without parentheses the tables of other schemas are listed too', async () => {
  const database = await createTestDatabase();
  await database.query('CREATE SCHEMA shop; CREATE TABLE shop.knitting_pattern ()');
  const file = 'schema-readme/05-verification.sql';

  const wrong = await runBlock(database.pool, printed(file));
  expect(names(wrong[0]?.rows ?? [], 'table_name')).toContain('knitting_pattern');

  const [tables, indexes, viewRows, routines, extension] = await runBlock(
    database.pool,
    corrected(file),
  );
  // The five core tables, the archive and the two views whose names hold "trace" or "pattern": not all eight tables.
  expect(names(tables?.rows ?? [], 'table_name').sort()).toEqual([
    'agent_chaining_patterns',
    'error_patterns',
    'execution_traces',
    'execution_traces_archive',
    'pattern_effectiveness',
    'pattern_usage_log',
    'success_patterns',
    'trace_summary',
  ]);
  expect(indexes?.rows).toHaveLength(48);
  expect(names(viewRows?.rows ?? [], 'table_name').sort()).toEqual(views);
  expect(names(routines?.rows ?? [], 'routine_name')).toEqual(expect.arrayContaining(functions));
  expect(extension?.rows).toHaveLength(1);
});

test('test deployment: 8 tables, 3 dimensions, the ids of the inserted trace', async () => {
  const database = await createTestDatabase();
  const file = 'local-deployment/03-test-deployment.sql';
  await expect(database.query(printed(file))).rejects.toThrow('syntax error at or near "psql"');

  const [count, dimensions, inserted] = await runBlock(database.pool, corrected(file));
  expect(count?.rows).toEqual([{ count: '8' }]);
  expect(dimensions?.rows).toEqual([{ vector_dims: 3 }]);
  const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;
  expect(inserted?.rows).toEqual([{ id: uuid, correlation_id: uuid }]);

  const { rows } = await database.query(
    'SELECT source, status, success, duration_ms >= 0 AS timed FROM execution_traces',
  );
  expect(rows).toEqual([{ source: 'local_test', status: 'completed', success: true, timed: true }]);
});

test('test views: they work immediately, with zeros on an empty database', async () => {
  const database = await createTestDatabase();
  const [summary, patterns, agents] = await runBlock(
    database.pool,
    printed('local-deployment/04-test-views.sql'),
  );
  const row = summary?.rows[0] as Record<string, unknown>;
  expect(summary?.rows).toHaveLength(1);
  expect(Object.keys(row).filter((name) => row[name] === null)).toEqual(['most_used_agent']);
  expect(patterns?.rows).toEqual([]);
  expect(agents?.rows).toEqual([]);
});

test('monitoring: pg_stat_user_indexes calls its columns relname and indexrelname', async () => {
  const database = await createTestDatabase();
  await database.query(`
    INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
      SELECT id, id, id, 'monitoring', status FROM (SELECT gen_random_uuid() AS id, status
        FROM unnest(ARRAY['completed', 'completed', 'failed']) AS status) AS trace;
    INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, failure_count)
      SELECT n::text, 'i', n, 20 - n FROM generate_series(1, 12) AS n`);
  const file = 'schema-readme/09-monitoring.sql';
  await expect(database.query(printed(file))).rejects.toThrow('column "tablename" does not exist');

  const [sizes, usage, activity, best] = await runBlock(database.pool, corrected(file));
  expect(names(sizes?.rows ?? [], 'tablename')).toEqual(
    expect.arrayContaining(['execution_traces', 'execution_traces_archive']),
  );
  expect(names(usage?.rows ?? [], 'indexrelname')).toEqual(
    expect.arrayContaining(['idx_pattern_embedding', 'execution_traces_pkey']),
  );
  expect(activity?.rows).toEqual(
    expect.arrayContaining([
      { count: '2', status: 'completed' },
      { count: '1', status: 'failed' },
    ]),
  );
  expect(names(best?.rows ?? [], 'pattern_hash')).toEqual(
    [...Array(10).keys()].map((n) => String(12 - n)),
  );
});

test('extension not found: CREATE EXTENSION fails where it is, \\dx is for psql only', async () => {
  const file = 'schema-readme/10-pgvector-not-found.sql';
  const database = await createTestDatabase({ schema: false });
  const first = await psql(database.url, { files: [pathOf(file)] });
  expect(first.exitCode).toBe(0);
  expect(first.stdout).toMatch(/^vector\|/);
  const second = await psql(database.url, { files: [pathOf(file)] });
  expect(second.stderr).toContain('extension "vector" already exists');
  await expect(database.query('\\dx vector')).rejects.toThrow('syntax error at or near "\\"');

  for (const run of ['first', 'second']) {
    const fresh = await createTestDatabase({ schema: false, extensions: run === 'second' });
    const result = await psql(fresh.url, { files: [pathOf(correctedFile(file))] });
    expect(result, run).toMatchObject({ exitCode: 0 });
    expect(result.stdout, run).toMatch(/^vector\|\d/);
  }
});
