import { expect, test } from 'vitest';
import { models } from '../../src/panes/models.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase, openRow, readFresh, readWhole } from './open.js';

const fill = `
WITH trace AS (
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model, input_tokens,
    cache_read_tokens, cache_creation_tokens, output_tokens, cost_usd, started_at)
  SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed',
    (ARRAY['large', 'small', NULL])[1 + i % 3], i, i * 10, i * 2, i * 3, i * 0.001, now() - i * interval '3 seconds'
  FROM generate_series(1, 600) AS i
  RETURNING id, started_at)
INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success, duration_ms, started_at, context)
SELECT id, 'provider', '/v1/messages', 'POST', n > 1, 100 * n, started_at,
  CASE n WHEN 4 THEN '{}' ELSE jsonb_build_object('model', 'large') END
FROM trace, generate_series(1, 4) AS n`;

test('calls, tokens and cost by model, as plain SQL counts them, kept and exact', async () => {
  const database = await createTestDatabase();
  await database.query(fill);
  const { rows: plain } = await database.query(
    `SELECT model, count(*)::int AS traces, sum(input_tokens)::int AS "inputTokens",
       sum(cache_read_tokens)::int AS "cacheReadTokens", sum(cache_creation_tokens)::int AS "cacheWriteTokens",
       sum(output_tokens)::int AS "outputTokens", (CASE model WHEN 'large' THEN 1800 ELSE 0 END) AS calls,
       (CASE model WHEN 'large' THEN 600 ELSE 0 END) AS failures
     FROM execution_traces WHERE model IS NOT NULL GROUP BY model ORDER BY sum(cost_usd) DESC`,
  );
  const console_ = await openDatabase(database.url);
  const reader = models.createReader();
  for (let reading = 0; reading < 2; reading += 1) {
    expect((await readWhole(console_, models, reader)).rows).toMatchObject(plain);
  }
  const { rows, extras } = await readFresh(console_, models, { exact: true });
  expect(rows).toMatchObject(plain);
  const [first, second] = rows;
  expect((first?.share ?? 0) + (second?.share ?? 0)).toBeCloseTo(1, 9);
  expect(extras.costUsd).toBeCloseTo((first?.costUsd ?? 0) + (second?.costUsd ?? 0), 9);
  expect(extras).toMatchObject({ calls: 1800, failures: 600 });
});

test('Enter leads to the traces of a model, and to those that only called it', async () => {
  const database = await createTestDatabase();
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed', model
     FROM unnest(ARRAY['large', 'small', 'other']) AS model;
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, context)
     SELECT id, 'provider', '/v1/messages', 'POST', '{"model": "large"}' FROM execution_traces WHERE model = 'small'`,
  );
  const console_ = await openDatabase(database.url);
  const { rows } = await readFresh(console_, models);
  const large = rows.find(({ model }) => model === 'large');
  if (!large) throw new Error('no row');
  const opened = await openRow(console_, models, large);
  expect(opened).toMatchObject({ kind: 'list', title: 'Traces of large' });
  expect(opened?.kind === 'list' && opened.rows).toHaveLength(2);
});
