import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { AgentEvent } from '../../../src/ingest/events.js';
import { codex } from '../../../src/ingest/sources/codex.js';
import type { ReaderState } from '../../../src/ingest/sources/source.js';
import { exited, idAt, Rollout, session, startMs, type Line } from './rollouts.js';

const file = { path: '/nowhere/sessions/rollout-2026-09-21T00-00-00-x.jsonl' };

function read(lines: readonly Line[], state?: ReaderState) {
  const reader = codex.open(file, state);
  let unknown = 0;
  const events = lines.flatMap((line) => {
    const found = reader.read(Buffer.from(JSON.stringify(line)));
    if (found === undefined) unknown += 1;
    return found ?? [];
  });
  return { events, unknown, reader };
}

const only = <Kind extends AgentEvent['kind']>(events: readonly AgentEvent[], kind: Kind) =>
  events.filter((event): event is Extract<AgentEvent, { kind: Kind }> => event.kind === kind);

const distinct = (names: readonly string[]) => new Set(names).size;

/** What a session holds, counted from its lines alone. */
function countLines(lines: readonly Line[]) {
  const payloads = lines.map(({ payload }) => payload as Line);
  const of = (type: string) => payloads.filter((payload) => payload.type === type);
  const totals = of('token_count').map(({ info }) =>
    JSON.stringify((info as Line).total_token_usage),
  );
  return {
    prompts: of('user_message').length,
    tools: of('function_call').length,
    calls: distinct(totals),
  };
}

function countEvents(events: readonly AgentEvent[]) {
  return {
    prompts: distinct(only(events, 'prompt').map(({ turn }) => turn ?? '')),
    tools: distinct(only(events, 'tool_started').map(({ toolUse }) => toolUse)),
    calls: distinct(only(events, 'model_call').map(({ message }) => message)),
  };
}

it('counts a prompt, a tool call and a model call once, however often their lines stand there', () => {
  const { lines } = session();
  const { events, unknown } = read(lines);
  expect(countEvents(events)).toEqual(countLines(lines));
  expect(countEvents(events)).toEqual({ prompts: 2, tools: 3, calls: 4 });
  expect(only(events, 'prompt').map(({ text }) => text)).toEqual([
    'Make the tests pass',
    'And now?',
  ]);
  expect(only(events, 'turn_ended').map(({ durationMs }) => durationMs)).toEqual([900, 900]);
  expect(unknown).toBe(0);
});

it('tells uncached input from what was read from the cache, and whose call it was', () => {
  const [call] = only(read(session().lines).events, 'model_call');
  expect(call).toMatchObject({
    provider: 'openai',
    model: 'gpt-5.5',
    usage: { input: 400, cacheRead: 600, output: 50, cacheCreation: 0 },
    place: { cwd: '/home/u/shop', gitBranch: 'main', version: '0.150.0' },
  });
});

it('tells how tools ended, by what each version writes', () => {
  const rollout = new Rollout().turn('go');
  const outputs: [output: unknown, ends: string, exitCode?: number][] = [
    [exited(0, 'fine'), 'completed', 0],
    [exited(2, 'Process exited with code 0'), 'failed', 2],
    ['Exit code: 127\nWall time: 0 seconds\nOutput:\nnot found', 'failed', 127],
    [
      JSON.stringify({ output: 'x', metadata: { exit_code: 1, duration_seconds: 0.5 } }),
      'failed',
      1,
    ],
    [{ content: 'unknown', success: false }, 'failed'],
    [[{ type: 'output_text', text: 'Done!' }], 'completed'],
    ['{"status":"error: in the data"}', 'completed'],
    ['aborted by user after 3.2s', 'cancelled'],
    ['exec command rejected by user', 'denied'],
    ['unsupported call: nothing', 'failed'],
  ];
  for (const [index, [output]] of outputs.entries()) rollout.tool('any', {}, output, `c${index}`);
  const ended = only(read(rollout.lines).events, 'tool_ended');
  expect(ended.map(({ outcome, exitCode }) => [outcome, exitCode])).toEqual(
    outputs.map(([, ends, exitCode]) => [ends, exitCode]),
  );
  expect(ended[3]?.durationMs).toBe(500);
});

