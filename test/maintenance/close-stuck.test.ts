import { expect, it, onTestFinished } from 'vitest';
import { closeStuck, type CloseStuckInput } from '../../src/maintenance/close-stuck.js';
import { previewAction, runAction } from '../../src/maintenance/registry.js';
import { openConsole } from '../deploy/helpers.js';
import { createTestDatabase } from '../helpers/database.js';
import { collect } from './helpers.js';

async function withTraces() {
  const test = await createTestDatabase();
  await test.query(`
    INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
    SELECT id, id, id, source, status, now() - age::interval
    FROM (SELECT gen_random_uuid() AS id, * FROM (VALUES
      ('old', 'in_progress', '3 days'), ('older', 'in_progress', '40 days'), ('young', 'in_progress', '5 minutes'),
      ('done', 'completed', '3 days')) AS given (source, status, age)) AS trace;
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at)
    SELECT id, 'PreToolUse', 'guard', 'completed', started_at + interval '7 minutes'
    FROM execution_traces WHERE source = 'old'`);
  const database = await openConsole(test.url);
  onTestFinished(() => database.close());
  const context = { database, signal: new AbortController().signal };
  return { test, context };
}

it('closes exactly the traces that are reported, at their last sign of life', async () => {
  const { test, context } = await withTraces();
  const preview = await previewAction('close-stuck', context, {});
  expect(preview.facts[0]).toEqual({
    label: 'Traces',
    value: '2 in progress for more than 30 minutes',
  });
  expect(preview.list).toHaveLength(2);
  const { outcome } = await collect(runAction('close-stuck', context, {}));
  expect(outcome.result).toEqual({ closed: 2, remaining: 0 });
  const { rows } = await test.query(
    `SELECT source, status, duration_ms::int AS ms FROM execution_traces ORDER BY source`,
  );
  expect(rows).toEqual([
    { source: 'done', status: 'completed', ms: expect.any(Number) as number },
    { source: 'old', status: 'timeout', ms: 420_000 },
    { source: 'older', status: 'timeout', ms: 0 },
    { source: 'young', status: 'in_progress', ms: null },
  ]);
  expect((await previewAction('close-stuck', context, {})).nothing).toContain('No trace');
});

it('passes over a trace that its writer has locked, and says that it remains', async () => {
  const { test, context } = await withTraces();
  const writer = await test.pool.connect();
  await writer.query(`BEGIN; SELECT FROM execution_traces WHERE source = 'old' FOR UPDATE`);
  const { outcome } = await collect(runAction('close-stuck', context, { olderThan: '1 day' }));
  expect(outcome.result).toEqual({ closed: 1, remaining: 1 });
  await writer.query('ROLLBACK');
  writer.release();
});

it.each<[unknown, CloseStuckInput | undefined]>([
  [{}, {}],
  [{ olderThan: '1 day' }, { olderThan: '1 day' }],
  [{ olderThan: "1 day'; DROP TABLE x" }, undefined],
  [
    { startedBefore: '2026-11-27T03:30:00.123456Z' },
    { startedBefore: '2026-11-27T03:30:00.123456Z' },
  ],
  [{ startedBefore: 'now' }, undefined],
  [null, undefined],
])('reads %j from the journal', (stored, input) => {
  expect(closeStuck.readInput?.(stored)).toEqual(input);
});
