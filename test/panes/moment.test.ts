import { beforeAll, expect, test } from 'vitest';
import { activity } from '../../src/panes/activity.js';
import { agents } from '../../src/panes/agents.js';
import { endpoints } from '../../src/panes/endpoints.js';
import { errors } from '../../src/panes/errors.js';
import { recentTraces } from '../../src/panes/recent-traces.js';
import { slowHooks } from '../../src/panes/slow-hooks.js';
import { tracesOpening } from '../../src/panes/trace/traces-listed.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { detailAccess, openDatabase, openRow, readFresh, readWhole, readWith } from './open.js';

let database: TestDatabase;
/** Within the data, which goes on after it; of no slice the beginning. */
let untilMs: number;

/** Four hours, a trace every 7.3 s, with all that belongs to it. */
beforeAll(async () => {
  database = await createTestDatabase();
  const nowMs = Date.now();
  untilMs = nowMs - 5_400_123;
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, error_type, started_at, duration_ms, prompt_text)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test',
         (ARRAY['completed', 'completed', 'failed', 'in_progress'])[1 + i % 4], CASE WHEN i % 4 = 2 THEN 'Refused' END,
         to_timestamp($1::float8 / 1000 - i * 7.3), CASE WHEN i % 4 < 3 THEN floor(exp(8 * abs(sin(i)))) END, 'prompt ' || i
       FROM generate_series(1, 1972) AS i
       RETURNING id, started_at, duration_ms, status),
     routing AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
       SELECT id, 'agent-' || row_number() OVER () % 3, 0.8, 'explicit', started_at FROM trace),
     hook AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, error_type, started_at, duration_ms)
       SELECT id, 'PreToolUse', 'guard-' || row_number() OVER () % 2, CASE status WHEN 'failed' THEN 'failed' ELSE 'completed' END,
         CASE status WHEN 'failed' THEN 'ToolError' END, started_at, duration_ms FROM trace)
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, success, started_at, duration_ms)
     SELECT id, 'service-' || row_number() OVER () % 2, 'https://s/', 'GET', true, started_at, duration_ms FROM trace`,
    [nowMs],
  );
});

type Counted = { name: string; calls: number; p95: number };

/** Calls by name in the hour before the moment, or in the one before that. */
async function counted(name: string, from: string, at: string, hoursBefore: number) {
  const { rows } = await database.query<Counted>(
    `SELECT ${name} AS name, count(*)::int AS calls,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms)::int AS p95 FROM ${from}
     WHERE ${at} > to_timestamp($1::float8 / 1000 - 3600 * ($2::int + 1)) AND ${at} < to_timestamp($1::float8 / 1000 - 3600 * $2::int)
     GROUP BY 1 ORDER BY 1`,
    [untilMs, hoursBefore],
  );
  expect(rows.length).toBeGreaterThan(0);
  return rows;
}

const byName = <Row extends { name: string }>(rows: readonly Row[]) =>
  rows.toSorted((a, b) => a.name.localeCompare(b.name));

test.each([
  ['kept', false],
  ['exact', true],
])(
  'each pane counts the window that ends at the moment, as plain SQL does: %s',
  async (_, exact) => {
    const console_ = await openDatabase(database.url);
    const read = { untilMs, exact };
    const status = await counted('status', 'execution_traces', 'started_at', 0);
    const traces = await readWhole(console_, recentTraces, recentTraces.createReader(), read);
    expect(byName(traces.rows.map(({ status: name, count }) => ({ name, calls: count })))).toEqual(
      status.map(({ name, calls }) => ({ name, calls })),
    );
    const all = status.reduce((sum, { calls }) => sum + calls, 0);
    expect(traces.extras.series.reduce((sum, { started }) => sum + started, 0)).toBe(all);
    expect(traces.extras.stuck).toEqual([]);
    expect(traces.extras.running).toBe(status.find(({ name }) => name === 'in_progress')?.calls);
    expect(traces.asOf.getTime()).toBe(untilMs);

    const hooks = await readWhole(console_, slowHooks, slowHooks.createReader(), read);
    expect(byName(hooks.rows.map(({ hook: name, calls }) => ({ name, calls })))).toEqual(
      (await counted('hook_name', 'hook_executions', 'started_at', 0)).map(({ name, calls }) => ({
        name,
        calls,
      })),
    );

    const failed = await readWhole(console_, errors, errors.createReader(), read);
    expect(failed.rows.map(({ type, count }) => [type, count])).toEqual([
      ['Refused', status.find(({ name }) => name === 'failed')?.calls],
      ['ToolError', status.find(({ name }) => name === 'failed')?.calls],
    ]);
  },
);

test.each([
  ['kept', false],
  ['exact', true],
])('agents and endpoints are compared with the window before: %s', async (_, exact) => {
  const console_ = await openDatabase(database.url);
  const read = { untilMs, exact };
  const compared = [
    {
      result: await readWhole(console_, agents, agents.createReader(), read),
      name: (row: object) => ('agent' in row ? String(row.agent) : ''),
      plain: [
        'd.agent_selected',
        'agent_routing_decisions AS d JOIN execution_traces AS t ON t.id = trace_id',
        'd.created_at',
      ],
    },
    {
      result: await readWhole(console_, endpoints, endpoints.createReader(), read),
      name: (row: object) => ('service' in row ? String(row.service) : ''),
      plain: ['service_name', 'endpoint_calls', 'started_at'],
    },
  ] as const;
  for (const { result, name, plain } of compared) {
    const [column, from, at] = plain;
    const now = await counted(column, from, at, 0);
    const before = await counted(column, from, at, 1);
    const rows = byName(result.rows.map((row) => ({ ...row, name: name(row) })));
    expect(rows.map(({ calls, callsBefore }) => [calls, callsBefore])).toEqual(
      now.map(({ calls }, index) => [calls, before[index]?.calls]),
    );
    for (const [index, { p95Ms, p95BeforeMs }] of rows.entries()) {
      for (const [found, plainP95] of [
        [p95Ms, now[index]?.p95],
        [p95BeforeMs, before[index]?.p95],
      ]) {
        const allowed = (plainP95 ?? NaN) * result.extras.percentileError + 0.5;
        expect(Math.abs((found ?? NaN) - (plainP95 ?? NaN))).toBeLessThanOrEqual(allowed);
      }
    }
    expect(result.extras.callsBefore).toBe(before.reduce((sum, { calls }) => sum + calls, 0));
  }
});

test('what is compared is what the columns say: more, fewer, slower, and new', async () => {
  const column = (id: string) => agents.columns.find((each) => each.id === id);
  const { rows } = await readFresh(await openDatabase(database.url), agents, { untilMs });
  const [row] = rows;
  if (!row) throw new Error('no agent');
  const change = (id: string, given: Partial<typeof row>) =>
    column(id)?.value({ ...row, ...given });
  expect(change('change', { calls: 140, callsBefore: 100 })).toBeCloseTo(0.4, 9);
  expect(change('change', { calls: 3, callsBefore: 0 })).toBe(Infinity);
  expect(change('change', { callsBefore: null })).toBeNull();
  expect(change('slower', { p95Ms: 150, p95BeforeMs: 100 })).toBeCloseTo(0.5, 9);
  // Both may be 3.1 % off.
  expect(change('slower', { p95Ms: 106, p95BeforeMs: 100 })).toBe(0);
  expect(change('slower', { p95BeforeMs: null })).toBeNull();
});

test('a window that has ended is read once: then its two edges only, and what is late', async () => {
  const console_ = await openDatabase(database.url);
  const reader = slowHooks.createReader();
  // The first, brief one keeps nothing.
  await readWhole(console_, slowHooks, reader, { untilMs });
  const first = await readWhole(console_, slowHooks, reader, { untilMs });
  const { rows: slices } = await database.query<{ id: string }>(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at, duration_ms)
     SELECT id, 'PreToolUse', 'late', 'completed', to_timestamp($1::float8 / 1000), 1 FROM execution_traces LIMIT 1 RETURNING id`,
    [untilMs - 1_800_000],
  );
  const second = await readWith(console_, slowHooks, reader, { untilMs });
  expect(second.rows).toEqual(first.rows);
  expect(second.loading).toBeUndefined();
  const whole = await readWith(console_, slowHooks, reader, { untilMs, exact: true });
  expect(whole.rows.some(({ hook }) => hook === 'late')).toBe(true);
  await database.query('DELETE FROM hook_executions WHERE id = $1', [slices[0]?.id]);
});

