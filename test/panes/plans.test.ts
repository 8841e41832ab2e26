import { beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { panes } from '../../src/panes/registry.js';
import { usualLimits } from '../../src/panes/contract/pane.js';
import { openConsoleTable } from '../../src/deploy/console-schema.js';
import { patternOpening } from '../../src/panes/reading/pattern.js';
import { readShape } from '../../src/panes/contract/shape.js';
import { mostPromptsSearched } from '../../src/panes/trace/traces-query.js';
import { tracesOpening } from '../../src/panes/trace/traces-listed.js';
import { defaultStuckAfterMs } from '../../src/panes/reading/windows.js';
import { coreTables } from '../../src/core/tables.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { fillOverview } from '../../bench/lib/overview-data.js';
import { openDatabase } from './open.js';

let database: TestDatabase;

/** Enough history that the planner would rather not read it, and a last hour that is a small part of it. */
beforeAll(async () => {
  database = await createTestDatabase();
  const client = await database.pool.connect();
  try {
    const common = { hooksPerTrace: 5, seed: 1 };
    await fillOverview(client, {
      ...common,
      name: 'old',
      traces: 12_000,
      fromHoursAgo: 900,
      untilHoursAgo: 1,
    });
    await fillOverview(client, {
      ...common,
      name: 'new',
      traces: 400,
      fromHoursAgo: 1,
      untilHoursAgo: 0,
    });
    await client.query(
      `INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, failure_count, total_usage_count)
       SELECT 'hash-' || i, 'intent', i % 13, i % 5, i % 13 + i % 5 FROM generate_series(1, 6000) AS i`,
    );
    await client.query(
      `INSERT INTO pattern_usage_log (pattern_id, outcome, used_at)
       SELECT id, 'success', now() - n * interval '1 hour' FROM success_patterns, generate_series(1, 3) AS n`,
    );
    await client.query(
      `INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, started_at)
       SELECT id, 'service', 'https://service.internal/', 'GET', 200, started_at FROM execution_traces`,
    );
    await client.query(
      `INSERT INTO agent_chaining_patterns (chain_hash, primary_agent, last_used_at)
       SELECT 'hash-' || i, 'agent', now() - i * interval '1 minute' FROM generate_series(1, 6000) AS i`,
    );
    await client.query(
      `INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern, severity, resolved_at)
       SELECT 'f' || i, 'Error' || i, '…', (ARRAY['high', 'low'])[1 + i % 2], CASE WHEN i % 3 > 0 THEN now() END
       FROM generate_series(1, 6000) AS i`,
    );
    await client.query(
      `INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
       SELECT id, 'agent', 0.9, 'explicit', started_at FROM execution_traces`,
    );
    await client.query('VACUUM ANALYZE');
  } finally {
    client.release();
  }
});

type Node = {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  'Rows Removed by Filter'?: number;
  Plans?: Node[];
};

function tablesReadWhole(node: Node): string[] {
  const own = node['Node Type'] === 'Seq Scan' ? [node['Relation Name'] ?? ''] : [];
  return [...own, ...(node.Plans ?? []).flatMap(tablesReadWhole)];
}

/** Reads a pane and explains each of its statements as it is sent, with its values. */
async function plansOf(
  console_: Database,
  id: string,
  readings: number,
): Promise<Map<string, string[]>> {
  const pane = panes.find((candidate) => candidate.id === id);
  if (!pane) throw new Error(`no pane ${id}`);
  const reader = pane.createReader();
  const found = new Map<string, string[]>();
  for (let reading = 0; reading < readings; reading += 1) {
    await reader.read({
      shape: await readShape(console_),
      capabilities: console_.capabilities,
      database: console_,
      windowMs: 3_600_000,
      stuckAfterMs: defaultStuckAfterMs,
      exact: reading === readings - 1,
      brief: reading === 0,
      transaction: (work) =>
        console_.transaction({ ...pane.limits, readOnly: true }, (tx) =>
          work({
            async query(text, values) {
              const { rows } = await tx.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
                `EXPLAIN (FORMAT JSON) ${text}`,
                values,
              );
              const whole = rows.flatMap((row) => tablesReadWhole(row['QUERY PLAN'][0].Plan));
              found.set(text, [...(found.get(text) ?? []), ...whole]);
              return tx.query(text, values);
            },
          }),
        ),
    });
  }
  return found;
}

for (const { id } of panes) {
  test(`${id}: no statement reads a growing table as a whole, at first, steadily or exactly`, async () => {
    const plans = await plansOf(await openDatabase(database.url), id, 4);
    expect(plans.size).toBeGreaterThan(0);
    for (const [text, whole] of plans) {
      const growing = whole.filter((table) => (coreTables as readonly string[]).includes(table));
      expect(growing, text).toEqual([]);
    }
  });
}

