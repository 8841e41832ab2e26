import { beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { panes } from '../../src/panes/registry.js';
import { readShape } from '../../src/panes/shape.js';
import { defaultStuckAfterMs } from '../../src/panes/windows.js';
import { coreTables } from '../../src/shared/tables.js';
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

type Node = { 'Node Type': string; 'Relation Name'?: string; Plans?: Node[] };

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
      windowMs: 3_600_000,
      stuckAfterMs: defaultStuckAfterMs,
      exact: reading === readings - 1,
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
    const plans = await plansOf(await openDatabase(database.url), id, 3);
    expect(plans.size).toBeGreaterThan(0);
    for (const [text, whole] of plans) {
      const growing = whole.filter((table) => (coreTables as readonly string[]).includes(table));
      expect(growing, text).toEqual([]);
    }
  });
}

test('without its indexes the same check finds the table read as a whole', async () => {
  await database.query('DROP INDEX idx_hook_executions_window, idx_hook_executions_started_at');
  const plans = await plansOf(await openDatabase(database.url), 'slow-hooks', 2);
  expect([...plans.values()].flat()).toContain('hook_executions');
});
