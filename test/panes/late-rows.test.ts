import { beforeAll, describe, expect, it, vi } from 'vitest';
import { resolveSource } from '../../src/db/connection/source.js';
import { Database } from '../../src/db/database.js';
import { openConsoleTable } from '../../src/deploy/console-schema.js';
import { agents } from '../../src/panes/agents.js';
import type { AnyPaneResult, Pane } from '../../src/panes/contract/pane.js';
import { endpoints } from '../../src/panes/endpoints.js';
import { errors } from '../../src/panes/errors.js';
import { models } from '../../src/panes/models.js';
import { recentTraces } from '../../src/panes/recent-traces.js';
import { sessions } from '../../src/panes/sessions.js';
import { slowHooks } from '../../src/panes/slow-hooks.js';
import { topPatterns } from '../../src/panes/top-patterns.js';
import { usage } from '../../src/panes/usage.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, readWhole, readWith } from './open.js';

let database: TestDatabase;
const session = 'a0000000-0000-4000-8000-000000000001';
const pattern = 'b0000000-0000-4000-8000-000000000001';

/** Traces with all that belongs to them, in one statement: the server tells of it at once. */
function insert(traces: number, from: string, until: string): string {
  return `
WITH trace AS (
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model, cost_usd, input_tokens, started_at, duration_ms)
  SELECT gen_random_uuid(), gen_random_uuid(), '${session}', 'test', (ARRAY['completed', 'failed'])[1 + i % 2], 'model-a', 0.5, 10,
    now() - interval '${from}' - i * (interval '${until}' - interval '${from}') / ${traces}, 5
  FROM generate_series(1, ${traces}) AS i RETURNING id, started_at, status),
hook AS (
  INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at, duration_ms)
  SELECT id, 'ToolUse', 'tool', 'Bash', status, started_at, 4 FROM trace),
call AS (
  INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, started_at, context)
  SELECT id, 'api', '/v1', 'POST', 500, started_at, '{"model": "model-a"}' FROM trace),
decision AS (
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
  SELECT id, 'reviewer', 0.9, 'explicit', started_at FROM trace)
INSERT INTO pattern_usage_log (pattern_id, correlation_id, outcome, used_at, actual_duration_ms)
SELECT '${pattern}', gen_random_uuid(), 'success', started_at, 3 FROM trace`;
}

const inWindow = (at: string) => `${at} > now() - $1::float8 * interval '1 millisecond'`;

type Shown = { pane: Pane; of: (result: AnyPaneResult) => number; sql: string };

function shown<Row extends object, Extras extends object>(
  pane: Pane<Row, Extras>,
  of: (row: Row) => number,
  sql: string,
): Shown {
  return {
    pane: pane,
    of: ({ rows }) => (rows as readonly Row[]).reduce((sum, row) => sum + of(row), 0),
    sql,
  };
}

/** One figure of each pane of a window, and what plain SQL says of it. */
const figures: readonly Shown[] = [
  shown(
    recentTraces,
    ({ count }) => count,
    `SELECT count(*) FROM execution_traces WHERE ${inWindow('started_at')}`,
  ),
  shown(
    slowHooks,
    ({ failures }) => failures,
    `SELECT count(*) FROM hook_executions WHERE status = 'failed' AND ${inWindow('started_at')}`,
  ),
  shown(
    endpoints,
    ({ calls }) => calls,
    `SELECT count(*) FROM endpoint_calls WHERE ${inWindow('started_at')}`,
  ),
  shown(
    usage,
    ({ costUsd }) => Math.round(2 * (costUsd ?? 0)),
    `SELECT count(*) FROM execution_traces WHERE ${inWindow('started_at')}`,
  ),
  shown(
    models,
    ({ calls }) => calls,
    `SELECT count(*) FROM endpoint_calls WHERE ${inWindow('started_at')}`,
  ),
  shown(
    errors,
    ({ calls }) => calls,
    `SELECT count(*) FROM endpoint_calls WHERE success = false AND ${inWindow('started_at')}`,
  ),
  shown(
    agents,
    ({ calls }) => calls,
    `SELECT count(*) FROM agent_routing_decisions WHERE ${inWindow('created_at')}`,
  ),
];

const usesInWindow = shown(
  topPatterns,
  ({ window }) => window?.calls?.now ?? 0,
  `SELECT count(*) FROM pattern_usage_log WHERE ${inWindow('used_at')}`,
);
/** Of the session, whatever the window. */
const turns = shown(
  sessions,
  ({ prompts }) => prompts,
  `SELECT count(*) FROM execution_traces WHERE $1::float8 > 0`,
);

async function counted(sql: string, windowMs: number): Promise<number> {
  const { rows } = await database.query<{ count: string }>(sql, [windowMs]);
  return Number(rows[0]?.count);
}

