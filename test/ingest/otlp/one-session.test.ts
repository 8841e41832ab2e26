import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/ingest/events.js';
import type { TelemetryLog, TelemetrySpan } from '../../../src/ingest/otlp/decode.js';
import { logEvents, programSpanEvents } from '../../../src/ingest/otlp/log-events.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import { claude } from '../../../src/ingest/sources/claude.js';
import { eventsOfRecord } from '../../../src/ingest/collector/write-records.js';
import { ToolPairs } from '../../../src/ingest/sources/hook-payload.js';
import { ClaudeLines, toolUse, usage } from '../claude-lines.js';
import { IngestDatabase } from '../ingest-database.js';

const session = '0d2f7c55-6f0e-4e0d-9a55-0f5f3d1c2b3b';
const startMs = 1_790_000_000_000;

let db: IngestDatabase;
let recorder: Recorder;
beforeAll(async () => {
  db = await IngestDatabase.create();
  recorder = new Recorder(db.database);
});
afterAll(() => db.close());

function transcript(hasRequests = true): AgentEvent[] {
  const file = new ClaudeLines({ session, startMs });
  file.prompt('Make the tests pass', 'p1');
  file.assistant('m1', [toolUse('toolu_1', 'Bash', { command: 'npm test' })], {
    stop_reason: 'tool_use',
    usage: usage({ output: 40 }),
  });
  file.result('toolu_1', 'Exit code 1\n2 failed', true);
  file.assistant('m2', [{ type: 'text', text: 'Done' }], {
    stop_reason: 'end_turn',
    usage: usage({ output: 60, read: 200 }),
  });
  file.turnDuration(4_000);
  const reader = claude.open({ path: `/nowhere/${session}.jsonl`, session }, undefined);
  const lines = file.lines.map((line) => (hasRequests ? line : { ...line, requestId: undefined }));
  return lines.flatMap((line) => reader.read(Buffer.from(JSON.stringify(line))) ?? []);
}

/** The same session with a subagent in it, told of by all three. */
function withSubagent(): Record<Source, AgentEvent[]> {
  const file = new ClaudeLines({ session, startMs });
  file.prompt('Make the tests pass', 'p1');
  const delegation = { subagent_type: 'Explore', prompt: 'Find it', description: 'find' };
  file.assistant('m1', [toolUse('toolu_a', 'Task', delegation)], {
    stop_reason: 'tool_use',
    usage: usage({ output: 40 }),
  });
  const inner = new ClaudeLines({
    session,
    startMs: startMs + 2_000,
    more: { isSidechain: true, agentId: 'a1' },
  });
  inner.user('Find it');
  inner.assistant('m2', [toolUse('toolu_b', 'Grep', { pattern: 'x' })], {
    stop_reason: 'tool_use',
    usage: usage({ output: 30, read: 150 }),
  });
  inner.result('toolu_b', 'found');
  const result = { agentId: 'a1', status: 'completed', content: [], totalDurationMs: 3_000 };
  for (let line = 0; line < 3; line += 1) file.line('file-history-snapshot', {});
  file.result('toolu_a', 'found', false, result);
  file.assistant('m3', [{ type: 'text', text: 'Done' }], {
    stop_reason: 'end_turn',
    usage: usage({ output: 60, read: 200 }),
  });
  const read = (lines: ClaudeLines, subagent?: string) => {
    const folder = `/nowhere/${session}`;
    const path =
      subagent === undefined ? `${folder}.jsonl` : `${folder}/subagents/agent-${subagent}.jsonl`;
    const reader = claude.open({ path, session, subagent }, undefined);
    return lines.lines.flatMap((line) => reader.read(Buffer.from(JSON.stringify(line))) ?? []);
  };
  const task = { tool_name: 'Task', tool_use_id: 'toolu_a', tool_input: delegation };
  const grep = {
    tool_name: 'Grep',
    tool_use_id: 'toolu_b',
    agent_id: 'a1',
    tool_input: { pattern: 'x' },
  };
  const span = (number: number, atMs: number, attributes: object) =>
    programSpanEvents({
      resource,
      traceId: 'a'.repeat(32),
      spanId: String(number).repeat(16),
      name: 'claude_code.tool',
      startedAt: startMs + atMs,
      endedAt: startMs + atMs + 900,
      isError: false,
      attributes: { 'session.id': session, ...attributes },
      events: [],
    });
  return {
    transcript: [...read(file), ...read(inner, 'a1')],
    hooks: hooksOf([
      { hook_event_name: 'UserPromptSubmit', prompt: 'Make the tests pass' },
      { hook_event_name: 'PreToolUse', ...task },
      { hook_event_name: 'SubagentStart', agent_id: 'a1', agent_type: 'Explore' },
      { hook_event_name: 'PreToolUse', ...grep },
      { hook_event_name: 'PostToolUse', ...grep, tool_response: 'found' },
      { hook_event_name: 'SubagentStop', agent_id: 'a1', agent_type: 'Explore' },
      { hook_event_name: 'PostToolUse', ...task, tool_response: result },
      { hook_event_name: 'Stop' },
    ]),
    telemetry: [
      ...span(2, 3_500, { ...grep, agent_id: 'a1' }),
      ...[
        logOf('user_prompt', 1_000, { prompt: '<REDACTED>' }),
        logOf('api_request', 1_950, requestOf('m1', 40)),
        logOf('api_request', 3_950, { ...requestOf('m2', 30, 150), query_source: 'agent:builtin' }),
        logOf('tool_decision', 4_000, { ...grep, decision: 'accept', source: 'config' }),
        logOf('tool_result', 5_000, { ...grep, success: 'true', duration_ms: '900' }),
        logOf('tool_result', 6_500, { ...task, success: 'true', duration_ms: '4000' }),
        logOf('api_request', 7_950, requestOf('m3', 60, 200)),
      ].flatMap((each) => logEvents(each) ?? []),
      ...span(1, 2_000, task),
    ],
  };
}