it('believes what a message says of a tool before what its output looks like', () => {
  const rollout = new Rollout()
    .turn('go')
    .item('function_call', { name: 'mcp__db__query', arguments: '{}', call_id: 'c1' })
    .message('mcp_tool_call_end', {
      call_id: 'c1',
      duration: { secs: 1, nanos: 500_000_000 },
      result: { Ok: { content: [{ type: 'text', text: 'no table' }], isError: true } },
    })
    .item('function_call_output', { call_id: 'c1', output: 'no table' });
  const ended = only(read(rollout.lines).events, 'tool_ended');
  expect(ended.map(({ outcome, durationMs }) => [outcome, durationMs])).toEqual([
    ['failed', 1_500],
    ['failed', 1_500],
  ]);
});

it('tells searches of the web and shells of early versions', () => {
  const rollout = new Rollout()
    .turn('go')
    .item('web_search_call', { id: 'ws_1', status: 'completed', action: { query: 'x' } })
    .item('local_shell_call', { call_id: 'c1', status: 'completed', action: { command: ['ls'] } })
    .item('custom_tool_call', { call_id: 'c2', name: 'apply_patch', input: '*** Begin Patch' });
  expect(
    only(read(rollout.lines).events, 'tool_started').map(({ tool, input }) => [tool, input]),
  ).toEqual([
    ['web_search', { query: 'x' }],
    ['local_shell', { command: ['ls'] }],
    ['apply_patch', '*** Begin Patch'],
  ]);
});

it('ends turns by an error, an interrupt, or the next prompt', () => {
  const rollout = new Rollout()
    .turn('one')
    .message('error', { message: 'stream disconnected', codex_error_info: 'other' })
    .message('task_complete', { last_agent_message: null })
    .turn('two')
    .message('turn_aborted', { reason: 'interrupted' });
  const { events } = read(rollout.lines);
  expect(only(events, 'turn_ended').map(({ error }) => error)).toEqual([
    { type: 'other', message: 'stream disconnected' },
  ]);
  expect(only(events, 'interrupted').map(({ turn }) => turn)).toEqual([
    only(events, 'prompt')[1]?.turn,
  ]);
});

it('keeps what is typed while the agent works with its turn', () => {
  const typed = 'not that file';
  const rollout = new Rollout()
    .turn('go')
    .tool('exec_command', { cmd: 'ls' }, exited(0, ''))
    .item('message', { role: 'user', content: [{ type: 'input_text', text: typed }] })
    .message('user_message', { message: typed })
    .answer();
  const { events } = read(rollout.lines);
  expect(countEvents(events).prompts).toBe(1);
  expect(only(events, 'note').map(({ event, text }) => [event, text])).toEqual([
    ['UserPrompt', typed],
  ]);
});

it('passes over the copy that a fork begins with', () => {
  const origin = session();
  const fork = origin.fork({ forked_from_id: origin.id }).turn('Another way').answer();
  const { events } = read(fork.lines);
  expect(countEvents(events)).toEqual({ prompts: 1, tools: 0, calls: 1 });
  expect(new Set(events.map((event) => event.session))).toEqual(new Set([fork.id]));
  expect(only(events, 'model_call')[0]?.usage?.input).toBe(400);
});

const spawn = (parent: string) => ({
  source: {
    subagent: { thread_spawn: { parent_thread_id: parent, depth: 1, agent_role: 'worker' } },
  },
});

it('puts a subagent, which may begin with a copy, into the session that started it', () => {
  const origin = session();
  const agent = origin.fork(spawn(origin.id)).turn('Look it up').tool('read', {}, 'x').answer();
  const { events } = read(agent.lines);
  expect(only(events, 'prompt')).toEqual([]);
  expect(countEvents(events)).toMatchObject({ tools: 1, calls: 1 });
  expect(only(events, 'subagent_started').at(-1)).toMatchObject({
    session: origin.id,
    id: agent.id,
    type: 'worker',
    prompt: 'Look it up',
  });
  expect(only(events, 'subagent_ended')).toHaveLength(1);
  expect(only(events, 'model_call')[0]).toMatchObject({ session: origin.id, subagent: agent.id });
});

