import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { OpenedTrace } from '../../../src/panes/contract/opening.js';
import { usualLimits } from '../../../src/panes/contract/pane.js';
import { timelineStatement } from '../../../src/panes/trace/timeline.js';
import { readTraceTree, traceOpening } from '../../../src/panes/trace/trace-opening.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { detailAccess, openDatabase } from '../open.js';

let db: TestDatabase;

const chain = (n: string) => `md5('chain' || ${n})::uuid`;

// Nothing is analysed: the planner knows as little as when a trace is being written.
beforeAll(async () => {
  db = await createTestDatabase();
  await db.query(
    `INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, status, started_at, duration_ms)
     SELECT ${chain('n')}, ${chain('0')}, CASE WHEN n > 0 THEN ${chain('n - 1')} END, ${chain('0')},
       'agent_delegation', 'completed', now() - (10001 - n) * interval '1 ms', 5
     FROM generate_series(0, 9999) AS n`,
  );
  await db.query(
    `INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, started_at)
     SELECT id, id, id, id, 'user_prompt', now()
     FROM (SELECT md5('wide')::uuid AS id) AS wide;
     INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, started_at)
     VALUES (md5('late')::uuid, md5('wide')::uuid, md5('wide')::uuid, md5('wide')::uuid, 'agent_delegation',
       now() + interval '1 hour');
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at, duration_ms)
     SELECT md5('wide')::uuid, 'PreToolUse', 'guard', 'Bash', 'completed', now() + n * interval '1 ms', 1
     FROM generate_series(1, 100000) AS n`,
  );
});

/** On a busy machine the time-out of a view is short. */
async function patientAccess() {
  const database = await openDatabase(db.url);
  const access = await detailAccess(database);
  const read: typeof access.read = (text, values) =>
    database.read(text, values, { ...usualLimits, statementTimeoutMs: 50_000 });
  return { ...access, read };
}

async function idOf(expression: string): Promise<string> {
  const { rows } = await db.query<{ id: string }>(`SELECT ${expression} AS id`);
  return rows[0]?.id ?? '';
}

test('a chain of 10,000 traces is read and printed whole', async () => {
  const id = await idOf(chain('0'));
  const tree = await readTraceTree(await patientAccess(), id);
  expect(tree.nodes.at(-1)).toMatchObject({ depth: 9_999, startMs: 9_999 });
  const { exitCode, stdout } = await runCli(['trace', id, '--url', db.url]);
  expect([exitCode, stdout.split('\n').length]).toEqual([0, 10_005]);
});

test('a fresh trace of 100,000 hooks opens with its first events, whichever of its traces was asked for', async () => {
  const access = await patientAccess();
  const open = async (id: string, events?: number) =>
    (await traceOpening(id).read({ ...access, events })) as OpenedTrace;
  const first = await open(await idOf(`md5('wide')::uuid`));
  expect(first.tree.nodes).toHaveLength(2_000);
  expect(first.tree.nodes.slice(0, 3).map(({ startMs }) => startMs)).toEqual([0, 1, 2]);
  const late = await open(await idOf(`md5('late')::uuid`), 20_000);
  expect(late.tree.nodes).toHaveLength(20_000);
  expect(late.tree).toMatchObject({ isCut: true, asked: { depth: 1, startMs: 3_600_000 } });
  const whole = await open(await idOf(`md5('wide')::uuid`), 200_000);
  expect(whole.tree).toMatchObject({ isCut: false, nodes: { length: 100_002 } });
});

test('four times the events are printed with four times the work, however often each part of the program runs', async () => {
  await db.query(
    `INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, started_at)
     SELECT id, id, id, id, 'user_prompt', now() FROM (SELECT md5('narrow')::uuid AS id) AS narrow;
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at, duration_ms)
     SELECT md5('narrow')::uuid, 'PreToolUse', 'guard', 'Bash', 'completed', now() + n * interval '1 ms', 1
     FROM generate_series(1, 5000) AS n`,
  );
  const narrow = await workOf(['trace', await idOf(`md5('narrow')::uuid`)]);
  const wide = await workOf(['trace', await idOf(`md5('wide')::uuid`)]);
  expect([narrow.lines > 5_000, wide.lines > 20_000]).toEqual([true, true]);
  expect(wide.work / narrow.work).toBeLessThan(4.2);
});

/** How often V8 has run each block of the program, in all, and how many lines that has printed. */
async function workOf(args: string[]): Promise<{ work: number; lines: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-work-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { exitCode, stdout } = await runCli([...args, '--url', db.url], {
    env: { NODE_V8_COVERAGE: folder },
  });
  expect(exitCode).toBe(0);
  type Coverage = { result: { functions: { ranges: { count: number }[] }[] }[] };
  const counts = readdirSync(folder).flatMap((file) =>
    (JSON.parse(readFileSync(join(folder, file), 'utf8')) as Coverage).result.flatMap((script) =>
      script.functions.flatMap(({ ranges }) => ranges.map(({ count }) => count)),
    ),
  );
  expect(counts.length).toBeGreaterThan(1_000);
  return { work: counts.reduce((sum, count) => sum + count, 0), lines: stdout.split('\n').length };
}

test('a circle of parents shows every event once', async () => {
  await db.query(
    `INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source)
     SELECT md5(own)::uuid, md5('a')::uuid, md5(parent)::uuid, md5('a')::uuid, own
     FROM (VALUES ('a', 'c'), ('b', 'a'), ('c', 'b'), ('below', 'b'), ('self', 'self')) AS row (own, parent)`,
  );
  const { exitCode, stdout } = await runCli([
    ...['trace', await idOf(`md5('b')::uuid`)],
    ...['--url', db.url],
  ]);
  expect(exitCode).toBe(0);
  const names = [...stdout.matchAll(/ (a|b|c|below|self)(?= |$)/gm)].map(([, name]) => name);
  expect(names.sort()).toEqual(['a', 'b', 'below', 'c', 'self']);
});

test('no event is compared with each trace of a tree, also where the planner knows how many hooks a trace has', async () => {
  await db.query('ANALYZE');
  const { shape } = await patientAccess();
  const { rows } = await db.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN (COSTS OFF) ${timelineStatement(shape)}`,
    [await idOf(chain('0')), 20_001],
  );
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  expect(plan).toContain('hook_executions');
  expect(plan).not.toMatch(/Filter: .* = ANY/);
});
