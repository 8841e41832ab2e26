import { beforeEach, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { addTrace, archiveAll } from './helpers/trace-rows.js';

let db: TestDatabase;

beforeEach(async () => {
  db = await createTestDatabase();
});

type Event = {
  kind: string;
  id: string;
  parent_id: string | null;
  depth: number;
  offset_ms: number | null;
  archived: boolean;
  label: string;
  details: Record<string, unknown>;
};

/** The timeline that the trace `name` of the tree belongs to. */
async function timeline(tree: string, name = 'root'): Promise<Event[]> {
  const { rows } = await db.query<Event>(
    `SELECT kind, id, parent_id, depth, offset_ms::float, archived, details,
            CASE kind WHEN 'trace' THEN details ->> 'prompt' ELSE name END AS label
     FROM get_trace_timeline(correlation_id => md5($1 || '/' || $2)::uuid)`,
    [tree, name],
  );
  return rows;
}

const brief = (events: Event[]): string[] =>
  events.map(({ kind, depth, offset_ms, label }) => `${offset_ms} ${depth} ${kind} ${label}`);

const rootAndChild = [
  '0 0 trace one/root',
  '10 1 routing_decision agent',
  '20 1 hook hook-1',
  '25 2 endpoint_call service',
  '40 1 hook hook-2',
  '1000 1 trace one/child',
  '1010 2 routing_decision agent',
  '1020 2 hook hook-1',
  '1025 3 endpoint_call service',
  '1040 2 hook hook-2',
];

async function addRootAndChild(): Promise<void> {
  await addTrace(db, { tree: 'one', age: 100 });
  await addTrace(db, { tree: 'one', trace: 'child', parent: 'root', age: 100 });
  await db.query(`
    UPDATE execution_traces c SET started_at = r.started_at + interval '1 s' FROM execution_traces r
      WHERE c.prompt_text = 'one/child' AND r.prompt_text = 'one/root';
    UPDATE agent_routing_decisions e SET created_at = t.started_at + interval '10 ms' FROM execution_traces t WHERE t.id = e.trace_id;
    UPDATE hook_executions e SET started_at = t.started_at + execution_order * interval '20 ms' FROM execution_traces t WHERE t.id = e.trace_id;
    UPDATE endpoint_calls e SET started_at = t.started_at + interval '25 ms' FROM execution_traces t WHERE t.id = e.trace_id`);
}

test('gives every event of the whole tree in time order, whichever trace is asked for', async () => {
  await addRootAndChild();
  await addTrace(db, { tree: 'other' });
  expect(brief(await timeline('one'))).toEqual(rootAndChild);
  expect(brief(await timeline('one', 'child'))).toEqual(rootAndChild);
});

test('hangs calls on their hook, hooks and decisions on their trace, traces on their parent', async () => {
  await addRootAndChild();
  const events = await timeline('one');
  const byId = new Map(events.map((event) => [event.id, event]));
  expect(
    events.map(({ label, parent_id }) => `${label} < ${byId.get(parent_id ?? '')?.label ?? '-'}`),
  ).toEqual([
    'one/root < -',
    'agent < one/root',
    'hook-1 < one/root',
    'service < hook-1',
    'hook-2 < one/root',
    'one/child < one/root',
    'agent < one/child',
    'hook-1 < one/child',
    'service < hook-1',
    'hook-2 < one/child',
  ]);
});

test('is the same when the tree is archived, and says so', async () => {
  await addRootAndChild();
  const live = await timeline('one');
  await archiveAll(db);
  const archived = await timeline('one', 'child');
  expect(archived).toEqual(live.map((event) => ({ ...event, archived: true })));
});

test('a late live trace stands in one timeline with its archived tree', async () => {
  await addTrace(db, { tree: 'one', age: 100 });
  await archiveAll(db);
  await addTrace(db, { tree: 'one', trace: 'late', parent: 'root', age: 1 });
  const events = await timeline('one', 'late');
  expect(events.filter((event) => event.archived)).toHaveLength(5);
  expect(events.filter((event) => event.kind === 'trace')).toMatchObject([
    { label: 'one/root', depth: 0, archived: true },
    { label: 'one/late', depth: 1, archived: false },
  ]);
});

test('a trace whose parent is not there, or that hangs on itself, is at the top', async () => {
  for (const [trace, parent] of [
    ['orphan', 'never written'],
    ['self', 'self'],
    ['a', 'b'],
    ['b', 'c'],
    ['c', 'a'],
    ['under a', 'a'],
  ]) {
    await addTrace(db, { tree: 'one', trace: trace ?? '', parent: parent ?? '' });
  }
  const traces = (await timeline('one', 'a')).filter((event) => event.kind === 'trace');
  expect(traces).toHaveLength(6);
  for (const trace of traces) expect(trace).toMatchObject({ depth: 0, parent_id: null });
});

test('a correlation_id that was archived and written again does not multiply what hangs on it', async () => {
  await addTrace(db, { tree: 'one', trace: 'root' });
  await addTrace(db, { tree: 'one', trace: 'n1', parent: 'root' });
  await archiveAll(db);
  await addTrace(db, { tree: 'one', trace: 'root', parent: 'n1' });
  await addTrace(db, { tree: 'one', trace: 'n1', parent: 'root' });
  const events = await timeline('one');
  expect(events).toHaveLength(20);
  expect(new Set(events.map((event) => event.id)).size).toBe(20);
});

test('a root_id whose row was never written leads to its tree, an unknown id to nothing', async () => {
  await addTrace(db, { tree: 'one', trace: 'child', parent: 'root' });
  expect(await timeline('one', 'root')).toHaveLength(5);
  expect(await timeline('another')).toEqual([]);
});

test('a megabyte prompt is cut, and infinite times have no offset', async () => {
  await addTrace(db, { tree: 'one' });
  await addTrace(db, { tree: 'one', trace: 'endless', parent: 'root' });
  await db.query(
    `UPDATE execution_traces SET prompt_text = repeat('x', 1000000) WHERE prompt_text = 'one/root'`,
  );
  await db.query(
    `UPDATE execution_traces SET started_at = 'infinity' WHERE prompt_text = 'one/endless'`,
  );
  const events = await timeline('one');
  expect(events[0]?.details.prompt).toBe('x'.repeat(200));
  expect(events.at(-1)).toMatchObject({ label: 'one/endless', offset_ms: null });
});

test('works where the archive was never created', async () => {
  await addRootAndChild();
  await db.query(
    'DROP TABLE execution_traces_archive, agent_routing_decisions_archive, hook_executions_archive, endpoint_calls_archive',
  );
  expect(brief(await timeline('one'))).toEqual(rootAndChild);
});

test('a tree with a thousand levels is answered', async () => {
  await db.query(
    `INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, status)
     SELECT md5('deep/' || n)::uuid, md5('deep/1')::uuid, md5('deep/' || n - 1)::uuid, md5('s')::uuid, 'agent_delegation', 'completed'
     FROM generate_series(1, 1000) AS n`,
  );
  const events = await timeline('deep', '500');
  expect(Math.max(...events.map((event) => event.depth))).toBe(999);
});

test('starts no parallel workers, whose start takes longer than the answer', async () => {
  const { rows } = await db.query(
    `SELECT setting FROM pg_proc, unnest(proconfig) AS setting
     WHERE oid = 'get_trace_timeline(uuid)'::regprocedure AND setting LIKE '%parallel%'`,
  );
  expect(rows).toEqual([{ setting: 'max_parallel_workers_per_gather=0' }]);
});
