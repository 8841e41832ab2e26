import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fillUsage } from '../../bench/lib/usage-data.js';
import { formatCount } from '../../src/core/format/number.js';
import type { Queryable } from '../../src/db/database.js';
import { readShape } from '../../src/panes/contract/shape.js';
import { usage, UsageReader } from '../../src/panes/usage.js';
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
      timeout: 50_000,
    })
    .toMatchObject({ costUsd: 0.9, outputTokens: 9 });
});

test('a window of 30 days with more sessions than rows: every grouping as plain SQL sums it, and the window before', async () => {
  const database = await createTestDatabase();
  const client = await database.pool.connect();
  try {
    await fillUsage(client, { traces: 3_200, callsPerTrace: 1, tracesPerSession: 4, days: 45 });
    await client.query('ANALYZE');
  } finally {
    client.release();
  }
  const console_ = await openDatabase(database.url);
  const windowMs = 30 * 86_400_000;
  for (const [grouping, column] of groups) {
    const { rows, extras, asOf, notes } = await readWhole(console_, usage, new UsageReader(), {
      grouping,
      windowMs,
    });
    const since = new Date(asOf.getTime() - windowMs);
    const { rows: plain } = await database.query<{ group: string | null; cents: number }>(
      `WITH trace AS (
         SELECT ${column} AS "group", t.* FROM execution_traces AS t
       ), own AS (
         SELECT "group", sum(input_tokens)::int AS "inputTokens", sum(cache_read_tokens)::int AS "cacheReadTokens",
           sum(cache_creation_tokens)::int AS "cacheWriteTokens", sum(output_tokens)::int AS "outputTokens",
           round(100 * sum(cost_usd))::int AS cents, count(*)::int AS traces
         FROM trace WHERE started_at > $1 GROUP BY 1
       ), call AS (
         SELECT CASE $2 WHEN 'day' THEN to_char(c.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') WHEN 'model' THEN c.context ->> 'model'
           ELSE trace."group" END AS "group", count(*)::int AS calls
         FROM endpoint_calls AS c JOIN trace ON trace.id = c.trace_id WHERE c.started_at > $1 GROUP BY 1
       )
       SELECT own.*, COALESCE(calls, 0)::int AS calls FROM own LEFT JOIN call ON call."group" IS NOT DISTINCT FROM own."group"`,
      [since, grouping],
    );
    const byGroup = new Map(plain.map(({ group, ...figures }) => [group, figures]));
    expect(rows, grouping).toHaveLength(Math.min(500, plain.length));
    for (const row of rows) {
      const cents = Math.round(100 * (row.costUsd ?? 0));
      expect({ ...row, cents }, `${grouping} ${row.group}`).toMatchObject(
        byGroup.get(row.group) ?? {},
      );
    }
    // No group that is left out has cost more than one that is shown.
    const shown = new Set(rows.map(({ group }) => group));
    const left = plain.filter(({ group }) => !shown.has(group)).map(({ cents }) => cents);
    expect(Math.max(0, ...left)).toBeLessThanOrEqual(Math.round(100 * (rows.at(-1)?.costUsd ?? 0)));
    const cents = plain.reduce((sum, { cents: each }) => sum + each, 0);
    const allCents = Math.round(100 * (extras.costUsd ?? 0));
    expect(allCents, grouping).toBe(cents);
    expect(Math.round(100 * extras.series.reduce((sum, cost) => sum + cost, 0))).toBe(cents);
    expect(extras).toMatchObject({ groups: plain.length, windowMs });
    const { rows: before } = await database.query<{ cents: number }>(
      'SELECT round(100 * sum(cost_usd))::int AS cents FROM execution_traces WHERE started_at <= $1',
      [since],
    );
    expect(Math.round(100 * (extras.costBeforeUsd ?? 0)), grouping).toBe(before[0]?.cents);
    expect(notes.join(), grouping).toBe(
      grouping === 'session' ? `the 500 that used most of ${formatCount(plain.length)}` : '',
    );
  }
});

test('while a long window is being fetched, it is said of which part of it the figures are', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model, cost_usd, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed', 'm', 1, now() - i * interval '1 day'
     FROM generate_series(0, 29) AS i`,
  );
  const console_ = await openDatabase(database.url);
  const request = {
    shape: await readShape(console_),
    capabilities: console_.capabilities,
    database: console_,
    windowMs: 30 * 86_400_000,
    stuckAfterMs: 1,
    exact: false,
  };
  const reader = usage.createReader();
  // A server so slow that each reading gets one piece of the window.
  const transaction = <Result>(work: (tx: Queryable) => Promise<Result>) =>
    console_.transaction({ ...usage.limits, readOnly: true }, (tx) =>
      work({
        query: async (text, values) => {
          await sleep(60);
          return tx.query(text, values);
        },
      }),
    );
  const first = await reader.read({ ...request, transaction });
  expect(first.loading?.share).toBeLessThan(0.5);
  const { partMs = 0, costUsd } = first.extras;
  expect(partMs).toBeGreaterThan(0);
  expect(partMs).toBeLessThan(15 * 86_400_000);
  expect(costUsd).toBeLessThan(30);
  expect(usage.summary?.(first, { nowMs: 0 })[0]?.[0]?.text).toMatch(/ so far, of 30d$/);
  const whole = await readWhole(console_, usage, reader, { windowMs: request.windowMs });
  expect(whole.extras).toMatchObject({ costUsd: 30 });
  expect(whole.extras.partMs).toBeUndefined();
});

test('a window with more sessions than the console can hold is cut to its newest days, and says so', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, cost_usd, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed', 0.01, now() - i * interval '4 minutes'
     FROM generate_series(1, 2100) AS i`,
  );
  const console_ = await openDatabase(database.url);
  const reader = new UsageReader(2_000);
  for (let reading = 0; reading < 2; reading += 1) {
    const options = { grouping: 'session', windowMs: 7 * 86_400_000 };
    const { notes, extras } = await readWhole(console_, usage, reader, options);
    const days = extras.windowMs / 86_400_000;
    expect(notes).toEqual([
      `of the last ${days}d only: the window has over 2,000 groups`,
      expect.stringContaining('the 500 that used most of'),
    ]);
    expect(days).toBeLessThanOrEqual(5);
    expect(Math.abs(extras.turns - Math.min(2_100, days * 360))).toBeLessThan(5);
  }
});