/** Rows of a table that a plan has looked at: those it gave, and those it left out. */
function rowsLookedAt(node: Node, table: string): number {
  const { 'Actual Rows': rows = 0, 'Rows Removed by Filter': removed = 0 } = node;
  const own = node['Relation Name'] === table ? (rows + removed) * (node['Actual Loops'] ?? 1) : 0;
  return (node.Plans ?? []).reduce((sum, each) => sum + rowsLookedAt(each, table), own);
}

test.each([
  ['an hour', 3_600_000, undefined],
  ['100 days', 8_640_000_000, undefined],
  ['100 days before a moment', 8_640_000_000, 3_600_000],
])(
  'a search in prompts reads the newest of %s by an index, and no more than it says',
  async (_name, windowMs, agoMs) => {
    // More prompts than are searched, so that the bound is what ends the reading.
    await database.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, prompt_text)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed', now() - interval '40 days' - i * interval '1 s', 'old'
       FROM generate_series(1, $1::int - (SELECT count(*)::int FROM execution_traces)) AS i`,
      [mostPromptsSearched + 8_000],
    );
    const console_ = await openDatabase(database.url);
    const plans: Node[] = [];
    const opening = tracesOpening('Prompts', { by: 'prompt', text: 'no prompt has these words' });
    await opening.read({
      shape: await readShape(console_),
      windowMs,
      untilMs: agoMs === undefined ? undefined : Date.now() - agoMs,
      async read(text, values) {
        const rows = await console_.read<{ 'QUERY PLAN': [{ Plan: Node }] }>(
          `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`,
          values,
          usualLimits,
        );
        plans.push(...rows.map((row) => row['QUERY PLAN'][0].Plan));
        return [];
      },
    });
    const [plan] = plans;
    if (!plan) throw new Error('nothing was asked');
    expect(tablesReadWhole(plan)).toEqual([]);
    const looked = rowsLookedAt(plan, 'execution_traces');
    // The hour holds fewer; the others have more, and stop there.
    if (windowMs === 3_600_000) expect(looked).toBeLessThanOrEqual(1_000);
    else expect(looked).toBe(mostPromptsSearched);
  },
);

test('what the offers of a pattern changed is read from its newest turns, however many there are', async () => {
  const console_ = await openDatabase(database.url);
  await console_.transaction({}, async (tx) => {
    for (const table of ['learned_traces', 'learned_items'] as const)
      await openConsoleTable(tx, table);
    await tx.query(
      `INSERT INTO trace_console.learned_traces (target_schema, correlation_id, session_id, started_at, ended_at, is_good,
         judged_by, pattern_key)
       SELECT 'public', correlation_id, session_id, started_at, started_at, true, 'completed', 'learned:g:' || row_number() OVER () % 10
       FROM execution_traces`,
    );
    await tx.query(
      `INSERT INTO trace_console.learned_items (target_schema, kind, key, state)
       SELECT DISTINCT 'public', 'pattern', pattern_key, '{}'::jsonb FROM trace_console.learned_traces`,
    );
    await tx.query(
      `UPDATE success_patterns SET pattern_hash = 'learned:g:0' WHERE pattern_hash = 'hash-1'`,
    );
    await tx.query('ANALYZE trace_console.learned_traces, trace_console.learned_items');
  });
  const [pattern] = await console_.read<{ id: string }>(
    `SELECT id FROM success_patterns WHERE pattern_hash = 'learned:g:0'`,
  );
  const plans: Node[] = [];
  await patternOpening('Pattern', pattern?.id ?? '').read({
    shape: await readShape(console_),
    windowMs: 3_600_000,
    async read(text, values) {
      if (text.includes('is_offered')) {
        const rows = await console_.read<{ 'QUERY PLAN': [{ Plan: Node }] }>(
          `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`,
          values,
        );
        plans.push(...rows.map((row) => row['QUERY PLAN'][0].Plan));
      }
      return console_.read(text, values, usualLimits);
    },
  });
  const [plan] = plans;
  if (!plan) throw new Error('nothing was asked');
  // Ten keys fit on a page.
  expect(tablesReadWhole(plan).filter((table) => table !== 'learned_items')).toEqual([]);
  // Of its own all that there are of the newest 2,000, of each of the nine others 100.
  const [own] = await console_.read<{ turns: number }>(
    `SELECT count(*)::int AS turns FROM trace_console.learned_traces WHERE pattern_key = 'learned:g:0'`,
  );
  const compared = Math.min(2_000, own?.turns ?? 0) + 900;
  expect(rowsLookedAt(plan, 'learned_traces')).toBe(compared);
  expect(rowsLookedAt(plan, 'execution_traces')).toBe(compared);
});

test('without its indexes the same check finds the table read as a whole', async () => {
  await database.query('DROP INDEX idx_hook_executions_window, idx_hook_executions_started_at');
  const plans = await plansOf(await openDatabase(database.url), 'slow-hooks', 2);
  expect([...plans.values()].flat()).toContain('hook_executions');
});