function hooks(): AgentEvent[] {
  const tool = { tool_name: 'Bash', tool_input: { command: 'npm test' }, tool_use_id: 'toolu_1' };
  const sent = [
    { hook_event_name: 'UserPromptSubmit', prompt: 'Make the tests pass' },
    { hook_event_name: 'PreToolUse', ...tool },
    { hook_event_name: 'PostToolUseFailure', ...tool, error: 'Exit code 1\n2 failed' },
    { hook_event_name: 'Stop' },
  ];
  return hooksOf(sent);
}

function hooksOf(sent: readonly object[]): AgentEvent[] {
  return sent.flatMap((fields, index) => {
    const payload = { session_id: session, prompt_id: 'p1', cwd: '/home/dev/shop', ...fields };
    const at = `${startMs + 1_000 + index * 1_000}000000`;
    const record = { id: `r${index}`, at, cli: 'claude', payload, bytes: 0 };
    return eventsOfRecord(record, new ToolPairs()) ?? [];
  });
}

const resource = { 'service.name': 'claude-code', 'service.version': '2.1.330' };

const logOf = (event: string, atMs: number, attributes: object): TelemetryLog => ({
  resource,
  at: startMs + atMs,
  event,
  attributes: { 'session.id': session, 'prompt.id': 'p1', ...attributes },
});

const requestOf = (id: string, output: number, read = 100, hasRequests = true) => ({
  model: 'claude-opus-4-6',
  ...(hasRequests ? { request_id: `req-${id}` } : { client_request_id: `client-${id}` }),
  query_source: 'repl_main_thread',
  cost_usd: '0.25',
  duration_ms: '900',
  input_tokens: '3',
  output_tokens: output,
  cache_read_tokens: String(read),
});

function telemetry(hasRequests = true): AgentEvent[] {
  const log = logOf;
  const request = (id: string, output: number, read = 100) =>
    requestOf(id, output, read, hasRequests);
  const tool = { tool_name: 'Bash', tool_use_id: 'toolu_1' };
  const span: TelemetrySpan = {
    resource,
    traceId: 'a'.repeat(32),
    spanId: 'b'.repeat(16),
    name: 'claude_code.tool',
    startedAt: startMs + 2_000,
    endedAt: startMs + 3_000,
    isError: false,
    attributes: { 'session.id': session, tool_name: 'Bash', tool_use_id: 'toolu_1' },
    events: [],
  };
  return [
    ...[
      log('claude_code.user_prompt', 1_000, { prompt: '<REDACTED>', prompt_length: 19 }),
      log('claude_code.api_request', 1_950, request('m1', 40)),
      log('tool_decision', 2_000, { ...tool, decision: 'accept', source: 'config' }),
      log('tool_result', 3_000, { ...tool, success: 'false', duration_ms: '900' }),
      log('api_request', 3_950, request('m2', 60, 200)),
    ].flatMap((each) => logEvents(each) ?? []),
    ...programSpanEvents(span),
  ];
}

async function rows() {
  const { rows: traces } = await db.test.query(
    `SELECT correlation_id, status, prompt_text, project, input_tokens, output_tokens, cache_read_tokens,
       started_at, completed_at FROM execution_traces ORDER BY 1`,
  );
  const { rows: tools } = await db.test.query(
    `SELECT id, trace_id, hook_type, tool_name, status, exit_code, error_message, started_at, completed_at
     FROM hook_executions ORDER BY 1`,
  );
  const { rows: calls } = await db.test.query(
    `SELECT trace_id, context->'usage' AS usage, context->>'request_id' AS request, started_at, completed_at
     FROM endpoint_calls ORDER BY started_at`,
  );
  return { traces, tools, calls };
}

const sources = { transcript, hooks, telemetry };
type Source = keyof typeof sources;

