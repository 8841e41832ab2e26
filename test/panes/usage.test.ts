import { expect, test } from 'vitest';
import { usage } from '../../src/panes/usage.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase, openRow, readFresh, readWhole } from './open.js';

const groups = [
  ['model', 'model'],
  ['project', 'project'],
  [
    'agent',
    `COALESCE((SELECT agent_selected FROM agent_routing_decisions WHERE trace_id = t.id), context ->> 'agent')`,
  ],
  ['user', 'user_id'],
  ['session', 'session_id::text'],
  ['day', "to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"],
] as const;

/** Turns of several projects; every tenth has a subagent with tokens of its own, every trace two calls of its model. */
const fill = `
WITH turn AS (
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model, project, user_id, context,
    input_tokens, cache_read_tokens, cache_creation_tokens, output_tokens, cost_usd, started_at)
  SELECT id, id, md5((i % 7)::text)::uuid, 'user_prompt', 'completed',
    (ARRAY['large', 'small'])[1 + i % 2], CASE WHEN i % 3 > 0 THEN 'p' || i % 3 END, 'u' || i % 5, '{"agent": "claude-code"}',
    i, i * 10, i * 2, i * 3, i * 0.001, now() - i * interval '3 seconds'
  FROM (SELECT i, gen_random_uuid() AS id FROM generate_series(1, 600) AS i) AS made
  RETURNING *),
subagent AS (
  INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, status, model, project, user_id, context,
    input_tokens, cache_read_tokens, cache_creation_tokens, output_tokens, cost_usd, started_at)
  SELECT gen_random_uuid(), root_id, correlation_id, session_id, 'agent_delegation', 'completed', 'small', project, user_id,
    context, 7, 70, 14, 21, 0.007, started_at + interval '1 second'
  FROM turn WHERE input_tokens % 10 = 0
  RETURNING *),
decision AS (
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
  SELECT id, 'Explore', 1, 'delegation' FROM subagent)
INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success, started_at, context)
SELECT id, 'anthropic', '/v1/messages', 'POST', true, started_at,
  jsonb_build_object('model', model, 'usage', '{}'::jsonb, 'cost', '{}'::jsonb)
FROM (TABLE turn UNION ALL TABLE subagent) AS trace, generate_series(1, 2)`;

test('tokens, cost and calls by every grouping, as plain SQL sums them; a turn with a subagent is counted once', async () => {
  const database = await createTestDatabase();
  await database.query(fill);
  const console_ = await openDatabase(database.url);
  const { rows: all } = await database.query<{ tokens: number; cost: number }>(
    `SELECT sum(input_tokens + cache_read_tokens + cache_creation_tokens + output_tokens)::int AS tokens,
       sum(cost_usd)::float8 AS cost FROM execution_traces`,
  );
  for (const [grouping, column] of groups) {
    const { rows: plain } = await database.query(
      `SELECT ${column} AS "group", count(*)::int AS traces, count(*) FILTER (WHERE parent_id IS NULL)::int AS turns,
         sum((SELECT count(*) FROM endpoint_calls AS c WHERE c.trace_id = t.id))::int AS calls,
         sum(input_tokens)::int AS "inputTokens", sum(cache_read_tokens)::int AS "cacheReadTokens",
         sum(cache_creation_tokens)::int AS "cacheWriteTokens", sum(output_tokens)::int AS "outputTokens"
       FROM execution_traces AS t GROUP BY 1 ORDER BY sum(cost_usd) DESC`,
    );
    const reader = usage.createReader();
    for (let reading = 0; reading < 2; reading += 1) {
      const { rows, extras } = await readWhole(console_, usage, reader, { grouping });
      expect(rows, grouping).toMatchObject(plain);
      expect(rows.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
      expect(extras).toMatchObject({
        turns: 600,
        calls: 1320,
        tokens: all[0]?.tokens,
        unpricedCalls: 0,
      });
      expect(extras.costUsd, grouping).toBeCloseTo(all[0]?.cost ?? 0, 6);
      expect(extras.series.reduce((sum, cost) => sum + cost, 0)).toBeCloseTo(all[0]?.cost ?? 0, 6);
    }
    for (const row of (await readWhole(console_, usage, reader, { grouping })).rows) {
      const opened = await openRow(console_, usage, row);
      const count = opened?.kind === 'list' ? opened.rows.length : 0;
      expect(count, `${grouping} ${row.group}`).toBe(Math.min(200, row.traces));
    }
  }
});

test('what has no price is said, and never counted as free', async () => {
  const database = await createTestDatabase();
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model, input_tokens, output_tokens, cost_usd)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed', model, 10, 5, cost
       FROM (VALUES ('known', 0.5), ('private', NULL)) AS made (model, cost) RETURNING id, model, cost_usd)
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, context)
     SELECT id, 'gateway', '/v1', 'POST', jsonb_build_object('model', model, 'usage', '{}'::jsonb) ||
       CASE WHEN cost_usd IS NULL THEN '{}' ELSE '{"cost": {"usd": 0.5}}'::jsonb END
     FROM trace, generate_series(1, 3)`,
  );
  const result = await readFresh(await openDatabase(database.url), usage);
  expect(result.rows).toMatchObject([
    { group: 'known', costUsd: 0.5, unpricedCalls: 0 },
    { group: 'private', costUsd: null, unpricedCalls: 3 },
  ]);
  const [summary] = usage.summary?.(result, { nowMs: 0 }) ?? [];
  expect(summary).toContainEqual({ text: '3 calls unpriced', tone: 'warning' });
});

test('a trace that goes on is counted anew, and today stands beside the budget', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model, output_tokens, cost_usd, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', status, 'm', 5, 0.5, at
     FROM (VALUES ('in_progress', now() - interval '2 minutes'), ('completed', now() - interval '3 days')) AS made (status, at)`,
  );
  const console_ = await openDatabase(database.url);
  const reader = usage.createReader();
  const options = { windowMs: 86_400_000, budgetUsdPerDay: 1 };
  const first = await readWhole(console_, usage, reader, options);
  expect(first.extras.costUsd).toBe(0.5);
  const today = first.extras.budget?.todayUsd ?? NaN;
  // Two minutes ago may have been yesterday.
  expect([0, 0.5]).toContain(today);
  await database.query(
    `UPDATE execution_traces SET cost_usd = 0.9, output_tokens = 9 WHERE status = 'in_progress'`,
  );
  await expect
    .poll(async () => (await readWhole(console_, usage, reader, options)).rows[0], {
      timeout: 10_000,
    })
    .toMatchObject({ costUsd: 0.9, outputTokens: 9 });
});

test('a long window with more sessions than the console can hold is cut to its last day, and says so', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, cost_usd, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed', 0.01, now() - i * interval '2 minutes'
     FROM generate_series(1, 2100) AS i`,
  );
  const console_ = await openDatabase(database.url);
  const reader = usage.createReader();
  for (let reading = 0; reading < 2; reading += 1) {
    const options = { grouping: 'session', windowMs: 7 * 86_400_000 };
    const { notes, extras } = await readWhole(console_, usage, reader, options);
    expect(notes).toEqual([
      'of the last 1d only: the window has too many',
      expect.stringContaining('the 500 that used most of'),
    ]);
    expect(extras.windowMs).toBe(86_400_000);
    expect(Math.abs(extras.turns - 720)).toBeLessThan(5);
  }
});
