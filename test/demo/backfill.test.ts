import { afterAll, beforeAll, expect, test } from 'vitest';
import { runDemo, type DemoSummary } from '../../src/demo/run.js';
import { coreTables } from '../../src/core/tables.js';
import { openConsoleTable } from '../../src/deploy/console-schema.js';
import { models } from '../../src/panes/models.js';
import { sessions } from '../../src/panes/sessions.js';
import { usage } from '../../src/panes/usage.js';
import { readWhole } from '../panes/open.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { closeDatabases, contents, countRows, day, noon, openDatabase } from './helpers.js';

const options = { seed: 11, start: noon, backfillMs: 120 * day, traces: 1_000 };
/** Of rows that several parts of history count up, with the server's time. */
const serverTime = {
  success_patterns: ['updated_at'],
  agent_chaining_patterns: ['updated_at'],
  error_patterns: ['updated_at'],
};

let database: TestDatabase;
let summary: DemoSummary;

beforeAll(async () => {
  database = await createTestDatabase();
  summary = await runDemo(await openDatabase(database), options);
});
afterAll(closeDatabases);

async function one<Row extends Record<string, unknown>>(sql: string): Promise<Row> {
  const { rows } = await database.query<Row>(sql);
  const [row] = rows;
  if (!row) throw new Error('no row');
  return row;
}

test('writes exactly as many traces as were asked for, and counts what it wrote', async () => {
  expect(await countRows(database, 'execution_traces')).toBe(1_000);
  for (const table of coreTables.slice(0, 6)) {
    expect({ [table]: await countRows(database, table) }).toEqual({ [table]: summary.rows[table] });
  }
  const errors = await one<{ sum: number }>(
    'SELECT sum(occurrence_count)::int AS sum FROM error_patterns',
  );
  expect(errors.sum).toBe(summary.rows.error_patterns);
});

test('fills every table', async () => {
  for (const table of coreTables) {
    expect(await countRows(database, table), table).toBeGreaterThan(10);
  }
});

test('equal seed and start give equal rows, ids and embeddings included', async () => {
  const second = await createTestDatabase();
  await runDemo(await openDatabase(second), options);
  expect(await contents(second, serverTime)).toEqual(await contents(database, serverTime));
});

test('another seed gives other traces at the same start', async () => {
  const second = await createTestDatabase();
  await runDemo(await openDatabase(second), { ...options, seed: 12, traces: 100 });
  const { rows } = await second.query<{ id: string }>('SELECT id FROM execution_traces');
  const { rows: shared } = await database.query(
    'SELECT FROM execution_traces WHERE id = ANY ($1::uuid[])',
    [rows.map(({ id }) => id)],
  );
  expect(shared).toHaveLength(0);
});

test('refuses to write the same rows twice, and leaves the first ones as they are', async () => {
  const before = await contents(database);
  const again = runDemo(await openDatabase(database), options);
  await expect(again).rejects.toThrow('These rows exist already.');
  expect(await contents(database)).toEqual(before);
});

test('most traces complete; some fail, time out and are cancelled; a few are stuck', async () => {
  const share = await one<Record<string, number>>(`
    SELECT avg((status = 'completed')::int)::float8 AS completed,
           avg((status = 'failed')::int)::float8 AS failed,
           count(*) FILTER (WHERE status = 'timeout')::int AS timeout,
           count(*) FILTER (WHERE status = 'cancelled')::int AS cancelled,
           count(*) FILTER (WHERE status = 'in_progress')::int AS stuck
    FROM execution_traces`);
  expect(share.completed).toBeGreaterThan(0.75);
  expect(share.completed).toBeLessThan(0.95);
  expect(share.failed).toBeGreaterThan(0.03);
  expect(share.timeout).toBeGreaterThan(3);
  expect(share.cancelled).toBeGreaterThan(3);
  expect(share.stuck).toBeGreaterThanOrEqual(3);
  expect(share.stuck).toBeLessThan(15);
});

test('history ends at the start, reaches back to its length, and is densest at its end', async () => {
  const times = await one<{ latest: Date; earliest: Date; hour: number; old: number }>(`
    SELECT GREATEST(max(started_at), max(completed_at)) AS latest, min(started_at) AS earliest,
      count(*) FILTER (WHERE started_at >= timestamptz '2026-03-26T11:00Z')::int AS hour,
      count(*) FILTER (WHERE started_at < timestamptz '2026-03-26T12:00Z' - interval '90 days')::int AS old
    FROM execution_traces`);
  expect(times.latest.getTime()).toBeLessThanOrEqual(noon);
  expect(times.earliest.getTime()).toBeGreaterThan(noon - 120 * day);
  expect(times.earliest.getTime()).toBeLessThan(noon - 100 * day);
  expect(times.hour).toBeGreaterThan(100);
  expect(times.old).toBeGreaterThan(5);
});

