import { beforeAll, expect, test } from 'vitest';
import { errors } from '../../src/panes/errors.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, openRow, readFresh, readWhole } from './open.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, error_type, started_at)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test',
         (ARRAY['completed', 'failed', 'timeout'])[1 + i % 3], (ARRAY['ToolError', 'Timeout', NULL])[1 + i % 4],
         now() - i * interval '5 seconds'
       FROM generate_series(1, 1200) AS i RETURNING id, started_at),
     hook AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, error_type, started_at)
       SELECT id, 'PreToolUse', 'guard', 'failed', 'ToolError', started_at FROM trace)
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success, error_type, started_at)
     SELECT id, 's', 'https://s/', 'GET', false, 'Refused', started_at FROM trace`,
  );
  await database.query(
    `INSERT INTO error_patterns (fingerprint, error_type, error_category, error_message_pattern, severity,
       occurrence_count, resolved_at, resolution_pattern, resolution_success_rate)
     VALUES ('a', 'ToolError', 'system', '…', 'low', 5, NULL, NULL, NULL), ('b', 'ToolError', 'system', '…', 'high', 1, NULL, 'retry', NULL),
       ('c', 'Refused', 'network', '…', 'medium', 9, now(), 'wait', 0.617), ('d', 'Sleeping', 'system', '…', 'critical', 3, NULL, NULL, NULL)`,
  );
});

/** Failures between two ages, by type. */
async function counted(
  from: string,
  until: string,
): Promise<Map<string, object & { count: number }>> {
  const { rows } = await database.query<{ type: string; count: number }>(
    `SELECT COALESCE(error_type, 'unknown') AS type, count(*)::int AS count,
       (count(*) FILTER (WHERE kind = 't'))::int AS traces, (count(*) FILTER (WHERE kind = 'h'))::int AS hooks,
       (count(*) FILTER (WHERE kind = 'c'))::int AS calls
     FROM (
       SELECT error_type, started_at, 't' AS kind FROM execution_traces AS t WHERE status IN ('failed', 'timeout')
         AND NOT EXISTS (SELECT FROM hook_executions AS h WHERE h.trace_id = t.id AND h.status = 'failed'
           AND COALESCE(h.error_type, 'unknown') = COALESCE(t.error_type, 'unknown'))
       UNION ALL SELECT error_type, started_at, 'h' FROM hook_executions WHERE status IN ('failed', 'timeout')
       UNION ALL SELECT error_type, started_at, 'c' FROM endpoint_calls WHERE success = false) AS failure
     WHERE started_at > now() - $1::interval AND started_at < now() - $2::interval GROUP BY 1`,
    [from, until],
  );
  return new Map(rows.map((row) => [row.type, row]));
}

test('failures by type are those of plain SQL, with what is known of the type', async () => {
  const plain = await counted('1 day', '0');
  const console_ = await openDatabase(database.url);
  const windowMs = 86_400_000;
  for (const exact of [false, true]) {
    const { rows, extras } = exact
      ? await readFresh(console_, errors, { windowMs, exact })
      : await readWhole(console_, errors, errors.createReader(), { windowMs });
    const failed = rows.filter(({ count }) => count > 0);
    expect(new Map(failed.map((row) => [row.type, row]))).toMatchObject(plain);
    expect(failed).toHaveLength(plain.size);
    expect(rows.find(({ type }) => type === 'ToolError')).toMatchObject({
      severity: 'high',
      open: 2,
      resolution: 'retry',
    });
    expect(rows.find(({ type }) => type === 'Refused')).toMatchObject({
      open: 0,
      resolution: '62% · wait',
    });
    // Open, and nothing failed by it in the window.
    expect(rows.at(-1)).toMatchObject({
      type: 'Sleeping',
      count: 0,
      severity: 'critical',
      open: 1,
    });
    expect(extras).toMatchObject({ before: 0, open: 3 });
  }
});

test('the window before is counted beside it', async () => {
  // Half an hour holds 360 steps of 5 s; a row at the edge may have moved over it meanwhile.
  const before = await counted('1 hour', '30 minutes');
  const console_ = await openDatabase(database.url);
  const { rows } = await readWhole(console_, errors, errors.createReader(), {
    windowMs: 1_800_000,
  });
  for (const { type, before: count } of rows) {
    expect(Math.abs((count ?? NaN) - (before.get(type)?.count ?? 0))).toBeLessThanOrEqual(2);
  }
});

test('a trace that began long ago and fails now is there with the next reading', async () => {
  const console_ = await openDatabase(database.url);
  const reader = errors.createReader();
  const { rows: inserted } = await database.query<{ id: string }>(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, started_at)
     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', now() - interval '40 minutes') RETURNING id`,
  );
  const found = async () =>
    (await readWhole(console_, errors, reader)).rows.find(({ type }) => type === 'LateError')
      ?.count;
  expect(await found()).toBeUndefined();
  await database.query(
    `UPDATE execution_traces SET status = 'failed', error_type = 'LateError' WHERE id = $1`,
    [inserted[0]?.id],
  );
  expect(await found()).toBe(1);
});

