import { expect, test } from 'vitest';
import { cellOf } from '../../src/panes/contract/column.js';
import { panes } from '../../src/panes/registry.js';
import { createTestDatabase } from '../helpers/database.js';
import { LearnerLease } from '../../src/learning/learner/lease.js';
import { activity } from '../../src/panes/activity.js';
import { listTrees } from '../../src/panes/archive.js';
import type { Pane } from '../../src/panes/contract/pane.js';
import { openDatabase, openRow, readFresh } from './open.js';

const megabytes = 3;
const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`;

/** What writers may store: texts of megabytes where no constraint bounds them, JSON 5,000 deep, names of object properties. */
const hostile = `
WITH trace AS (
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, prompt_text, error_type, error_message,
    project, model, context)
  SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'failed', repeat('p', $1), repeat(name, $2), repeat('m', $1), repeat('j', 500), name, $3::jsonb
  FROM unnest(ARRAY['__proto__', 'constructor', E'\\x1b]0;x\\x07']) AS name
  RETURNING id),
routed AS (
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, query_text,
    selection_reason, confidence_breakdown, alternatives)
  SELECT id, '__proto__', 0.5, 'explicit', repeat('q', $1), repeat('r', $1), $3::jsonb, $3::jsonb FROM trace),
hooked AS (
  INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, duration_ms, file_path, error_message,
    input_data, output_data)
  SELECT id, 'ToolUse', '__proto__', 'constructor', 'failed', 5, repeat('f', $1), repeat('e', $1), $3::jsonb, $3::jsonb
  FROM trace),
called AS (
  INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success, error_message, request_body, context)
  SELECT id, '__proto__', 'https://x/' || repeat('u', $1), 'GET', false, repeat('e', $1), $3::jsonb, '{"model": "__proto__"}'
  FROM trace),
chained AS (
  INSERT INTO agent_chaining_patterns (chain_hash, primary_agent, agent_sequence, trigger_context)
  SELECT 'h', '__proto__', array_fill('a'::text, ARRAY[2000]), repeat('t', $1)),
known AS (
  INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern, severity, error_category, resolution_pattern)
  SELECT 'f', '__proto__', repeat('m', $1), 'high', 'system', repeat('r', $1))
INSERT INTO success_patterns (pattern_hash, prompt_text, intent_classification, keywords, agent_sequence, hook_sequence)
SELECT 'h', repeat('p', $1), '__proto__', array_fill('k'::text, ARRAY[2000]), array_fill('a'::text, ARRAY[2000]), $3::jsonb`;

/** Texts in rows that end in the middle without a sign. */
function silentlyCut(rows: readonly unknown[]): string[] {
  const found: string[] = [];
  const look = (value: unknown): void => {
    if (typeof value === 'string') {
      if (/(.)\1{60,}$/.test(value)) found.push(`${value.slice(0, 40)} (${value.length})`);
    } else if (Array.isArray(value)) value.forEach(look);
    else if (value instanceof Map) [...value.values()].forEach(look);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(look);
  };
  rows.forEach(look);
  return found;
}

test('rows of hostile size and depth are bounded in every pane, and everything that they open can be shown', async () => {
  const database = await createTestDatabase();
  await database.query(hostile, [megabytes * 1_000_000, megabytes * 100_000, deep]);
  const console_ = await openDatabase(database.url);
  for (const pane of panes) {
    const result = await readFresh(console_, pane);
    // No pane holds more than its columns show of a row, whatever was stored.
    const size = JSON.stringify(result.rows).length;
    expect(size, pane.id).toBeLessThan(result.rows.length * 20_000 + 10);
    expect(silentlyCut(result.rows), `${pane.id}: texts cut without a sign`).toEqual([]);
    for (const row of result.rows.slice(0, 3)) {
      const context = { nowMs: result.asOf.getTime() };
      for (const column of pane.columns) cellOf(column, row, context);
      const opened = await openRow(console_, pane, row);
      expect(opened, pane.id).toBeDefined();
      if (opened?.kind === 'list') {
        expect(JSON.stringify(opened.rows).length, pane.id).toBeLessThan(
          opened.rows.length * 5_000 + 10,
        );
        expect(silentlyCut(opened.rows), `${pane.id}: opened`).toEqual([]);
      }
    }
  }
});

test('a time without end in any column ends no pane, no opening, no filter by age, no learning', async () => {
  const stored = await createTestDatabase();
  await stored.query(`
      INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, status)
      SELECT c, c, c, c, 'test', status FROM unnest(ARRAY['completed', 'failed', 'in_progress']) AS status,
        LATERAL (SELECT gen_random_uuid() AS c OFFSET length(status) * 0) AS id;
      INSERT INTO hook_executions (trace_id, hook_type, hook_name, status) SELECT id, 'Stop', 'x', 'completed' FROM execution_traces;
      INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code)
      SELECT id, 's', '/x', 'GET', 200 FROM execution_traces;
      INSERT INTO execution_traces_archive
      SELECT archived.* FROM execution_traces AS t, jsonb_populate_record(NULL::execution_traces_archive,
        to_jsonb(t) || jsonb_build_object('archived_at', now())) AS archived WHERE t.status = 'completed';
      INSERT INTO success_patterns (pattern_hash, prompt_text, intent_classification) VALUES ('h', 'p', 'i');
      INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern) VALUES ('f', 'e', 'm')`);
  const { rows: columns } = await stored.query<{ table: string; column: string }>(
    `SELECT a.attrelid::regclass::text AS "table", quote_ident(a.attname) AS "column"
       FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.atttypid = 'timestamptz'::regtype`,
  );
  const time = `(CASE WHEN md5(ctid::text) < '8' THEN '-' ELSE '' END || 'infinity')::timestamptz`;
  for (const { table, column } of columns) {
    // What a constraint keeps out does no harm.
    await stored.query(`UPDATE ${table} SET ${column} = ${time}`).catch(() => undefined);
  }
  const database = await openDatabase(stored.url);
  for (const pane of panes as readonly Pane[]) {
    const result = await readFresh(database, pane);
    for (const row of result.rows.slice(0, 1)) await openRow(database, pane, row);
  }
  for (const filter of ['time>1h', 'time<1h']) await readFresh(database, activity, { filter });
  // The lease of nobody is as old as a time can be.
  for (let turn = 0; turn < 2; turn += 1) await (await LearnerLease.take(database)).release();
  const archived = await database.transaction({ readOnly: true }, (tx) => listTrees(tx, 10));
  expect(archived).toHaveLength(1);
});