const orders: Source[][] = [
  ['transcript', 'hooks', 'telemetry'],
  ['transcript', 'telemetry', 'hooks'],
  ['hooks', 'transcript', 'telemetry'],
  ['hooks', 'telemetry', 'transcript'],
  ['telemetry', 'transcript', 'hooks'],
  ['telemetry', 'hooks', 'transcript'],
];

it('has the rows of its transcript in every order of the sources, and what only telemetry knows', async () => {
  await recorder.record(transcript());
  const alone = await rows();
  expect(alone.traces).toHaveLength(1);
  expect(alone.calls).toHaveLength(2);
  for (const order of orders) {
    await db.clear();
    for (const source of order) await recorder.record(sources[source]());
    expect({ order, ...(await rows()) }).toEqual({ order, ...alone });
    const { rows: more } = await db.test.query(
      `SELECT t.cost_usd::float8 AS cost, h.decision, h.metadata->>'decided_by' AS by
       FROM execution_traces AS t JOIN hook_executions AS h ON h.trace_id = t.id`,
    );
    expect({ order, more }).toEqual({
      order,
      more: [{ cost: 0.5, decision: 'allow', by: 'config' }],
    });
  }
});

/** A call keeps the id by which it was told of first. */
async function dumpWithoutCallIds() {
  const dump = await db.dump();
  const calls = dump.endpoint_calls as { id: string; started_at: string; context: object }[];
  const sorted = calls.toSorted((a, b) => (a.started_at < b.started_at ? -1 : 1));
  return {
    ...dump,
    endpoint_calls: sorted.map(({ context, ...row }) => ({
      ...{ ...row, id: undefined },
      context: { ...context, told_as: undefined },
    })),
  };
}

/** Two batches, cut at each place; and each event by itself. */
function* cuts(events: readonly AgentEvent[]): Generator<AgentEvent[][]> {
  for (let at = 1; at < events.length; at += 1) yield [events.slice(0, at), events.slice(at)];
  yield events.map((event) => [event]);
}

it.each<[what: string, told: () => Record<Source, AgentEvent[]>]>([
  ['a tool', () => ({ transcript: transcript(), hooks: hooks(), telemetry: telemetry() })],
  ['a subagent', withSubagent],
  [
    'a gateway that leaves requests out',
    () => ({ transcript: transcript(false), hooks: hooks(), telemetry: telemetry() }),
  ],
  [
    'no request told by anybody',
    () => ({ transcript: transcript(false), hooks: hooks(), telemetry: telemetry(false) }),
  ],
])('is the same to the last field wherever batches are cut, with %s', async (_, told) => {
  await db.clear();
  await recorder.record(told().transcript);
  const alone = await rows();
  let whole: unknown;
  for (const order of orders) {
    const count = order.flatMap((source) => told()[source]).length;
    for (let number = 0; number < count; number += 1) {
      await db.clear();
      // The recorder adds to events what it finds out: each batch is told anew.
      const batches = [...cuts(order.flatMap((source) => told()[source]))][number] ?? [];
      for (const batch of batches) await recorder.record(batch);
      const where = { order, cut: batches[0]?.length, of: batches.length };
      const dump = await dumpWithoutCallIds();
      whole ??= dump;
      expect({ where, dump }).toEqual({ where, dump: whole });
      const { calls, ...others } = await rows();
      expect({ where, ...others }).toEqual({ where, traces: alone.traces, tools: alone.tools });
      expect(calls).toMatchObject(
        alone.calls.map((row: object) =>
          Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'request')),
        ),
      );
    }
  }
});

it.each([
  { missing: 'transcript', told: () => transcript(false), logged: () => telemetry() },
  { missing: 'telemetry', told: () => transcript(), logged: () => telemetry(false) },
  {
    missing: 'transcript and telemetry',
    told: () => transcript(false),
    logged: () => telemetry(false),
  },
])(
  'is one also behind a gateway, where the $missing does not name requests',
  async ({ told, logged }) => {
    await db.clear();
    await recorder.record(told());
    const alone = await rows();
    const batches: AgentEvent[][][] = [
      [told(), logged(), told(), logged()],
      [logged(), told(), logged(), told()],
      // As a stream is told: a line at a time.
      [logged(), ...told().map((event) => [event])],
      [[...logged(), ...told()]],
      [[...told(), ...logged(), ...told()]],
    ];
    for (const order of batches) {
      await db.clear();
      for (const batch of order) await recorder.record(batch);
      const { calls, traces } = await rows();
      const known = (each: unknown[]) =>
        each.map((row) => ({ ...(row as object), request: undefined }));
      expect(known(calls)).toEqual(known(alone.calls));
      expect(traces).toEqual(alone.traces);
      expect(await db.count('execution_traces', 'cost_usd = 0.5')).toBe(1);
    }
  },
);

it('has them, too, when all sources come in one batch, doubled', async () => {
  await db.clear();
  await recorder.record(transcript());
  const alone = await rows();
  await db.clear();
  const all = [...telemetry(), ...hooks(), ...transcript()];
  await recorder.record([...all, ...all]);
  expect(await rows()).toEqual(alone);
});
