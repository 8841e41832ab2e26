import { beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import { indexUsage } from '../../src/panes/index-usage.js';
import { probesFor, recommendedLists } from '../../src/core/vector-lists.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { readIndexes, usualVerdictLimits, verdictOf } from '../../src/maintenance/index-verdict.js';
import { keepSizes } from '../../src/deploy/kept-sizes.js';
import { openConsoleTable } from '../../src/deploy/console-schema.js';
import { openDatabase, openRow, readFresh, readWith } from './open.js';

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
       -- From PostgreSQL 16 on.
       (to_jsonb(s) ->> 'last_idx_scan')::timestamptz AS last
     FROM pg_stat_user_indexes AS s WHERE schemaname = 'public'`,
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

const weekMs = 7 * 86_400_000;

test('an index without a scan is unused once the counters are a week old, in the pane as in doctor', async () => {
  const console_ = await openDatabase(database.url);
  await database.query(
    `CREATE INDEX "idx prompts; DROP" ON execution_traces (source, session_id, prompt_text);
     COMMENT ON INDEX "idx prompts; DROP" IS 'the traces of one source'`,
  );
  const found = await console_.transaction({ readOnly: true }, (tx) =>
    readIndexes(tx, console_.capabilities),
  );
  const { since } = found;
  const limits = { ...usualVerdictLimits, leastBytes: 8_192 };
  const verdict = (name: string, nowMs: number) => {
    const evidence = found.rows.find(({ index }) => index === name);
    return evidence && verdictOf(evidence, { nowMs, since, limits });
  };
  const name = 'idx prompts; DROP';
  expect(verdict(name, found.nowMs)?.text).toMatch(
    /^too early to say: counters are \w+ old, 7d are needed$/,
  );
  const nextWeek = found.nowMs + weekMs;
  expect(verdict(name, nextWeek)?.text).toMatch(/^unused for \d+d( or longer)?$/);
  expect(verdict('error_patterns_fingerprint_key', nextWeek)?.id).toBe('needed');
  expect(verdict('idx_hook_executions_trace', nextWeek)?.text).toMatch(/needed: foreign key /);
  expect(verdict('idx_error_recent', nextWeek)?.id).toBe('small');
  expect(verdict('execution_traces_pkey', nextWeek)?.id).toBe('used');

  expect(await row(name)).toMatchObject({
    verdict: 'early',
    advice: expect.stringMatching(/^too early: \w+ of 7d$/) as string,
    serves: 'the traces of one source',
    drop: null,
  });
  const { extras } = await readFresh(console_, indexUsage);
  expect(extras).toMatchObject({ unused: 0 });
  await database.query('DROP INDEX "idx prompts; DROP"');
});

test('a pane that is open shows at once what was altered, replaced or dropped, and asks for comments again only then', async () => {
  const console_ = await openDatabase(database.url);
  const reader = indexUsage.createReader();
  const shown = async (name: string) => {
    const { rows } = await readWith(console_, indexUsage, reader);
    return rows.find(({ index }) => index === name);
  };
  const kept = 'idx_kept_traits';
  await database.query(
    `CREATE INDEX ${kept} ON error_patterns (agent_name); COMMENT ON INDEX ${kept} IS 'one'`,
  );
  expect(await shown(kept)).toMatchObject({ method: 'btree', serves: 'one', scans: 0 });
  await database.query(`COMMENT ON INDEX ${kept} IS 'two'`);
  expect(await shown(kept)).toMatchObject({ serves: 'one' });
  await database.query(`ALTER INDEX ${kept} RENAME TO ${kept}_2`);
  expect(await shown(kept)).toBeUndefined();
  expect(await shown(`${kept}_2`)).toMatchObject({ method: 'btree', serves: 'two' });
  await database.query(
    `DROP INDEX ${kept}_2; CREATE INDEX ${kept}_2 ON error_patterns USING hash (agent_name)`,
  );
  expect(await shown(`${kept}_2`)).toMatchObject({ method: 'hash', serves: null });
  await database.query(`DROP INDEX ${kept}_2`);
  expect(await shown(`${kept}_2`)).toBeUndefined();
});

test('an index that came after the first kept day is judged by its own age', async () => {
  const console_ = await openDatabase(database.url);
  expect(await keepSizes(console_)).toBe(false);
  await console_.transaction({}, (tx) => openConsoleTable(tx, 'schema_files'));
  expect([await keepSizes(console_), await keepSizes(console_)]).toEqual([true, false]);
  await database.query(
    `UPDATE trace_console.relation_sizes SET taken_at = taken_at - interval '3 days', taken_on = taken_on - 3;
     CREATE INDEX idx_young ON execution_traces (project, source)`,
  );
  expect(await keepSizes(console_)).toBe(true);
  const found = await console_.transaction({ readOnly: true }, (tx) =>
    readIndexes(tx, console_.capabilities),
  );
  const of = (name: string) => found.rows.find(({ index }) => index === name)?.countedSince;
  expect(of('idx_young')?.getTime()).toBeGreaterThan(of('idx_error_recent')?.getTime() ?? Infinity);
  expect(of('idx_error_recent')).toEqual(found.since.countersSince);
  await database.query('DROP INDEX idx_young; DROP SCHEMA trace_console CASCADE');
});

test('an index that another one covers can be dropped: by a statement that is quoted', async () => {
  await database.query('CREATE INDEX "Wid""e" ON endpoint_calls (service_name)');
  const console_ = await openDatabase(database.url);
  const { rows, extras } = await readFresh(console_, indexUsage);
  expect(extras.unused).toBe(1);
  const found = rows.find(({ index }) => index === 'Wid"e');
  expect(found).toMatchObject({
    verdict: 'covered',
    advice: 'is the beginning of idx_endpoint_calls_service',
    drop: 'DROP INDEX CONCURRENTLY "public"."Wid""e";',
  });
  if (!found) throw new Error('the index is shown');
  const opened = await openRow(console_, indexUsage, found);
  const lines = opened?.kind === 'records' ? (opened.sections?.[0]?.lines ?? []) : [];
  expect(lines.map((line) => line.map(({ text }) => text).join(' ')).slice(0, 3)).toEqual([
    'is the beginning of idx_endpoint_calls_service',
    'DROP INDEX CONCURRENTLY "public"."Wid""e";',
    'serves it has no comment',
  ]);
  await database.query(found.drop ?? '');
  expect((await readFresh(console_, indexUsage)).extras.unused).toBe(0);
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
    recommendedLists: 1,
    builtEmpty: true,
    advice: 'built on few rows: rebuild it',
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

test('lists follow the rows: twice their square root, up to 1,000, and so few that 2,000 rows are compared', () => {
  expect([0, 200, 2_000, 5_000, 10_000, 20_000, 40_000].map(recommendedLists)).toEqual([
    1, 1, 1, 6, 25, 100, 400,
  ]);
  expect([100_000, 400_000, 1_000_000, 4_000_000].map(recommendedLists)).toEqual([
    632, 1_000, 1_000, 2_000,
  ]);
  for (const rows of [3_000, 9_000, 50_000, 300_000]) {
    const lists = recommendedLists(rows);
    expect((rows * probesFor(lists)) / lists).toBeGreaterThanOrEqual(1_990);
  }
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