test('one failure counts once: where it happened, not in the hook, the trace and the parent that failed with it', async () => {
  const own = await createTestDatabase();
  await own.query(
    `WITH parent AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, error_type, started_at)
       SELECT id, id, id, 'user_prompt', 'failed', 'NoRoute', now() - interval '10 s'
       FROM (SELECT gen_random_uuid() AS id) AS made RETURNING *),
     child AS (
       INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, status, error_type, started_at)
       SELECT gen_random_uuid(), root_id, correlation_id, session_id, 'agent_delegation', 'failed', 'NoRoute', now() - interval '9 s'
       FROM parent RETURNING id),
     hook AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, error_type, started_at)
       SELECT id, 'ToolUse', 'tool', 'failed', 'NoRoute', now() - interval '8 s' FROM child RETURNING id, trace_id),
     call AS (
       INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method, success, error_type, started_at)
       SELECT trace_id, id, 's', 'https://s/', 'GET', false, 'NoRoute', now() - interval '7 s' FROM hook)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, error_type, started_at)
     SELECT id, 'PreToolUse', 'guard', 'failed', 'Denied', now() - interval '6 s' FROM child`,
  );
  const console_ = await openDatabase(own.url);
  for (const exact of [false, true]) {
    const { rows } = await readFresh(console_, errors, { exact });
    expect(
      rows.map(({ type, count, traces, hooks, calls }) => [type, count, traces, hooks, calls]),
    ).toEqual(
      expect.arrayContaining([
        ['NoRoute', 1, 0, 0, 1],
        ['Denied', 1, 0, 1, 0],
      ]),
    );
    expect(rows).toHaveLength(2);
    const [row] = rows.filter(({ type }) => type === 'NoRoute');
    const opened = row && (await openRow(console_, errors, row));
    expect(opened?.kind === 'list' && opened.rows).toMatchObject([{ kind: 'endpoint_call' }]);
  }
});

test('open patterns are all that nobody has resolved, now, whatever window or moment is shown', async () => {
  const own = await createTestDatabase();
  await own.query(
    `INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern, first_occurrence_at, last_occurrence_at, resolved_at)
     SELECT 'f' || i, 'Type' || i % 230, '…', '2026-01-01', '2026-01-02', CASE WHEN i % 10 = 0 THEN now() END
     FROM generate_series(1, 600) AS i`,
  );
  await own.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, error_type, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'failed', 'Type' || i, now() - i * interval '10 minutes'
     FROM generate_series(1, 30) AS i`,
  );
  const console_ = await openDatabase(own.url);
  const plain = await own.query<{ type: string; open: number }>(
    `SELECT error_type AS type, count(*)::int AS open FROM error_patterns WHERE resolved_at IS NULL GROUP BY 1`,
  );
  const openOf = new Map(plain.rows.map(({ type, open }) => [type, open]));
  const all = plain.rows.reduce((sum, { open }) => sum + open, 0);
  for (const options of [
    { windowMs: 300_000 },
    { windowMs: 86_400_000 },
    { windowMs: 3_600_000, untilMs: Date.now() - 3_600_000 },
    { windowMs: 3_600_000, untilMs: Date.now() - 86_400_000 },
  ]) {
    const { rows, extras, notes } = await readFresh(console_, errors, { ...options, exact: true });
    expect(extras.open).toBe(all);
    for (const { type, open } of rows) expect([type, open]).toEqual([type, openOf.get(type) ?? 0]);
    const shown = rows.reduce((sum, { open }) => sum + open, 0);
    const others = `${all - shown} open patterns of types that are not among these rows`;
    expect(notes).toEqual(shown < all ? [others] : []);
  }
});
