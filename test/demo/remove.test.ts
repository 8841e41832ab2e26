import { afterAll, expect, test } from 'vitest';
import { countDemo, removeDemo } from '../../src/demo/remove.js';
import { demoTag } from '../../src/demo/options.js';
import { runDemo } from '../../src/demo/run.js';
import { openConsoleTable } from '../../src/deploy/console-schema.js';
import { sessions as sessionsPane } from '../../src/panes/sessions.js';
import { readFresh, readWhole } from '../panes/open.js';
import { archivedTables, archiveOf, coreTables } from '../../src/core/tables.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { closeDatabases, countRows, day, noon, openDatabase, SteppingClock } from './helpers.js';

afterAll(closeDatabases);

const tables = [...coreTables, ...archivedTables.map(archiveOf)];
const seeded = { seed: 3, start: noon, backfillMs: 120 * day, traces: 400, rate: 20, seconds: 3 };

/** Rows as they lie on disk: an update that changes nothing would show, too. */
async function everything(database: TestDatabase): Promise<Record<string, string[]>> {
  const result: Record<string, string[]> = {};
  for (const table of tables) {
    const { rows } = await database.query<{ row: string }>(
      `SELECT ctid || ' ' || xmin || ' ' || t::text AS row FROM ${table} AS t ORDER BY 1`,
    );
    result[table] = rows.map(({ row }) => row);
  }
  return result;
}

/** Somebody else's rows in every table, live and archived; some look much like the demo's. */
async function addOthers(database: TestDatabase): Promise<void> {
  await database.query(`
    WITH t AS (
      INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, tags, started_at)
      SELECT c, c, gen_random_uuid(), 'user_prompt', 'completed', tags::text[], at
      FROM (VALUES (gen_random_uuid(), '{}', now()), (gen_random_uuid(), '{demo}', now()),
                   (gen_random_uuid(), '{trace-console-demo-2}', timestamptz '2020-01-01')) AS v(c, tags, at)
      RETURNING id
    ), d AS (
      INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
      SELECT id, 'agent-debugger', 0.9, 'explicit' FROM t
    ), h AS (
      INSERT INTO hook_executions (trace_id, hook_type, hook_name) SELECT id, 'Stop', 'transcript-sync' FROM t
    )
    INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method)
    SELECT id, 'rag-service', 'http://x', 'POST' FROM t;
    INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('mine', 'debug_failing_test');
    SELECT record_pattern_usage(id, 'success') FROM success_patterns WHERE pattern_hash = 'mine';
    INSERT INTO agent_chaining_patterns (chain_hash, primary_agent) VALUES ('mine', 'agent-debugger');
    INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern) VALUES ('mine', 'HookTimeout', '%');
    SELECT archive_traces('2 years');`);
}

test("takes away every row of the demo, archived ones too, and touches nobody else's", async () => {
  const database = await createTestDatabase();
  await addOthers(database);
  const others = await everything(database);
  expect(others.execution_traces_archive).toHaveLength(1);
  const connection = await openDatabase(database);
  await runDemo(connection, seeded, { clock: new SteppingClock() });
  await database.query(`SELECT archive_traces('30 days', 10000, as_of => '2026-03-26T12:00Z')`);
  expect(await countRows(database, 'execution_traces_archive')).toBeGreaterThan(5);
  expect(await countRows(database, 'hook_executions_archive')).toBeGreaterThan(5);

  const summary = await removeDemo(connection);
  expect(await everything(database)).toEqual(others);
  expect(summary).toMatchObject({ keptPatterns: 0, interrupted: false });
  expect(summary.deleted.execution_traces).toBeGreaterThan(300);
  expect(
    (summary.deleted.execution_traces ?? 0) + (summary.deleted.execution_traces_archive ?? 0),
  ).toBe(460);
});

test('every row of the demo is tagged or belongs to a tagged one', async () => {
  const database = await createTestDatabase();
  await runDemo(await openDatabase(database), seeded, { clock: new SteppingClock() });
  const tag = `'{${demoTag}}'`;
  for (const table of [
    'execution_traces',
    'success_patterns',
    'agent_chaining_patterns',
    'error_patterns',
  ]) {
    expect(await countRows(database, `${table} WHERE NOT tags @> ${tag}`), table).toBe(0);
  }
  const strangers = `pattern_usage_log WHERE NOT deviations @> '{"generator": "${demoTag}"}' OR deviations IS NULL`;
  expect(await countRows(database, strangers)).toBe(0);
});

