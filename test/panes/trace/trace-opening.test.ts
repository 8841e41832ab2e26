import { beforeAll, expect, test } from 'vitest';
import type { OpenedTrace } from '../../../src/panes/contract/opening.js';
import { eventText, eventTitle, isModelCall } from '../../../src/panes/trace/event.js';
import { traceOpening } from '../../../src/panes/trace/trace-opening.js';
import { tracesOpening } from '../../../src/panes/trace/traces-listed.js';
import type { TracesOf } from '../../../src/panes/trace/traces-query.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { addTrace, archiveAll } from '../../schema/helpers/trace-rows.js';
import { drawTrace } from '../../../src/ui/draw/trace/trace.js';
import { traceMade } from '../../ui/trace-made.js';
import { textOf } from '../../ui/helpers.js';
import { detailAccess, openDatabase } from '../open.js';

let db: TestDatabase;

beforeAll(async () => {
  db = await createTestDatabase();
  await addTrace(db, { tree: 'old', age: 100 });
  await archiveAll(db);
  await addTrace(db, { tree: 'new', age: 0.001 });
  await addTrace(db, {
    tree: 'new',
    trace: 'child',
    parent: 'root',
    age: 0.0005,
    status: 'failed',
  });
  await db.query(`UPDATE execution_traces SET error_type = 'Broken' WHERE status = 'failed'`);
});

const idOf = async (tree: string, name = 'root') => {
  const { rows } = await db.query<{ id: string }>(
    `SELECT id FROM (SELECT id, correlation_id FROM execution_traces
                     UNION ALL SELECT id, correlation_id FROM execution_traces_archive) AS t
     WHERE correlation_id = md5($1 || '/' || $2)::uuid`,
    [tree, name],
  );
  return rows[0]?.id ?? '';
};

async function open(id: string, select?: string): Promise<OpenedTrace> {
  const access = await detailAccess(await openDatabase(db.url));
  const opened = await traceOpening(id, select === undefined ? {} : { select }).read(access);
  if (opened.kind !== 'trace') throw new Error(`a trace opens as ${opened.kind}`);
  return opened;
}

test('a trace opens with its whole tree, whichever of its traces is asked for', async () => {
  const child = await idOf('new', 'child');
  const { tree, select } = await open(child);
  expect(tree.nodes.map(({ event, depth }) => `${depth} ${eventTitle(event)}`)).toEqual([
    '0 user_prompt',
    '1 → agent 80%',
    '1 PreToolUse hook-1',
    '2 GET service 200',
    '1 PreToolUse hook-2',
    '1 user_prompt',
    '2 → agent 80%',
    '2 PreToolUse hook-1',
    '3 GET service 200',
    '2 PreToolUse hook-2',
  ]);
  expect(select).toBe(`trace ${child}`);
  expect(tree).toMatchObject({ failures: 1, running: 0, early: 0 });
});

test('an archived trace opens by its id and by its correlation id, its events in full', async () => {
  const { rows } = await db.query<{ id: string }>(`SELECT md5('old/root')::uuid AS id`);
  for (const id of [await idOf('old'), rows[0]?.id ?? '']) {
    const opened = await open(id);
    const { tree } = opened;
    expect(tree.nodes).toHaveLength(5);
    expect(tree.asked.event.archived).toBe(true);
    const access = await detailAccess(await openDatabase(db.url));
    for (const { event } of tree.nodes) {
      const record = await opened.open(event.key)?.read(access);
      expect(record).toMatchObject({ kind: 'records', rows: [{ id: event.id }] });
    }
  }
});

test('a trace that starts at infinity says so, and its length is that of the others', async () => {
  await addTrace(db, { tree: 'endless' });
  await db.query(
    `UPDATE execution_traces SET started_at = 'infinity' WHERE correlation_id = md5('endless/root')::uuid`,
  );
  const { tree } = await open(await idOf('endless'));
  expect(tree.asked.event.startedUs).toBe(Infinity);
  expect(tree.totalMs).toBeLessThan(60_000);
  await db.query(`DELETE FROM execution_traces WHERE correlation_id = md5('endless/root')::uuid`);
});

test('an unknown id, and what is none, are refused with words', async () => {
  await expect(open('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject({
    code: 'not_found',
  });
  await expect(open("'; DROP")).rejects.toMatchObject({ code: 'usage' });
});

test.each<[TracesOf, number]>([
  [{ by: 'status', status: 'failed' }, 1],
  [{ by: 'status', status: 'timeout' }, 0],
  [{ by: 'agent', agent: 'agent' }, 2],
  [{ by: 'session', digits: '22af645d' }, 2],
])('the traces of %o are listed, and each opens its tree', async (of, count) => {
  const access = await detailAccess(await openDatabase(db.url));
  const list = await tracesOpening('Traces', of).read(access);
  if (list.kind !== 'list') throw new Error('traces open as a list');
  expect(list.rows).toHaveLength(count);
  for (const row of list.rows) {
    expect(await list.open?.(row)?.read(access)).toMatchObject({ kind: 'trace' });
  }
});

test('a call of a model stands with its tokens and its cost, live and archived, in the same words as their sum; a use of a tool with its name', async () => {
  for (const [tree, age] of [
    ['calling', 0.001],
    ['called', 100],
  ] as const) {
    await addTrace(db, { tree, age });
    await db.query(
      `WITH trace AS (SELECT id, started_at FROM execution_traces WHERE correlation_id = md5($1 || '/root')::uuid),
       tool AS (
         INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, started_at)
         SELECT id, 'ToolUse', 'tool', 'WebFetch', started_at FROM trace)
       INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, started_at, context)
       SELECT id, 'anthropic', '/v1/messages', 'POST', started_at, '{"model": "large", "cost": {"usd": 0.25},
         "usage": {"input": 100, "cacheRead": 900, "cacheCreation": 0, "output": 42}}' FROM trace`,
      [tree],
    );
    await db.query(
      `UPDATE execution_traces SET input_tokens = 100, cache_read_tokens = 900, output_tokens = 42
       WHERE correlation_id = md5($1 || '/root')::uuid`,
      [tree],
    );
  }
  await archiveAll(db);
  for (const name of ['calling', 'called']) {
    const { tree } = await open(await idOf(name));
    const call = tree.nodes.find(({ event }) => isModelCall(event))?.event;
    expect(call && [eventTitle(call), eventText(call), call.archived]).toEqual([
      'large 1,000 in, 42 out',
      '$0.25, 90% from a cache',
      name === 'called',
    ]);
    expect(tree.nodes.map(({ event }) => eventTitle(event))).toContain('WebFetch');
    const header = drawTrace(traceMade(tree), { width: 200, height: 30 }).map(textOf).join('\n');
    expect(header).toContain('1,000 tokens in, 42 out');
  }
});
