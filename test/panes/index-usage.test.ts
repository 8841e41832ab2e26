import { beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { indexUsage } from '../../src/panes/index-usage.js';
import { recommendedLists } from '../../src/shared/vector-lists.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh, readWith } from './open.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

async function row(name: string) {
  const { rows } = await readFresh(await openDatabase(database.url), indexUsage);
  return rows.find(({ index }) => index === name);
}

test('shows every index of the schema with the scans and size that the statistics have', async () => {
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test' FROM generate_series(1, 2000)`,
  );
  await database.query('ANALYZE execution_traces');
  // In one go: the counters of a session are told when its transaction ends.
  await database.query(
    `SELECT FROM execution_traces WHERE id = '00000000-0000-4000-8000-000000000000';
     SELECT pg_stat_force_next_flush()`,
  );
  const { rows, extras } = await readFresh(await openDatabase(database.url), indexUsage);
  const plain = await database.query<{
    index: string;
    scans: string;
    bytes: string;
    last: Date | null;
  }>(
    `SELECT indexrelname AS index, idx_scan AS scans, pg_relation_size(indexrelid) AS bytes,
       last_idx_scan AS last
     FROM pg_stat_user_indexes WHERE schemaname = 'public'`,
  );
  const bySize = (a: { index: string }, b: { index: string }) => a.index.localeCompare(b.index);
  expect(
    rows
      .map(({ index, scans, bytes, lastScan }) => ({ index, scans, bytes, last: lastScan }))
      .sort(bySize),
  ).toEqual(
    plain.rows
      .map(({ index, scans, bytes, last }) => ({
        index,
        scans: Number(scans),
        bytes: Number(bytes),
        last,
      }))
      .sort(bySize),
  );
  expect(rows.find(({ index }) => index === 'execution_traces_pkey')?.scans).toBeGreaterThan(0);
  expect(extras.indexes).toBe(plain.rows.length);
});

test('an unused index is called so, a key that nobody reads is not', async () => {
  expect(await row('idx_execution_traces_tags')).toMatchObject({ advice: 'unused' });
  expect(await row('error_patterns_fingerprint_key')).toMatchObject({ advice: null, unique: true });
});

test('a broken concurrent rebuild leaves an index that is named as a leftover', async () => {
  await database.query(
    `CREATE INDEX idx_test ON endpoint_calls (http_method);
     CREATE INDEX idx_test_ccnew ON endpoint_calls (http_method)`,
  );
  await database.query(
    `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_test_ccnew'::regclass`,
  );
  expect(await row('idx_test_ccnew')).toMatchObject({
    state: 'leftover',
    advice: 'left by a broken rebuild: :clean-up drops it',
  });
  await database.query('ALTER INDEX idx_test_ccnew RENAME TO idx_test_plain');
  expect(await row('idx_test_plain')).toMatchObject({ state: 'invalid' });
  // Without the index that it was to replace nobody knows whose it is.
  await database.query('ALTER INDEX idx_test_plain RENAME TO idx_other_ccnew');
  expect(await row('idx_other_ccnew')).toMatchObject({ state: 'invalid' });
  await database.query('DROP INDEX idx_other_ccnew, idx_test');
});

test('an embedding index built before the embeddings came asks for a rebuild until it is rebuilt', async () => {
  // Random, because equal numbers are compressed and stored in line, which no real embedding is.
  await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
     SELECT 'hash-' || i, 'test', (SELECT array_agg(random()) FROM generate_series(1, 1536 + 0 * i))::vector
     FROM generate_series(1, 600) AS i;
     -- What a session has counted and not told yet would be added to what ANALYZE finds.
     SELECT pg_stat_force_next_flush()`,
  );
  await database.query('ANALYZE success_patterns');
  expect(await row('idx_pattern_embedding')).toMatchObject({
    method: 'ivfflat',
    lists: 100,
    recommendedLists: 100,
    builtEmpty: true,
    advice: 'built on an almost empty table: rebuild it',
  });
  await database.query('REINDEX INDEX idx_pattern_embedding');
  expect(await row('idx_pattern_embedding')).toMatchObject({ builtEmpty: false });
});

test('rows without an embedding do not make its index look too small', async () => {
  const trace = '(SELECT id FROM execution_traces LIMIT 1)';
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
     SELECT c, c, c, 'test' FROM gen_random_uuid() AS c;
     INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, query_embedding)
     SELECT ${trace}, 'agent', 0.9, 'explicit', CASE WHEN i <= 150 THEN
       (SELECT array_agg(random()) FROM generate_series(1, 1536 + 0 * i))::vector END
     FROM generate_series(1, 1500) AS i;
     SELECT pg_stat_force_next_flush()`,
  );
  await database.query('REINDEX INDEX idx_routing_embedding');
  await database.query('ANALYZE agent_routing_decisions');
  expect(await row('idx_routing_embedding')).toMatchObject({ builtEmpty: false });
  await database.query('TRUNCATE execution_traces CASCADE');
});

test('lists follow the rows: twice their square root, up to 1,000, and never fewer than the schema has', () => {
  expect([0, 5_000, 100_000, 400_000, 1_000_000, 4_000_000].map(recommendedLists)).toEqual([
    100, 141, 632, 1_000, 1_000, 2_000,
  ]);
});

test('an index that another session has locked keeps its last size and names the process', async () => {
  const console_ = await openDatabase(database.url);
  const reader = indexUsage.createReader();
  const before = await readWith(console_, indexUsage, reader);
  const locker = new pg.Client({ connectionString: database.url });
  await locker.connect();
  try {
    const { rows: self } = await locker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await locker.query('BEGIN; REINDEX INDEX idx_endpoint_calls_service');
    const during = await readWith(console_, indexUsage, reader);
    const of = ({ rows }: typeof before) =>
      rows.find(({ index }) => index === 'idx_endpoint_calls_service');
    expect(of(during)).toMatchObject({
      bytes: of(before)?.bytes,
      lockedBy: self[0]?.pid,
      advice: `locked by pid ${self[0]?.pid ?? 0}`,
    });
    expect(during.rows).toHaveLength(before.rows.length);
  } finally {
    await locker.query('ROLLBACK');
    await locker.end();
  }
});

test('tells since when the counters count', async () => {
  const console_ = await openDatabase(database.url);
  await database.query('SELECT pg_stat_reset()');
  const { extras, asOf } = await readFresh(console_, indexUsage);
  expect(extras.countersReset).toBe(true);
  expect(asOf.getTime() - extras.countersSince.getTime()).toBeLessThan(60_000);
});