/** Readers as an open console has them, after their first readings. */
async function opened(console_: Database, windowMs: number, all: readonly Shown[]) {
  const open = all.map((each) => ({ ...each, reader: each.pane.createReader() }));
  for (let reading = 0; reading < 2; reading += 1) {
    for (const { pane, reader } of open) await readWhole(console_, pane, reader, { windowMs });
  }
  return open;
}

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(
    `INSERT INTO success_patterns (id, pattern_hash, intent_classification, success_count) VALUES ('${pattern}', 'hash', 'deploy', 1)`,
  );
  const source = resolveSource({ url: database.url, environment: {} });
  if (source.kind === 'embedded') throw new Error('a URL names a server');
  const console_ = await Database.open(source);
  await console_.transaction({}, (tx) => openConsoleTable(tx, 'agent_sessions'));
  await console_.close();
  await database.query(
    `INSERT INTO trace_console.agent_sessions (target_schema, session_id, agent, session, last_seen_at)
     VALUES (current_schema(), '${session}', 'claude', 's', now())`,
  );
  // So many that a reading cannot simply count all of them again.
  await database.query(insert(20_000, '0 s', '58 min'));
  await database.query(insert(5_000, '2 h', '20 h'));
  await database.query('VACUUM ANALYZE');
});

describe.each([
  ['an hour', 3_600_000],
  ['a day', 86_400_000],
  ['a month', 30 * 86_400_000],
])('of %s', (_name, windowMs) => {
  it('rows that come late are counted by an open console, whoever writes them, in all panes', async () => {
    const console_ = await openDatabase(database.url);
    // A reading of a month costs its newest hour.
    const isMonth = windowMs > 86_400_000;
    const all = isMonth ? figures.slice(0, 3) : [...figures, turns, usesInWindow];
    const open = await opened(console_, windowMs, all);
    await database.query(isMonth ? insert(150, '3 h', '200 h') : insert(150, '5 min', '50 min'));
    for (const { pane, reader, of, sql } of open) {
      await vi.waitFor(
        async () => {
          const result = await readWith(console_, pane, reader, { windowMs });
          expect([pane.id, of(result)]).toEqual([pane.id, await counted(sql, windowMs)]);
        },
        { timeout: 30_000, interval: 450 },
      );
    }
  });
});

it('rows that come between the first brief reading and the next are counted with that one, whatever their time', async () => {
  const console_ = await openDatabase(database.url);
  const windowMs = 3_600_000;
  const open = figures.map((each) => ({ ...each, reader: each.pane.createReader() }));
  for (const { pane, reader } of open) await readWith(console_, pane, reader, { windowMs });
  await database.query(insert(150, '5 min', '50 min'));
  for (const { pane, reader, of, sql } of open) {
    const result = await readWhole(console_, pane, reader, { windowMs });
    expect([pane.id, of(result)]).toEqual([pane.id, await counted(sql, windowMs)]);
  }
});

it('rows of the window before that come late are counted in the comparison', async () => {
  const console_ = await openDatabase(database.url);
  const windowMs = 3_600_000;
  const reader = slowHooks.createReader();
  const before = async () => {
    const { rows } = await readWhole(console_, slowHooks, reader, { windowMs });
    return rows.reduce((sum, { callsBefore }) => sum + (callsBefore ?? 0), 0);
  };
  const first = await before();
  await database.query(insert(120, '70 min', '110 min'));
  await vi.waitFor(async () => expect(await before()).toBeGreaterThanOrEqual(first + 110), {
    timeout: 30_000,
    interval: 450,
  });
});

it('hooks that end long after they began are counted as what became of them', async () => {
  const console_ = await openDatabase(database.url);
  await database.query(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at)
     SELECT id, 'PreToolUse', 'slow', 'in_progress', now() - i * interval '20 seconds'
     FROM (SELECT id FROM execution_traces LIMIT 1) AS trace, generate_series(20, 120) AS i`,
  );
  const reader = slowHooks.createReader();
  const running = async () => {
    const { rows } = await readWhole(console_, slowHooks, reader);
    return rows.reduce((sum, { inProgress }) => sum + inProgress, 0);
  };
  expect(await running()).toBe(101);
  await database.query(
    `UPDATE hook_executions SET status = 'completed', duration_ms = 9 WHERE status = 'in_progress'`,
  );
  await vi.waitFor(async () => expect(await running()).toBe(0), { timeout: 30_000, interval: 450 });
});

it('sessions get their late turns soon, however many there are and however large one of them is', async () => {
  const console_ = await openDatabase(database.url);
  await database.query(
    `INSERT INTO trace_console.agent_sessions (target_schema, session_id, agent, session, last_seen_at)
     SELECT current_schema(), ('c0000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'claude', 's' || i, now() - i * interval '1 s'
     FROM generate_series(1, 120) AS i`,
  );
  const reader = sessions.createReader();
  await readWhole(console_, sessions, reader);
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), session_id, 'test', 'completed', now() - interval '40 min'
     FROM trace_console.agent_sessions WHERE agent = 'claude' AND session LIKE 's%0'`,
  );
  const late = () => readWith(console_, sessions, reader);
  await vi.waitFor(
    async () => {
      const { rows } = await late();
      const turns = rows.filter(({ session }) => /^s.*0$/.test(session));
      expect(turns.map(({ prompts }) => prompts)).toEqual(Array<number>(12).fill(1));
    },
    { timeout: 10_000, interval: 450 },
  );
  await database.query(`DELETE FROM trace_console.agent_sessions WHERE session <> 's'`);
});