it('knows a copy without ids of turns by being written at once', () => {
  const meta = (id: string, more: Line = {}) => ({ id, cwd: '/', ...more });
  const old = new Rollout(meta('old')).message('user_message', { message: 'first' }).tokens();
  const agent = old
    .fork(meta('child', spawn('old')))
    .tool('read', {}, 'x')
    .tokens();
  const { events } = read(agent.lines);
  expect(countEvents(events)).toEqual({ prompts: 0, tools: 1, calls: 1 });
  expect(only(events, 'subagent_started').at(-1)).toMatchObject({ id: 'child', prompt: 'first' });
});

it('tells of a subagent where it was started, with the tool that did', () => {
  const rollout = new Rollout()
    .turn('go')
    .tool('spawn_agent', { message: 'Look', agent_type: 'explorer' }, '{"agent_id":"a1"}', 'c1');
  expect(only(read(rollout.lines).events, 'subagent_started')).toMatchObject([
    { id: 'a1', toolUse: 'c1', type: 'explorer', prompt: 'Look', subagent: undefined },
  ]);
});

it('takes a record of usage and the count beside it for one call', () => {
  const rollout = session();
  const counts = rollout.lines.filter(({ payload }) => (payload as Line).type === 'token_count');
  const { info } = counts[0]?.payload as { info: Line };
  const record = {
    timestamp: new Date(startMs + 1).toISOString(),
    type: 'token_usage_record',
    payload: {
      response_id: 'resp_1',
      usage: info.last_token_usage,
      thread_token_usage: info.total_token_usage,
    },
  };
  const [meta, ...rest] = rollout.lines;
  const { events } = read([meta ?? {}, ...rest.slice(0, 8), record, ...rest.slice(8, 14)]);
  expect(countEvents(events).calls).toBe(1);
  expect(only(events, 'model_call')[0]?.requestId).toBe('resp_1');
});

it('reads the bare lines of the first versions', () => {
  const { events, unknown } = read([
    { id: 'bare', timestamp: '2025-08-01T10:00:00Z', instructions: null, git: { branch: 'x' } },
    { record_type: 'state' },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hello' }] },
    { type: 'function_call', name: 'shell', arguments: '{"command":["ls"]}', call_id: 'c1' },
    {
      type: 'function_call_output',
      call_id: 'c1',
      output: '{"output":"","metadata":{"exit_code":1}}',
    },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'hi' }] },
  ]);
  expect(unknown).toBe(0);
  expect(only(events, 'prompt')).toMatchObject([{ session: 'bare', text: 'hello' }]);
  expect(only(events, 'tool_ended')).toMatchObject([{ outcome: 'failed', exitCode: 1 }]);
  expect(only(events, 'turn_ended')).toHaveLength(1);
  expect(only(events, 'session_started')[0]?.place?.gitBranch).toBe('x');
});

it('reads on from any line as if it had not stopped', () => {
  const { lines } = session();
  const whole = read(lines).events;
  for (let cut = 0; cut <= lines.length; cut += 1) {
    const first = read(lines.slice(0, cut));
    const kept = JSON.parse(JSON.stringify(first.reader.state)) as ReaderState;
    const second = read(lines.slice(cut), kept);
    expect([...first.events, ...second.events]).toEqual(whole);
  }
});

it('counts lines that it does not know, and goes on', () => {
  const reader = codex.open(file, undefined);
  const strange = [
    'nonsense',
    '[]',
    '{}',
    '{"type":"from_the_future","payload":{}}',
    '{"payload":1}',
  ];
  expect(strange.map((line) => reader.read(Buffer.from(line)))).toEqual(
    strange.map(() => undefined),
  );
});

it('knows a rollout by its name or its first line, and whose subagent it is', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'rollouts-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const id = idAt(startMs);
  const write = async (name: string, text: string) => {
    const at = path.join(folder, name);
    await writeFile(at, text);
    return codex.describe(at);
  };
  const agent = new Rollout({ id: 'child', ...spawn(id) });
  expect(await write('mine.jsonl', session({ id }).text)).toMatchObject({ session: id });
  expect(await write('agent.jsonl', agent.text)).toMatchObject({ session: id, subagent: 'child' });
  expect(await write('other.jsonl', '{"type":"user","sessionId":"x"}\n')).toBeUndefined();
  expect(await write(`rollout-2026-01-02T03-04-05-${id}.jsonl`, '')).toMatchObject({ session: id });
});