test('trees are whole: each trace has its root and its parent, up to three levels down', async () => {
  const tree = await one<Record<string, number>>(`
    SELECT count(*) FILTER (WHERE root.id IS NULL)::int AS rootless,
      count(*) FILTER (WHERE t.parent_id IS NOT NULL AND parent.id IS NULL)::int AS orphans,
      count(*) FILTER (WHERE t.parent_id IS NOT NULL AND t.started_at < parent.started_at)::int AS early,
      count(*) FILTER (WHERE t.completed_at > parent.completed_at)::int AS outliving,
      count(*) FILTER (WHERE t.session_id <> root.session_id)::int AS strays,
      max((t.context ->> 'depth')::int) AS deepest
    FROM execution_traces AS t
    LEFT JOIN execution_traces AS root ON root.correlation_id = t.root_id
    LEFT JOIN execution_traces AS parent ON parent.correlation_id = t.parent_id`);
  expect(tree).toEqual({ rootless: 0, orphans: 0, early: 0, outliving: 0, strays: 0, deepest: 3 });
});

test('what belongs to a trace happened while it ran', async () => {
  for (const table of ['hook_executions', 'endpoint_calls']) {
    const outside = await countRows(
      database,
      `${table} AS c JOIN execution_traces AS t ON t.id = c.trace_id
       WHERE c.started_at < t.started_at OR c.completed_at > t.completed_at`,
    );
    expect({ [table]: outside }).toEqual({ [table]: 0 });
  }
});

/** Of each trace what its calls of models have; NULL: it has none. */
const ofCalls = `SELECT sum((context #>> '{usage,input}')::bigint), sum((context #>> '{usage,output}')::bigint),
    sum((context #>> '{usage,cacheRead}')::bigint), sum((context #>> '{usage,cacheCreation}')::bigint),
    sum((context #>> '{cost,usd}')::numeric), bool_and(context ->> 'model' = t.model)
  FROM endpoint_calls WHERE trace_id = t.id AND context ? 'model'`;

test('a trace has the model, the tokens and the cost of its calls', async () => {
  const wrong = await countRows(
    database,
    `execution_traces AS t CROSS JOIN LATERAL (${ofCalls}) AS c (input, output, read, written, usd, is_same)
     WHERE (input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_usd)
       IS DISTINCT FROM (COALESCE(input, 0), COALESCE(output, 0), COALESCE(read, 0), COALESCE(written, 0), COALESCE(usd, 0))
       OR NOT is_same`,
  );
  expect(wrong).toBe(0);
  expect(await countRows(database, `endpoint_calls WHERE context ? 'cost'`)).toBeGreaterThan(1_000);
});

