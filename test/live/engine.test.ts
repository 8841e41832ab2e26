import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { LiveEngine } from '../../src/live/engine.js';
import type { EngineOptions } from '../../src/live/state.js';
import type { LiveState } from '../../src/live/state.js';
import type { ActivityRow } from '../../src/panes/reading/activity-buffer.js';
import { overviewPaneIds, type PaneId } from '../../src/panes/registry.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { Proxy } from '../helpers/proxy.js';
import { openDatabase } from '../panes/open.js';

async function startEngine(url: string, options: EngineOptions = {}): Promise<LiveEngine> {
  const engine = new LiveEngine(await openDatabase(url), { cadenceMs: 200, share: 1, ...options });
  onTestFinished(() => engine.stop());
  engine.start();
  return engine;
}

async function until(
  engine: LiveEngine,
  holds: (state: LiveState) => boolean,
  timeoutMs = 50_000,
): Promise<LiveState> {
  await expect
    .poll(() => holds(engine.getState()), { timeout: timeoutMs, interval: 20 })
    .toBe(true);
  return engine.getState();
}

function insertTrace(client: { query: (sql: string) => Promise<unknown> }) {
  return client.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test')`,
  );
}

async function lock(
  database: TestDatabase,
  table: string,
): Promise<{ pid: number; free: () => Promise<void> }> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  await client.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  const free = () => client.end();
  onTestFinished(free);
  return { pid: rows[0]?.pid ?? 0, free };
}

const all: PaneId[] = [
  'recent-traces',
  'slow-hooks',
  'index-usage',
  'table-sizes',
  'top-patterns',
  'activity',
];

test('every pane has its answer, and the vitals of the server are known', async () => {
  const database = await createTestDatabase();
  await insertTrace(database);
  const engine = await startEngine(database.url);
  const state = await until(
    engine,
    ({ panes, vitals }) =>
      typeof vitals?.transactionsPerSecond === 'number' &&
      all.every((id) => panes[id].asOf !== null),
  );
  expect(state.connection).toEqual({ state: 'connected' });
  expect(state.panes['recent-traces'].rows).toMatchObject([{ status: 'in_progress', count: 1 }]);
  expect(all.map((id) => state.panes[id].error)).toEqual(all.map(() => null));
  expect(state.vitals?.connections).toBeGreaterThan(0);
  expect(Math.abs(state.vitals?.clockOffsetMs ?? Infinity)).toBeLessThan(1_000);
  expect(state.vitals?.cacheHit).toBeGreaterThan(0);
});

test('the first rows of every pane of the overview take few round trips, those of the opening among them', async () => {
  const database = await createTestDatabase();
  await insertTrace(database);
  const { hostname, port } = new URL(database.url);
  const proxy = await Proxy.start({ host: hostname, port: Number(port) });
  onTestFinished(() => proxy.stop());
  // A cadence at which no pane is asked a second time.
  const engine = new LiveEngine(await openDatabase(proxy.through(database.url)), {
    cadenceMs: 60_000,
  });
  onTestFinished(() => engine.stop());
  engine.setVisible(overviewPaneIds);
  engine.start();
  await until(
    engine,
    ({ panes, vitals }) =>
      vitals !== null && overviewPaneIds.every((id) => panes[id].receivedAtMs !== null),
  );
  expect(proxy.roundTrips).toBeLessThanOrEqual(40);
});

test('the longest transaction of another session is named', async () => {
  const database = await createTestDatabase();
  const { pid } = await lock(database, 'error_patterns');
  const engine = await startEngine(database.url);
  const { vitals } = await until(engine, (state) => state.vitals?.longestTransaction?.pid === pid);
  expect(vitals?.longestTransaction?.ms).toBeGreaterThanOrEqual(0);
});

test('a locked table: its pane says by whom within its time-out and keeps its rows, the rest goes on', async () => {
  const database = await createTestDatabase();
  await insertTrace(database);
  const engine = await startEngine(database.url);
  await until(engine, ({ panes }) => all.every((id) => panes[id].asOf !== null));
  const { pid, free } = await lock(database, 'execution_traces');
  const blocked = await until(engine, ({ panes }) => panes['recent-traces'].error !== null);
  expect(blocked.panes['recent-traces']).toMatchObject({
    stale: true,
    rows: [{ status: 'in_progress', count: 1 }],
    error: { code: 'lock_timeout', message: `execution_traces is locked by pid ${pid}.` },
  });
  const asOf = blocked.panes['slow-hooks'].asOf?.getTime() ?? Infinity;
  const later = await until(
    engine,
    ({ panes }) => (panes['slow-hooks'].asOf?.getTime() ?? 0) > asOf,
  );
  expect(later.panes.activity.error).toBeNull();
  expect(later.connection).toEqual({ state: 'connected' });
  await free();
  const freed = await until(engine, ({ panes }) => panes['recent-traces'].error === null);
  expect(freed.panes['recent-traces'].stale).toBe(false);
});