test('where the console keeps sessions of agents the demo has some, which go with it', async () => {
  const database = await createTestDatabase();
  const connection = await openDatabase(database);
  await runDemo(connection, { ...seeded, start: Date.now(), backfillMs: day, seconds: 1 });
  expect((await readFresh(connection, sessionsPane)).rows).toEqual([]);
  await removeDemo(connection);
  await connection.transaction({}, (tx) => openConsoleTable(tx, 'agent_sessions'));
  await database.query(
    `INSERT INTO trace_console.agent_sessions (target_schema, session_id, agent, session, last_seen_at)
     VALUES ('public', gen_random_uuid(), 'codex', 'mine', now())`,
  );
  await runDemo(connection, { ...seeded, start: Date.now(), backfillMs: day, seconds: 1 });
  const { rows } = await readWhole(connection, sessionsPane, sessionsPane.createReader(), {
    windowMs: day,
  });
  const ofDemo = rows.filter(({ session }) => session !== 'mine');
  expect(ofDemo.length).toBeGreaterThan(10);
  for (const { project, model, prompts } of ofDemo) {
    expect(project).not.toBeNull();
    expect(model).not.toBeNull();
    expect(prompts).toBeGreaterThan(0);
  }
  expect(new Set(ofDemo.map(({ state }) => state)).size).toBeGreaterThan(1);
  expect((await removeDemo(connection)).deleted.agent_sessions).toBeGreaterThan(10);
  expect((await readFresh(connection, sessionsPane, { windowMs: day })).rows).toMatchObject([
    { session: 'mine' },
  ]);
});

test('usage logs go even when their traces were archived and purged', async () => {
  const database = await createTestDatabase();
  const connection = await openDatabase(database);
  await runDemo(connection, { ...seeded, rate: undefined, seconds: undefined });
  await database.query('DELETE FROM execution_traces');
  expect(await countRows(database, 'pattern_usage_log')).toBeGreaterThan(20);
  await removeDemo(connection);
  expect(await countRows(database, 'pattern_usage_log')).toBe(0);
});

test('a pattern whose use somebody else has logged stays with their log', async () => {
  const database = await createTestDatabase();
  const connection = await openDatabase(database);
  await runDemo(connection, { ...seeded, rate: undefined, seconds: undefined, traces: 50 });
  const { rows } = await database.query<{ pattern_id: string; log: string }>(`
    SELECT id AS pattern_id, record_pattern_usage(id, 'success') AS log FROM success_patterns LIMIT 1`);
  const summary = await removeDemo(connection);
  expect(summary.keptPatterns).toBe(1);
  const { rows: left } = await database.query(
    'SELECT id AS log, pattern_id FROM pattern_usage_log',
  );
  expect(left).toEqual(rows);
  expect(await countRows(database, 'success_patterns')).toBe(1);
  expect(await countRows(database, 'execution_traces')).toBe(0);
});

test('can be stopped between batches and run again', async () => {
  const database = await createTestDatabase();
  const connection = await openDatabase(database);
  await runDemo(connection, { ...seeded, rate: undefined, seconds: undefined, traces: 1_100 });
  const stop = new AbortController();
  const first = await removeDemo(connection, {
    signal: stop.signal,
    onProgress: ({ table }) => {
      if (table === 'execution_traces') stop.abort();
    },
  });
  expect(first).toMatchObject({ interrupted: true, deleted: { execution_traces: 1_000 } });
  expect(await countDemo(connection)).toMatchObject({ execution_traces: 100 });
  await removeDemo(connection);
  for (const table of tables) expect(await countRows(database, table), table).toBe(0);
});

test('on a database without rows of the demo it does nothing', async () => {
  const database = await createTestDatabase();
  await addOthers(database);
  const before = await everything(database);
  await removeDemo(await openDatabase(database));
  expect(await everything(database)).toEqual(before);
});