test('models, usage and sessions agree about it, and with plain SQL', async () => {
  const recent = await createTestDatabase();
  const connection = await openDatabase(recent);
  await connection.transaction({}, (tx) => openConsoleTable(tx, 'agent_sessions'));
  await runDemo(connection, { seed: 11, start: Date.now(), backfillMs: day / 12, traces: 120 });
  const { rows } = await recent.query<Record<string, number>>(`
    SELECT count(*)::int AS traces, count(*) FILTER (WHERE parent_id IS NULL)::int AS turns,
      sum(input_tokens + output_tokens + cache_read_tokens + cache_creation_tokens)::int AS tokens,
      sum(cost_usd)::float8 AS "costUsd", (SELECT count(*)::int FROM endpoint_calls WHERE context ? 'model') AS calls
    FROM execution_traces`);
  const [{ traces, turns, tokens, costUsd, calls } = {}] = rows;
  const money = expect.closeTo(costUsd ?? 0, 4) as unknown;
  const window = { windowMs: day };
  const sumOf = <Row>(list: readonly Row[], of: (row: Row) => number) =>
    list.reduce((sum, row) => sum + of(row), 0);
  const byModel = await readWhole(connection, models, models.createReader(), window);
  expect(byModel.extras).toMatchObject({ calls, tokens, costUsd: money });
  expect(sumOf(byModel.rows, (row) => row.traces)).toBe(traces);
  for (const { id: grouping } of usage.groupings ?? []) {
    const used = await readWhole(connection, usage, usage.createReader(), { ...window, grouping });
    expect(used.extras, grouping).toMatchObject({ turns, calls, tokens, costUsd: money });
    expect(
      sumOf(used.rows, (row) => row.calls),
      grouping,
    ).toBe(calls);
  }
  const seen = await readWhole(connection, sessions, sessions.createReader(), window);
  expect(seen.extras.costUsd).toEqual(money);
  expect(sumOf(seen.rows, (row) => row.prompts)).toBe(turns);
  expect(sumOf(seen.rows, (row) => row.prompts + row.subagents)).toBe(traces);
  expect(sumOf(seen.rows, (row) => row.tokens)).toBe(tokens);
  const tools = await countRows(recent, `hook_executions WHERE hook_type = 'ToolUse'`);
  expect(tools).toBeGreaterThan(120);
  expect(sumOf(seen.rows, (row) => row.tools)).toBe(tools);
  const wrong = await countRows(
    recent,
    `trace_console.agent_sessions AS s JOIN LATERAL (
       SELECT min(t.context ->> 'branch') AS branch, min(t.started_at) AS begun
       FROM execution_traces AS t WHERE t.session_id = s.session_id AND t.parent_id IS NULL) AS t ON true
     WHERE (s.git_branch, s.started_at) IS DISTINCT FROM (t.branch, t.begun)`,
  );
  expect(wrong).toBe(0);
});

test("a pattern's counters are what its usage log says", async () => {
  const wrong = await countRows(
    database,
    `success_patterns AS p LEFT JOIN (
       SELECT pattern_id, count(*) AS uses, count(*) FILTER (WHERE outcome = 'success') AS good,
         count(*) FILTER (WHERE outcome = 'failure') AS bad, max(used_at) AS latest,
         min(actual_duration_ms) AS shortest
       FROM pattern_usage_log GROUP BY 1
     ) AS l ON l.pattern_id = p.id
     WHERE (p.total_usage_count, p.success_count, p.failure_count)
             IS DISTINCT FROM (COALESCE(uses, 0), COALESCE(good, 0), COALESCE(bad, 0))
        OR p.last_used_at IS DISTINCT FROM latest OR p.min_duration_ms IS DISTINCT FROM shortest
        OR (shortest IS NULL) <> (p.avg_duration_ms IS NULL)`,
  );
  expect(wrong).toBe(0);
});

test('failures of a service cluster in time', async () => {
  const busy = await createTestDatabase();
  const hour = { seed: 11, start: noon, backfillMs: day / 24, traces: 400 };
  await runDemo(await openDatabase(busy), hour);
  const { rows } = await busy.query<{ failed: number; calls: number }>(`
    SELECT count(*) FILTER (WHERE NOT success)::int AS failed, count(*)::int AS calls
    FROM endpoint_calls GROUP BY service_name, date_bin('5 min', started_at, timestamptz '2026-03-26T12:00Z')
    HAVING count(*) >= 5`);
  const shares = rows.map(({ failed, calls }) => failed / calls);
  expect(Math.max(...shares)).toBeGreaterThan(0.3);
  expect(shares.filter((share) => share === 0).length).toBeGreaterThan(0.7 * shares.length);
});

test('prompts are what people type: short and long, code, emoji and other scripts', async () => {
  const kinds = await one<Record<string, boolean>>(`
    SELECT bool_or(length(prompt_text) < 20) AS short, bool_or(length(prompt_text) > 2000) AS long,
      bool_or(prompt_text LIKE '%\`\`\`%') AS code, bool_or(prompt_text ~ '[🙏🔥👍]') AS emoji,
      bool_or(prompt_text ~ '[一-龥]') AS han
    FROM execution_traces`);
  expect(kinds).toEqual({ short: true, long: true, code: true, emoji: true, han: true });
});

test('patterns of one intent are each other’s nearest neighbours', async () => {
  const found = await one<{ same: number }>(`
    SELECT avg((near.intent_classification = p.intent_classification)::int)::float8 AS same
    FROM (SELECT * FROM success_patterns ORDER BY id LIMIT 20) AS p
    CROSS JOIN LATERAL (
      SELECT intent_classification FROM success_patterns AS o WHERE o.id <> p.id
      ORDER BY (o.prompt_embedding <=> p.prompt_embedding) + 0 LIMIT 3
    ) AS near`);
  expect(found.same).toBe(1);
});