test('a statement that takes too long is cancelled, and its pane says so', async () => {
  const database = await createTestDatabase();
  await database.query('DROP VIEW pattern_effectiveness');
  await database.query(
    `CREATE VIEW pattern_effectiveness AS
     SELECT pg_sleep(60)::text AS pattern_hash, 1.0 AS success_rate, 1 AS total_usage_count`,
  );
  const engine = await startEngine(database.url);
  const { panes, connection } = await until(
    engine,
    (state) => state.panes['top-patterns'].error !== null,
  );
  expect(panes['top-patterns'].error?.code).toBe('statement_timeout');
  expect(panes['recent-traces'].error).toBeNull();
  expect(connection).toEqual({ state: 'connected' });
});

test('hidden panes are not asked; one that is shown is asked', async () => {
  const database = await createTestDatabase();
  const engine = new LiveEngine(await openDatabase(database.url), { cadenceMs: 100, share: 1 });
  onTestFinished(() => engine.stop());
  engine.setVisible(['slow-hooks']);
  engine.start();
  const first = await until(engine, ({ panes }) => panes['slow-hooks'].asOf !== null);
  expect(first.panes['recent-traces'].asOf).toBeNull();
  engine.setVisible(['recent-traces']);
  await until(engine, ({ panes }) => panes['recent-traces'].asOf !== null);
});

test('another window is asked for at once, and while paused nothing but that', async () => {
  const database = await createTestDatabase();
  const engine = await startEngine(database.url, { cadenceMs: 60_000 });
  await until(engine, ({ panes }) => all.every((id) => panes[id].asOf !== null));
  engine.setPaused(true);
  engine.setWindow(86_400_000);
  const { panes, windowMs, paused } = await until(engine, (state) => {
    const extras = state.panes['recent-traces'].extras as { windowMs?: number } | undefined;
    return extras?.windowMs === 86_400_000;
  });
  expect([windowMs, paused]).toEqual([86_400_000, true]);
  expect(panes['slow-hooks'].error).toBeNull();
});

test('another variant of a pane is read at once, and one that it does not have is ignored', async () => {
  const database = await createTestDatabase();
  await database.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test') RETURNING id)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, duration_ms)
     SELECT id, type, type, 'completed', 5 FROM trace, unnest(ARRAY['Stop', 'ToolUse']) AS type`,
  );
  const engine = await startEngine(database.url, { cadenceMs: 60_000 });
  const shown = ({ panes: { 'slow-hooks': pane } }: LiveState) =>
    pane.loading ? [] : (pane.rows as { hook: string }[]).map(({ hook }) => hook);
  await until(engine, (state) => shown(state).length === 2);
  engine.setVariant('slow-hooks', 'tools');
  const tools = await until(engine, (state) => shown(state).length === 1);
  expect(shown(tools)).toEqual(['ToolUse']);
  expect(tools.panes['slow-hooks'].variant).toBe('tools');
  engine.setVariant('slow-hooks', 'others');
  engine.setVariant('errors', 'tools');
  expect(engine.getState().panes['slow-hooks'].variant).toBe('tools');
  expect(engine.getState().panes.errors.variant).toBeUndefined();
});

test('rows written into the past are counted as soon as it is told of them', async () => {
  const database = await createTestDatabase();
  const engine = await startEngine(database.url);
  engine.setVisible(['recent-traces']);
  const total = ({ panes: { 'recent-traces': pane } }: LiveState) =>
    (pane.rows as { count: number }[]).reduce((sum, { count }) => sum + count, 0);
  await until(engine, ({ panes }) => panes['recent-traces'].asOf !== null);
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT c, c, c, 'test', 'completed', now() - interval '50 minutes' + n * interval '1 minute'
     FROM generate_series(1, 40) AS n, LATERAL (SELECT gen_random_uuid() AS c OFFSET n - n) AS id`,
  );
  await engine.schemaChanged();
  await until(engine, (state) => total(state) === 40);
});

test('without the schema the panes say what is missing, and show it once it is there', async () => {
  const database = await createTestDatabase();
  await database.query('ALTER TABLE execution_traces RENAME TO elsewhere');
  const engine = await startEngine(database.url);
  const { panes } = await until(engine, (state) => state.panes['recent-traces'].error !== null);
  expect(panes['recent-traces'].error?.code).toBe('schema_missing');
  await database.query('ALTER TABLE elsewhere RENAME TO execution_traces');
  await engine.schemaChanged();
  await until(engine, (state) => state.panes['recent-traces'].error === null);
});

test('a role that may not read a table is told so, and sees the others', async () => {
  const server = await startPrivateServer();
  const url = await server.createDatabase('app');
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query(
    `CREATE ROLE reader LOGIN PASSWORD 'r'; GRANT USAGE ON SCHEMA public TO reader;
     GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; REVOKE ALL ON hook_executions FROM reader`,
  );
  await admin.end();
  const asReader = new URL(url);
  asReader.username = 'reader';
  asReader.password = 'r';
  const engine = await startEngine(asReader.href);
  const { panes } = await until(engine, (state) =>
    all.every((id) => state.panes[id].asOf !== null || state.panes[id].error !== null),
  );
  expect(panes['slow-hooks'].error).toMatchObject({
    code: 'privilege_missing',
    message: 'The role may not read hook_executions.',
  });
  expect(all.filter((id) => panes[id].error !== null)).toEqual(['slow-hooks']);
  expect(panes.activity.notes.join()).toContain('hook_executions cannot be followed');
});