test('the activity shows the newest events of the window before the moment', async () => {
  const { rows: plain } = await database.query<{ id: string }>(
    `SELECT id FROM execution_traces
     WHERE started_at >= to_timestamp($1::float8 / 1000 - 300) AND started_at < to_timestamp($1::float8 / 1000)
     ORDER BY started_at`,
    [untilMs],
  );
  const { rows, extras, asOf } = await readFresh(await openDatabase(database.url), activity, {
    untilMs,
    windowMs: 300_000,
  });
  expect(rows).toHaveLength(4 * plain.length);
  expect(rows.filter(({ kind }) => kind === 'trace').map(({ id }) => id)).toEqual(
    plain.map(({ id }) => id),
  );
  expect(rows.every(({ at }) => at.getTime() < untilMs)).toBe(true);
  expect(asOf.getTime()).toBe(untilMs);
  expect(extras.perSecond).toBeNull();
});

test('what is opened ends at the same moment', async () => {
  const console_ = await openDatabase(database.url);
  const options = { untilMs };
  const isBefore = (time: unknown) => time instanceof Date && time.getTime() < untilMs;
  const hook = (await readFresh(console_, slowHooks, options)).rows[0];
  const service = (await readFresh(console_, endpoints, options)).rows[0];
  const error = (await readFresh(console_, errors, options)).rows[0];
  if (!hook || !service || !error) throw new Error('no rows');
  for (const opened of [
    await openRow(console_, slowHooks, hook, options),
    await openRow(console_, endpoints, service, options),
    await openRow(console_, errors, error, options),
  ]) {
    if (opened?.kind !== 'list') throw new Error('no list');
    expect(opened.rows.length).toBeGreaterThan(50);
    expect(opened.rows.every((row) => 'startedAt' in row && isBefore(row.startedAt))).toBe(true);
    expect(opened.summary[0]?.text).toMatch(/ before \d{4}-/);
  }
  const access = await detailAccess(console_, options);
  for (const of of [
    { by: 'status', status: 'failed' },
    { by: 'agent', agent: 'agent-1' },
    { by: 'prompt', text: 'prompt' },
  ] as const) {
    const opened = await tracesOpening('Traces', of).read(access);
    if (opened.kind !== 'list') throw new Error('no list');
    expect(opened.rows.length).toBeGreaterThan(50);
    expect(opened.rows.every((row) => 'started_at' in row && isBefore(row.started_at))).toBe(true);
    expect(opened.asOf.getTime()).toBe(untilMs);
  }
});
