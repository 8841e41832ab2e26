import { expect, test } from 'vitest';
import { agents } from '../../src/panes/agents.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh, readWhole } from './open.js';

/** 3,000 decisions over two hours, one a trace; the longest durations are of traces that still run. */
async function fill(database: TestDatabase): Promise<void> {
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, duration_ms)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test',
         (ARRAY['completed', 'completed', 'failed', 'timeout', 'in_progress', 'cancelled'])[1 + i % 6],
         now() - i * interval '2.4 seconds', CASE WHEN i % 6 <> 4 THEN floor(exp(13 * abs(sin(i)))) END
       FROM generate_series(1, 3000) AS i
       RETURNING id, started_at)
     INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
     SELECT id, 'agent-' || row_number() OVER () % 4, (row_number() OVER () % 100) / 100.0, 'explicit', started_at
     FROM trace`,
  );
}

/** As agent_performance counts, over the window. */
const plainSql = `
  SELECT d.agent_selected AS agent, count(*)::int AS calls,
    (count(*) FILTER (WHERE t.status IN ('failed', 'timeout')))::int AS failures,
    (count(*) FILTER (WHERE t.status = 'in_progress'))::int AS running,
    (count(*) FILTER (WHERE t.success))::float8 / count(t.success) FILTER (WHERE t.status <> 'cancelled') AS success,
    avg(d.confidence_score)::float8 AS confidence,
    (count(*) FILTER (WHERE d.confidence_score < 0.7))::int AS unsure,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY t.duration_ms)::int AS p95,
    max(t.duration_ms)::int AS max
  FROM agent_routing_decisions AS d JOIN execution_traces AS t ON t.id = d.trace_id
  WHERE d.created_at > now() - interval '6 hours' GROUP BY 1`;

test.each([
  ['kept', false],
  ['exact', true],
])('the figures of each agent are those of plain SQL: %s', async (_name, exact) => {
  const database = await createTestDatabase();
  await fill(database);
  const { rows: plain } = await database.query<Record<string, number> & { agent: string }>(
    plainSql,
  );
  const console_ = await openDatabase(database.url);
  const { rows, extras } = exact
    ? await readFresh(console_, agents, { windowMs: 6 * 3_600_000, exact })
    : await readWhole(console_, agents, agents.createReader(), { windowMs: 6 * 3_600_000 });
  expect(rows.map(({ agent }) => agent).sort()).toEqual(plain.map(({ agent }) => agent).sort());
  for (const expected of plain) {
    const row = rows.find(({ agent }) => agent === expected.agent);
    expect(row).toMatchObject({
      calls: expected.calls,
      failures: expected.failures,
      inProgress: expected.running,
      unsure: expected.unsure,
      maxMs: expected.max,
    });
    expect(row?.successRate).toBeCloseTo(expected.success ?? NaN, 9);
    expect(row?.confidence).toBeCloseTo(expected.confidence ?? NaN, 9);
    const p95 = expected.p95 ?? NaN;
    const allowed = exact ? 0 : p95 * extras.percentileError + 0.5;
    expect(Math.abs((row?.p95Ms ?? 0) - p95)).toBeLessThanOrEqual(allowed);
    // Two of six hours hold all of them: the last third of the window.
    expect(row?.trend.reduce((sum, calls) => sum + calls, 0)).toBe(expected.calls);
    expect(row?.trend.slice(0, 7).every((calls) => calls === 0)).toBe(true);
  }
  expect(extras.calls).toBe(3000);
});