test('the server goes away and comes back: the state says so, rows stay, and the tail misses nothing', async () => {
  const server = await startPrivateServer();
  const url = await server.createDatabase('app');
  const write = async (count: number) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    for (let index = 0; index < count; index += 1) await insertTrace(client);
    await client.end();
  };
  await write(3);
  const engine = await startEngine(url);
  await until(engine, ({ panes }) => panes.activity.rows.length === 3);

  await server.stop();
  const lost = await until(engine, ({ connection }) => connection.state === 'reconnecting');
  expect(lost.panes.activity.rows).toHaveLength(3);
  await until(
    engine,
    ({ connection }) => connection.state === 'reconnecting' && connection.attempts >= 2,
  );
  await server.start();
  await write(4);
  const back = await until(engine, ({ connection, panes }) => {
    return connection.state === 'connected' && panes.activity.rows.length === 7;
  });
  const rows = back.panes.activity.rows as ActivityRow[];
  expect(new Set(rows.map(({ id }) => id)).size).toBe(7);
  expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  await until(engine, ({ panes }) => {
    const [row] = panes['recent-traces'].rows as { count: number }[];
    return panes['recent-traces'].error === null && row?.count === 7;
  });
}, 60_000);

test('a connection that went silent is lost since the question that has no answer, not since that was noticed', async () => {
  const database = await createTestDatabase();
  const { hostname, port } = new URL(database.url);
  const proxy = await Proxy.start({ host: hostname, port: Number(port) });
  onTestFinished(() => proxy.stop());
  const engine = await startEngine(proxy.through(database.url));
  await until(engine, ({ vitals }) => vitals !== null);
  proxy.silence();
  proxy.swallowing = true;
  const { connection } = await until(engine, (state) => state.connection.state === 'reconnecting');
  // A time-out of two seconds, the shortest there is, has passed since it was asked.
  const sinceMs = connection.state === 'reconnecting' ? connection.sinceMs : Infinity;
  expect(engine.clock.now() - sinceMs).toBeGreaterThan(1_900);
});

test('subscribers hear of changes, and nothing after the stop', async () => {
  const database = await createTestDatabase();
  const engine = await startEngine(database.url);
  let told = 0;
  engine.subscribe(() => (told += 1));
  await expect.poll(() => told, { timeout: 50_000 }).toBeGreaterThan(3);
  await engine.stop();
  const atStop = told;
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(told).toBe(atStop);
});

test('a moment in the past: panes that look back show it, the others say that they show now; then the tail goes on', async () => {
  const database = await createTestDatabase();
  const old = new Date(Date.now() - 7_200_000);
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'old', 'failed', $1::timestamptz - i * interval '1 second'
     FROM generate_series(1, 3) AS i`,
    [old],
  );
  await insertTrace(database);
  const engine = await startEngine(database.url);
  const sources = (state: LiveState) =>
    (state.panes.activity.rows as ActivityRow[]).map(({ title }) => title);
  await until(engine, ({ panes }) => all.every((id) => panes[id].asOf !== null));
  engine.setUntil(old.getTime());
  // At once, before anything was asked: the rows that are there are not those of then.
  expect(engine.getState().panes.activity.loading).toEqual({ share: 0 });
  const isOf = (untilMs: number | undefined) => (state: LiveState) =>
    (['recent-traces', 'slow-hooks', 'activity'] as const).every(
      (id) => state.panes[id].untilMs === untilMs && !state.panes[id].loading,
    );
  const past = await until(engine, isOf(old.getTime()));
  expect(past.panes['recent-traces'].rows).toMatchObject([{ status: 'failed', count: 3 }]);
  expect(sources(past)).toEqual(['old', 'old', 'old']);
  expect(past.panes['table-sizes'].notes).toContain('shows now: it cannot look back');
  // What has passed is asked seldom; the sizes go on as they were.
  expect(past.panes['slow-hooks'].intervalMs).toBeGreaterThanOrEqual(30_000);

  await insertTrace(database);
  await insertTrace(database);
  engine.setUntil(undefined);
  const now = await until(engine, (state) => isOf(undefined)(state) && sources(state).length === 6);
  expect(sources(now)).toEqual(['old', 'old', 'old', 'test', 'test', 'test']);
  expect((now.panes.activity.extras as { seen: number }).seen).toBe(6);
  expect(now.panes['table-sizes'].notes).not.toContain('shows now: it cannot look back');
});

test('a moment whose rows cannot be read shows no rows of another', async () => {
  const database = await createTestDatabase();
  await insertTrace(database);
  const engine = await startEngine(database.url);
  await until(engine, ({ panes }) => panes['recent-traces'].rows.length > 0);
  await lock(database, 'execution_traces');
  engine.setUntil(Date.now() - 7_200_000);
  const { panes } = await until(engine, (state) => state.panes['recent-traces'].error !== null);
  expect(panes['recent-traces']).toMatchObject({ rows: [], asOf: null, stale: false });
});
