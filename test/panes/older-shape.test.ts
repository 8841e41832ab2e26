import { expect, test } from 'vitest';
import { checks } from '../../src/maintenance/doctor/checks.js';
import { panes } from '../../src/panes/registry.js';
import { readShape, shapeNotes, unmetNeed } from '../../src/panes/contract/shape.js';
import { beginRun } from '../../src/maintenance/journal/journaled.js';
import type { Database } from '../../src/db/database.js';
import { createTestDatabase } from '../helpers/database.js';
import type { Opened } from '../../src/panes/contract/opening.js';
import { openDatabase, openRow, readFresh } from './open.js';

/** As a deployment by hand before this schema: fewer columns, none of our indexes, one view. */
const older = `
  CREATE TABLE execution_traces (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), correlation_id uuid NOT NULL, root_id uuid NOT NULL,
    session_id uuid NOT NULL, source text NOT NULL, status text NOT NULL DEFAULT 'in_progress',
    started_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE hook_executions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), trace_id uuid, hook_name text, duration_ms integer,
    started_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE agent_chaining_patterns (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), primary_agent text, last_used_at timestamptz);
  CREATE TABLE agent_routing_decisions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), trace_id uuid, agent_selected text, confidence_score float8,
    created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE endpoint_calls (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), service_name text, started_at timestamptz NOT NULL DEFAULT now());
  CREATE VIEW pattern_effectiveness AS SELECT 'h' AS pattern_hash, 0.5 AS success_rate, 7 AS total_usage_count;
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'local_test');
  INSERT INTO hook_executions (trace_id, hook_name, duration_ms) SELECT id, 'guard', 40 FROM execution_traces;
  INSERT INTO agent_chaining_patterns (primary_agent) VALUES ('agent');
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score)
    SELECT id, 'agent', 0.9 FROM execution_traces;
  INSERT INTO endpoint_calls (service_name) VALUES ('service');
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'local_test', 'failed');
  CREATE TABLE execution_traces_archive (LIKE execution_traces INCLUDING ALL);
  INSERT INTO execution_traces_archive (correlation_id, root_id, session_id, source)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'local_test')`;

/** Nobody else is on these databases, no trace has a model, and nothing was imported. */
const hasNoRows: ReadonlySet<string> = new Set(['postgresql', 'models', 'sessions']);

const aRun = (database: Database) =>
  beginRun(database, { id: 'archive', title: 'Archive old traces' }, {});

test('every pane works with the columns it must have, kept and exact, and names those that lack', async () => {
  const database = await createTestDatabase({ schema: false });
  await database.query(older);
  const console_ = await openDatabase(database.url);
  await aRun(console_);
  const shape = await readShape(console_);
  const counts: Record<string, number> = {};
  for (const pane of panes) {
    expect(unmetNeed(pane.needs, shape), pane.id).toBeUndefined();
    for (const exact of [false, true]) {
      const { rows } = await readFresh(console_, pane, { exact });
      counts[pane.id] = rows.length;
      for (const row of rows) {
        const opened = await openRow(console_, pane, row);
        expect(countOf(opened), pane.id).toBeGreaterThan(0);
      }
    }
  }
  expect(counts).toEqual({
    'recent-traces': 2,
    'slow-hooks': 1,
    'index-usage': 6,
    'table-sizes': 6,
    'top-patterns': 1,
    activity: 4,
    agents: 1,
    errors: 1,
    endpoints: 1,
    postgresql: 0,
    models: 0,
    usage: 1,
    sessions: 0,
    'agent-chains': 1,
    'maintenance-runs': 1,
    archive: 1,
    doctor: checks.length,
  });
  const [, slowHooks] = panes;
  expect(shapeNotes(slowHooks?.needs ?? {}, shape)).toEqual([
    'hook_executions has no column tool_name, status',
  ]);
});

test('a table of another program is named with the columns it lacks', async () => {
  const database = await createTestDatabase({ schema: false });
  await database.query('CREATE TABLE execution_traces (id uuid, state text)');
  const shape = await readShape(await openDatabase(database.url));
  expect(unmetNeed(panes[0]?.needs ?? {}, shape)).toMatchObject({
    code: 'schema_incompatible',
    message: 'execution_traces exists but has no column status, started_at.',
  });
});

test('names that need quotes, and a schema other than public', async () => {
  const database = await createTestDatabase({ schema: false });
  await database.query(`CREATE SCHEMA "My schema"; SET search_path = "My schema"; ${older}`);
  const console_ = await openDatabase(database.url, { schema: 'My schema' });
  await aRun(console_);
  for (const pane of panes) {
    const { rows } = await readFresh(console_, pane);
    if (!hasNoRows.has(pane.id)) expect(rows.length, pane.id).toBeGreaterThan(0);
  }
});

/** What there is to see of what Enter opened. */
function countOf(opened: Opened | undefined): number {
  if (!opened) return 0;
  return opened.kind === 'trace' ? opened.tree.nodes.length : opened.rows.length;
}

test('every row of a complete schema can be opened', async () => {
  const database = await createTestDatabase();
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', repeat('x', 1000000)) RETURNING id
     ), hook AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, duration_ms, status)
       SELECT id, 'PreToolUse', 'guard', 'Bash', 40, 'completed' FROM trace
     ), decision AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, query_embedding)
       SELECT id, 'agent', 0.5, 'explicit', array_fill(0.5, ARRAY[1536])::vector FROM trace
     ), pattern AS (
       INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('h', 'i')
     ), chain AS (
       INSERT INTO agent_chaining_patterns (chain_hash, primary_agent) VALUES ('h', 'agent')
     ), failed AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'failed')
     )
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method)
     SELECT id, 's', 'https://s.internal/', 'GET' FROM trace`,
  );
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT id, id, id, 'test', 'completed', now() - interval '100 days' FROM gen_random_uuid() AS id;
     SELECT * FROM archive_traces('90 days')`,
  );
  const console_ = await openDatabase(database.url);
  await aRun(console_);
  for (const pane of panes) {
    const { rows } = await readFresh(console_, pane);
    if (!hasNoRows.has(pane.id)) expect(rows.length, pane.id).toBeGreaterThan(0);
    for (const row of rows) {
      const opened = await openRow(console_, pane, row);
      expect(countOf(opened), pane.id).toBeGreaterThan(0);
      const isTree = opened?.kind === 'trace';
      expect(isTree ? '' : JSON.stringify(opened)).not.toContain('query_embedding":');
    }
  }
});
