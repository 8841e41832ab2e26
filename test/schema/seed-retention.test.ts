import { expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { psql } from '../helpers/psql.js';
import { schemaFiles } from '../helpers/template.js';
import { corrected, printed } from './seed/blocks.js';
import { runBlock } from './seed/run.js';

/** Two old traces and one new, each with a decision, a hook and a call of that hook; logs and patterns of every kind. */
const history = `
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
    SELECT id, id, id, name, 'completed', now() - age
    FROM (SELECT gen_random_uuid() AS id, name, age::interval
          FROM (VALUES ('old', '91 days'), ('older', '400 days'), ('new', '89 days')) AS t (name, age)) AS trace;
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
    SELECT id, 'a', 1, 'explicit' FROM execution_traces;
  INSERT INTO hook_executions (trace_id, hook_type, hook_name) SELECT id, 'Stop', source FROM execution_traces;
  INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method)
    SELECT trace_id, id, 's', 'u', 'GET' FROM hook_executions;
  INSERT INTO success_patterns
      (pattern_hash, intent_classification, total_usage_count, success_count, failure_count, last_used_at) VALUES
    ('poor',        'i', 4, 1, 3, now() - interval '31 days'),
    ('used enough', 'i', 5, 1, 4, now() - interval '31 days'),
    ('good',        'i', 4, 2, 2, now() - interval '31 days'),
    ('used lately', 'i', 4, 1, 3, now() - interval '29 days'),
    ('never used',  'i', 0, 0, 0, NULL);
  INSERT INTO pattern_usage_log (pattern_id, used_at)
    SELECT id, now() - age::interval FROM success_patterns, unnest(ARRAY['181 days', '179 days']) AS age
    WHERE pattern_hash = 'good'`;

async function prepared(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  await database.query(history);
  return database;
}

const list = async (database: TestDatabase, sql: string) =>
  (await database.query<{ value: string }>(sql)).rows.map(({ value }) => value);

/** Traces that live, and those in the archive. */
async function places(database: TestDatabase) {
  return {
    live: await list(database, 'SELECT source AS value FROM execution_traces ORDER BY 1'),
    archived: await list(
      database,
      'SELECT source AS value FROM execution_traces_archive ORDER BY 1',
    ),
  };
}

/** Decisions, hooks and calls that are anywhere: nine were written. */
async function childrenLeft(database: TestDatabase): Promise<number> {
  const tables = ['agent_routing_decisions', 'hook_executions', 'endpoint_calls'];
  const counts = await list(
    database,
    tables
      .flatMap((table) => [table, `${table}_archive`])
      .map((table) => `SELECT count(*)::text AS value FROM ${table}`)
      .join(' UNION ALL '),
  );
  return counts.reduce((sum, count) => sum + Number(count), 0);
}

const patterns = (database: TestDatabase) =>
  list(database, 'SELECT pattern_hash AS value FROM success_patterns ORDER BY 1');

const remaining = {
  patterns: ['good', 'never used', 'used enough', 'used lately'],
  logs: ['1'],
};

async function expectPruned(database: TestDatabase): Promise<void> {
  expect(await patterns(database)).toEqual(remaining.patterns);
  expect(await list(database, 'SELECT count(*)::text AS value FROM pattern_usage_log')).toEqual(
    remaining.logs,
  );
}

test.each(['schema-readme/08-retention.sql', 'local-deployment/08-retention.sql'])(
  'retention corrected for %s: every row is in exactly one place, and the same is pruned',
  async (file) => {
    const database = await prepared();
    await runBlock(database.pool, corrected(file));
    expect(await places(database)).toEqual({ live: ['new'], archived: ['old', 'older'] });
    expect(await childrenLeft(database)).toBe(9);
    await expectPruned(database);
  },
);

test('the printed archive table is there already; the printed move loses the children', async () => {
  const database = await prepared();
  const [create = '', ...rest] = printed('schema-readme/08-retention.sql').split(/(?<=ALL\);)\n/);
  await expect(database.query(create)).rejects.toThrow(
    'relation "execution_traces_archive" already exists',
  );
  await runBlock(database.pool, rest.join('\n'));
  expect(await places(database)).toEqual({ live: ['new'], archived: ['old', 'older'] });
  expect(await childrenLeft(database)).toBe(3);
  await expectPruned(database);
});

test('the printed block runs beside the twelve files, and 013 keeps and completes that archive', async () => {
  const database = await createTestDatabase({ schema: false });
  const files = schemaFiles();
  await psql(database.url, { files: files.slice(0, 12) });
  await database.query(history);
  await runBlock(database.pool, printed('schema-readme/08-retention.sql'));
  expect(await places(database)).toEqual({ live: ['new'], archived: ['old', 'older'] });
  await expectPruned(database);

  // LIKE … INCLUDING ALL copies no foreign keys, triggers or policies.
  expect(
    await list(
      database,
      `SELECT conname AS value FROM pg_constraint WHERE conrelid = 'execution_traces_archive'::regclass AND contype = 'f'
       UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = 'execution_traces_archive'::regclass`,
    ),
  ).toEqual([]);

  expect(await psql(database.url, { files: files.slice(12) })).toMatchObject({ exitCode: 0 });
  expect(
    await list(
      database,
      'SELECT source AS value FROM execution_traces_archive WHERE archived_at IS NOT NULL ORDER BY 1',
    ),
  ).toEqual(['old', 'older']);
});

test('what the second document calls archiving deletes the traces with their children', async () => {
  const database = await prepared();
  await runBlock(database.pool, printed('local-deployment/08-retention.sql'));
  expect(await places(database)).toEqual({ live: ['new'], archived: [] });
  expect(await childrenLeft(database)).toBe(3);
});
