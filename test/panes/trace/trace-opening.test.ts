import { beforeAll, expect, test } from 'vitest';
import type { OpenedTrace } from '../../../src/panes/contract/opening.js';
import { eventText, eventTitle, isModelCall, subjectText } from '../../../src/panes/trace/event.js';
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
      'large 1,000 tokens in, 42 out',
      '$0.25, 90% from a cache',
      name === 'called',
    ]);
    expect(tree.nodes.map(({ event }) => eventTitle(event))).toContain('WebFetch');
    const header = drawTrace(traceMade(tree), { width: 200, height: 30 }).map(textOf).join('\n');
    expect(header).toContain('1,000 tokens in, 42 out');
    // With little room tokens stay longer than counts, and the line says where the rest is.
    const at = (width: number) =>
      drawTrace(traceMade(tree), { width, height: 20 }).map(textOf)[0] ?? '';
    expect(at(78)).toContain('1,000 tokens in, 42 out');
    expect(at(100)).toMatch(/tokens in, 42 out .*\+\d more: Enter on the trace/);
  }
  const id = '4bf92f3577b34da6a3ce929d0e0e4736';
  await db.query(
    `UPDATE execution_traces_archive SET context = jsonb_build_object('promptId', $1::text)
     WHERE correlation_id = md5('called/root')::uuid`,
    [id],
  );
  const { tree } = await open(await idOf('called'));
  const [header] = drawTrace(traceMade(tree), { width: 200, height: 30 }).map(textOf);
  expect(header).toContain(`OpenTelemetry ${id}`);
});

/** What tools of the programs are given, and the line that says it. */
const toolInputs: readonly (readonly [tool: string, input: unknown, line: string])[] = [
  ['Bash', { command: 'npm test\n', description: 'Run the tests' }, 'npm test\n'],
  ['shell', { command: ['bash', '-lc', 'rg TODO src'], workdir: '/x' }, 'rg TODO src'],
  ['shell', { command: ['ls', '-la'] }, 'ls -la'],
  ['exec_command', { cmd: 'git status' }, 'git status'],
  ['run_shell_command', { command: 'make', dir_path: '/x' }, 'make'],
  ['Read', { file_path: '/src/a.ts', offset: 10 }, '/src/a.ts'],
  ['read_file', { absolute_path: '/src/b.ts' }, '/src/b.ts'],
  ['Edit', { file_path: '/src/a.ts', old_string: 'a', new_string: 'b' }, '/src/a.ts'],
  ['Write', { content: 'x'.repeat(60_000), file_path: '/src/c.ts' }, '/src/c.ts'],
  ['apply_patch', '*** Begin Patch\n*** Update File: src/d.ts\n@@', 'src/d.ts'],
  ['apply_patch', { input: '*** Begin Patch\n*** Add File: src/e.ts\n+1' }, 'src/e.ts'],
  ['Grep', { pattern: 'TODO', path: 'src', output_mode: 'content' }, 'TODO in src'],
  ['Glob', { pattern: '**/*.ts' }, '**/*.ts'],
  ['search_file_content', { pattern: 'x', dir_path: 'lib' }, 'x in lib'],
  ['WebSearch', { query: 'xterm.js tmux' }, 'xterm.js tmux'],
  ['google_web_search', { query: 'tmux' }, 'tmux'],
  ['WebFetch', { url: 'https://a.example', prompt: 'what is it' }, 'https://a.example'],
  ['web_fetch', { prompt: 'read https://b.example' }, 'read https://b.example'],
  ['Task', { subagent_type: 'Explore', description: 'find it', prompt: 'x' }, 'Explore: find it'],
  ['spawn_agent', { agent_type: 'worker', message: 'do it' }, 'worker: do it'],
  [
    'TodoWrite',
    {
      todos: [
        { content: 'a', status: 'completed' },
        { content: 'b', status: 'in_progress' },
      ],
    },
    '2 items: b',
  ],
  ['update_plan', { plan: [{ step: 'a', status: 'in_progress' }] }, '1 item: a'],
  ['ExitPlanMode', { plan: '# Plan' }, '# Plan'],
  ['AskUserQuestion', { questions: [{ question: 'Which?', options: [] }] }, 'Which?'],
  ['Skill', { skill: 'pdf', args: 'a.pdf' }, 'pdf a.pdf'],
  ['save_memory', { fact: 'tabs' }, 'tabs'],
  ['write_stdin', { session_id: 3, chars: 'y\n' }, 'y\n'],
  ['mcp__chat__post', { channel: 'ops', count: 2 }, '{"count": 2, "channel": "ops"}'],
  ['mcp__chat__list', {}, ''],
  ['odd', ['a', 1], '["a", 1]'],
  ['odd', { command: 7, query: null, pattern: '' }, '7'],
  ['long', { query: 'y'.repeat(900) }, `${'y'.repeat(199)}…`],
];

test('a use of a tool says what it was given, whichever program calls it how; a failed one beside its error', async () => {
  await addTrace(db, { tree: 'tools', age: 0.001 });
  await db.query(
    `INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, input_data, execution_order, status, error_type, started_at)
     SELECT t.id, 'ToolUse', 'tool', tool ->> 0, tool -> 1, order_, CASE WHEN tool ->> 0 = 'exec_command' THEN 'failed' ELSE 'completed' END,
       CASE WHEN tool ->> 0 = 'exec_command' THEN 'exit 1' END, t.started_at + order_ * interval '1 ms'
     FROM execution_traces AS t, jsonb_array_elements($1::jsonb) WITH ORDINALITY AS tools (tool, order_)
     WHERE correlation_id = md5('tools/root')::uuid`,
    [JSON.stringify(toolInputs)],
  );
  const { tree } = await open(await idOf('tools'));
  const tools = tree.nodes.filter(({ event }) => event.details.type === 'ToolUse');
  expect(tools.map(({ event }) => [eventTitle(event), subjectText(event)])).toEqual(
    toolInputs.map(([tool, , line]) => [tool, line]),
  );
  for (const width of [78, 118, 198]) {
    const lines = drawTrace(traceMade(tree), { width, height: 60 }).map(textOf);
    expect(
      lines.filter((line) => /─ exec_command git sta.*|─ shell .*rg TODO/.test(line)),
    ).toHaveLength(2);
    expect(lines.find((line) => line.includes('WebSearch'))).toContain('xterm');
  }
});
