import { expect, test } from 'vitest';
import { endpoints } from '../../src/panes/endpoints.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase, openRow, readFresh, readWhole } from './open.js';

test('calls by service, method and URL without query and identifiers, as plain SQL counts them', async () => {
  const database = await createTestDatabase();
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test') RETURNING id)
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, success, started_at,
       duration_ms, request_bytes, response_bytes, retry_count)
     SELECT trace.id, 'service-' || i % 2,
       'https://s.internal/v1/items/' || i || '/parts/' || gen_random_uuid() || '?page=' || i, 'GET',
       (ARRAY[200, 204, 302, 404, 500, NULL])[1 + i % 6], (ARRAY[true, true, true, false, false, NULL])[1 + i % 6],
       now() - i * interval '2 seconds', i, i * 10, i * 1000, i % 3
     FROM trace, generate_series(1, 1200) AS i`,
  );
  // A call without an answer that has failed.
  await database.query(
    `UPDATE endpoint_calls SET success = false, error_type = 'timeout' WHERE status_code IS NULL AND duration_ms % 4 = 1`,
  );
  const { rows: plain } = await database.query(
    `SELECT service_name AS service, 'GET' AS method, 'https://s.internal/v1/items/:id/parts/:id' AS url,
       count(*)::int AS calls, (count(*) FILTER (WHERE success = false))::int AS failures,
       (count(*) FILTER (WHERE success IS NULL))::int AS "inProgress",
       (count(*) FILTER (WHERE status_code BETWEEN 200 AND 399))::int AS answered,
       (count(*) FILTER (WHERE status_code BETWEEN 400 AND 499))::int AS refused,
       (count(*) FILTER (WHERE status_code BETWEEN 500 AND 599))::int AS broken,
       (count(*) FILTER (WHERE status_code IS NULL AND success = false))::int AS unanswered,
       sum(retry_count)::int AS retries, sum(request_bytes)::int AS "requestBytes",
       sum(response_bytes)::int AS "responseBytes", max(duration_ms)::int AS "maxMs"
     FROM endpoint_calls WHERE started_at > now() - interval '6 hours' GROUP BY 1 ORDER BY sum(duration_ms) DESC`,
  );
  const console_ = await openDatabase(database.url);
  const windowMs = 6 * 3_600_000;
  const reader = endpoints.createReader();
  for (let reading = 0; reading < 2; reading += 1) {
    const kept = await readWhole(console_, endpoints, reader, { windowMs });
    expect(kept.rows).toMatchObject(plain);
  }
  const exact = await readFresh(console_, endpoints, { windowMs, exact: true });
  expect(exact.rows).toMatchObject(plain);
  expect(exact.rows.some(({ unanswered }) => unanswered > 0)).toBe(true);
  expect(exact.extras.calls).toBe(1200);
});

test('Enter opens the calls of that endpoint only, failed ones first, then the slowest; sizes that nobody told are none', async () => {
  const database = await createTestDatabase();
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test') RETURNING id)
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success, started_at, duration_ms)
     SELECT trace.id, 'service', 'https://s/' || (ARRAY['a', 'b'])[1 + i % 2] || '/' || i, 'GET', i % 10 > 3,
       now() - i * interval '1 second', 1000 - i
     FROM trace, generate_series(1, 200) AS i`,
  );
  const console_ = await openDatabase(database.url);
  const result = await readFresh(console_, endpoints);
  const { rows } = result;
  const row = rows.find(({ url }) => url === 'https://s/b/:id');
  // Nobody told how large they were: that is not 0 B.
  expect(row).toMatchObject({ requestBytes: null, responseBytes: null });
  const summary = endpoints.summary?.(result, { nowMs: 0 }) ?? [];
  expect(JSON.stringify(summary)).not.toContain('sent and received');
  const opened = row && (await openRow(console_, endpoints, row));
  if (opened?.kind !== 'list') throw new Error('no list');
  const shown = opened.rows as unknown as {
    failed: boolean;
    durationMs: number;
  }[];
  // Of 100 odd numbers 40 failed; the smallest number is the slowest.
  expect(shown.map(({ failed }) => failed)).toEqual([
    ...Array.from({ length: 40 }, () => true),
    ...Array.from({ length: 60 }, () => false),
  ]);
  expect(shown.every(({ durationMs }) => durationMs % 2 === 1)).toBe(true);
  for (const [from, to] of [
    [0, 40],
    [40, 100],
  ]) {
    const took = shown.slice(from, to).map(({ durationMs }) => durationMs);
    expect(took).toEqual(took.toSorted((a, b) => b - a));
  }
});
