import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/ingest/events.js';
import {
  decodeRequest,
  type TelemetryLog,
  type TelemetrySpan,
} from '../../../src/ingest/otlp/decode.js';
import { logEvents } from '../../../src/ingest/otlp/log-events.js';
import { oneCallInWords } from './one-call-in-words.js';
import type { Recorded, StagedSpan } from '../../../src/ingest/otlp/kept-trace.js';
import { traceEvents } from '../../../src/ingest/otlp/trace-events.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const startMs = 1_790_000_000_000;

/** A span of one second; its number is its id, and the second in which it begins. */
function span(number: number, parent: number, fields: Partial<TelemetrySpan> = {}): TelemetrySpan {
  const idOf = (of: number) => of.toString(16).padStart(16, '0');
  return {
    resource: { 'service.name': 'service' },
    traceId,
    spanId: idOf(number),
    ...(parent === 0 ? {} : { parentSpanId: idOf(parent) }),
    name: `span ${number}`,
    startedAt: startMs + number * 1_000,
    endedAt: startMs + (number + 1) * 1_000,
    isError: false,
    attributes: {},
    events: [],
    ...fields,
  };
}

const eventsOf = (...spans: TelemetrySpan[]) =>
  traceEvents(spans.map((each) => ({ span: each }))).events;

const only = <Kind extends AgentEvent['kind']>(events: readonly AgentEvent[], kind: Kind) =>
  events.filter((event): event is Extract<AgentEvent, { kind: Kind }> => event.kind === kind);

describe('one call of a model and one of a tool', () => {
  it.each(oneCallInWords)('are the same in the words of %s', (_, root, model, tool) => {
    const events = eventsOf(
      span(1, 0, { attributes: { ...root } }),
      span(2, 1, { attributes: { ...model } }),
      span(3, 1, { attributes: { ...tool } }),
    );
    expect(new Set(events.map(({ session }) => session))).toEqual(new Set(['s1']));
    expect(only(events, 'prompt')).toMatchObject([{ text: 'hello', turn: traceId }]);
    expect(only(events, 'model_call')).toMatchObject([
      {
        provider: 'openai',
        model: 'gpt-5.5',
        usage: { input: 30, cacheRead: 60, cacheCreation: 10, output: 5 },
        startedAt: startMs + 2_000,
        at: startMs + 3_000,
      },
    ]);
    expect(only(events, 'tool_ended')).toMatchObject([
      { tool: 'search', input: { q: 1 }, output: expect.stringContaining('found') as string },
    ]);
    expect(only(events, 'turn_ended').map(({ at }) => at)).toEqual([startMs + 2_000]);
  });
});

it.each([
  ['invoke_agent', { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'planner' }],
  [
    'invoke_workflow',
    { 'gen_ai.operation.name': 'invoke_workflow', 'gen_ai.workflow.name': 'planner' },
  ],
  ['AGENT', { 'openinference.span.kind': 'AGENT', 'agent.name': 'planner' }],
  ['agent', { 'traceloop.span.kind': 'agent', 'traceloop.entity.name': 'planner' }],
])('makes a decision of the agent of a root (%s) and of each one that it asks', (_, root) => {
  const asked = { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'researcher' };
  const first = span(1, 0, { name: 'root', attributes: root });
  const agents = [first, span(2, 1, { attributes: asked }), span(3, 2, { attributes: asked })];
  const events = eventsOf(...agents);
  expect(only(events, 'routing')).toMatchObject([
    { selected: 'planner', strategy: 'explicit', turn: traceId, id: first.spanId },
  ]);
  expect(only(events, 'routing')[0]?.subagent).toBeUndefined();
  expect(only(events, 'subagent_started').map(({ type, subagent }) => [type, subagent])).toEqual([
    ['researcher', undefined],
    ['researcher', agents[1]?.spanId],
  ]);
});

it('tells the kind of each span, and calls a tool by its name or by that of its span', () => {
  const tool = { 'gen_ai.operation.name': 'execute_tool' };
  const events = eventsOf(
    span(1, 0, { name: 'POST /chat', kind: 'server' }),
    span(2, 1, { kind: 'consumer' }),
    span(3, 2, {
      kind: 'client',
      attributes: { 'gen_ai.operation.name': 'chat', 'server.address': 'llm.example' },
    }),
    span(4, 2, { kind: 'internal', name: 'execute_tool search', attributes: tool }),
    span(5, 2, { kind: 'producer' }),
  );
  expect(only(events, 'prompt')).toMatchObject([{ span: { kind: 'server' } }]);
  expect(only(events, 'subagent_started')).toMatchObject([{ span: { kind: 'consumer' } }]);
  expect(only(events, 'model_call')).toMatchObject([
    { spanKind: 'client', provider: 'llm.example' },
  ]);
  expect(only(events, 'tool_ended')).toMatchObject([{ tool: 'search', spanKind: 'internal' }]);
  expect(only(events, 'span')).toMatchObject([{ spanKind: 'producer' }]);
});

it('reads numbers beyond 2^53 in JSON to the digit, and kinds by number or by name', () => {
  const big = '1005254182451511297';
  const number = (kind: string) => `{
    "resourceSpans": [{ "scopeSpans": [{ "spans": [{
      "traceId": "${traceId}", "spanId": "00000000000000aa", "name": "n", "kind": ${kind},
      "startTimeUnixNano": 1790000000000000001, "endTimeUnixNano": 1790000001000000001,
      "attributes": [
        { "key": "id", "value": { "intValue": ${big} } },
        { "key": "share", "value": { "doubleValue": 0.12345678901234567891 } }
      ] }] }] }] }`;
  const read = (kind: string) =>
    decodeRequest('traces', Buffer.from(number(kind)), 'json').spans[0];
  expect(read('2')).toMatchObject({
    kind: 'server',
    startedAt: startMs,
    endedAt: startMs + 1_000,
    attributes: { id: big, share: 0.12345678901234568 },
  });
  expect(read('"SPAN_KIND_PRODUCER"')?.kind).toBe('producer');
  expect(read('0')?.kind).toBeUndefined();
  expect(read('77')?.kind).toBeUndefined();
});

it('counts a call once that a library and the SDK below it tell of', () => {
  const model = { 'gen_ai.operation.name': 'chat', 'gen_ai.usage.input_tokens': 5 };
  const tool = { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': 'search' };
  const mcp = { 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'search' };
  const events = eventsOf(
    span(1, 0),
    span(2, 1, { attributes: model }),
    span(3, 2, { attributes: model }),
    span(4, 1, { attributes: tool }),
    span(5, 4, { attributes: mcp }),
  );
  expect(only(events, 'model_call')).toHaveLength(1);
  expect(only(events, 'tool_ended')).toHaveLength(1);
});

it('counts a call of a tool once that MCP’s client tells of beside it, and one by MCP alone', () => {
  const tool = { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': 'search' };
  const mcp = { 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'search' };
  const events = eventsOf(
    span(1, 0),
    span(2, 1, { attributes: tool }),
    span(3, 1, { attributes: mcp }),
    span(5, 1, { attributes: mcp }),
  );
  expect(only(events, 'tool_ended').map(({ toolUse }) => toolUse)).toEqual(
    [2, 5].map((number) => span(number, 1).spanId),
  );
});

it('keeps the place, the name and the attributes of spans that it does not know', () => {
  const events = eventsOf(
    span(1, 0, { name: 'GET /orders', attributes: { 'http.route': '/orders' } }),
    span(2, 1, { name: 'load', attributes: { order: 7 } }),
    span(3, 2, { name: 'SELECT', attributes: { 'db.system': 'postgresql' }, isError: true }),
  );
  expect(only(events, 'prompt')).toMatchObject([
    { text: 'GET /orders', span: { attributes: { 'http.route': '/orders' } } },
  ]);
  const [group] = only(events, 'subagent_started');
  expect(group).toMatchObject({
    prompt: 'load',
    origin: 'telemetry',
    span: { name: 'load', attributes: { order: 7 } },
  });
  expect(group?.subagent).toBeUndefined();
  expect(only(events, 'span')).toMatchObject([
    {
      name: 'SELECT',
      subagent: group?.id,
      outcome: 'failed',
      attributes: { 'db.system': 'postgresql' },
    },
  ]);
});

it('tells an agent that failed by its exception, and is not caught in a circle of parents', () => {
  const thrown = { 'exception.type': 'TimeoutError', 'exception.message': 'too slow\nat x' };
  const attributes = { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'a' };
  const events = eventsOf(
    span(1, 0),
    span(2, 1, {
      attributes,
      isError: true,
      events: [{ name: 'exception', at: startMs, attributes: thrown }],
    }),
    span(8, 9),
    span(9, 8),
  );
  expect(only(events, 'subagent_ended').find(({ error }) => error)).toMatchObject({
    error: { type: 'TimeoutError', message: 'too slow' },
  });
});

it('tells of spans again only where they belong to somebody else now', () => {
  const agent = span(2, 1, { attributes: { 'gen_ai.operation.name': 'invoke_agent' } });
  const [root, call, other] = [
    span(1, 0),
    span(3, 2, { attributes: { 'gen_ai.operation.name': 'chat' } }),
    span(4, 1),
  ];
  const first = traceEvents([root, call, other].map((each) => ({ span: each })));
  const known = (each: TelemetrySpan): StagedSpan => {
    const recorded: Recorded | undefined = first.recorded.get(each.spanId);
    return { span: each, recorded };
  };
  expect(only(first.events, 'model_call')[0]?.subagent).toBeUndefined();
  expect(traceEvents([root, call, other].map(known)).events).toEqual([]);
  const second = traceEvents([...[root, call, other].map(known), { span: agent }]);
  expect([...second.recorded.keys()]).toEqual([agent.spanId, call.spanId]);
  expect(only(second.events, 'model_call')[0]?.subagent).toBe(agent.spanId);
});

it('takes of Codex and Gemini what only their telemetry tells', () => {
  const log = (event: string, attributes: object): TelemetryLog => ({
    resource: {},
    at: startMs,
    event,
    attributes: { ...attributes },
  });
  const routing = {
    'session.id': 's1',
    decision_model: 'gemini-3-flash',
    decision_source: 'classifier',
    reasoning: 'simple',
    routing_latency_ms: 12,
  };
  expect(logEvents(log('gemini_cli.model_routing', routing))).toMatchObject([
    { kind: 'routing', selected: 'gemini-3-flash', strategy: 'classifier', durationMs: 12 },
  ]);
  const decision = {
    'conversation.id': 's1',
    call_id: 'c1',
    tool_name: 'shell',
    decision: 'denied',
  };
  expect(logEvents(log('codex.tool_decision', decision))).toMatchObject([
    { kind: 'permission', toolUse: 'c1', decision: 'deny' },
  ]);
  const completed = { 'conversation.id': 's1', input_token_count: 100 };
  expect(logEvents(log('codex.sse_event', completed))).toEqual([]);
  const refused = {
    'conversation.id': 's1',
    model: 'gpt-5.5',
    'http.response.status_code': 429,
    'error.message': 'Rate limit reached',
    attempt: 2,
  };
  const failed = { kind: 'model_call', statusCode: 429, attempt: 2 };
  expect(logEvents(log('codex.api_request', refused))).toMatchObject([
    { ...failed, provider: 'openai', error: { type: 'api_error', message: 'Rate limit reached' } },
  ]);
  const well = { 'conversation.id': 's1', 'http.response.status_code': 200 };
  expect(logEvents(log('codex.api_request', well))).toEqual([]);
  const spent = { 'session.id': 's1', error_type: 'quota', status_code: '429', error: 'spent' };
  expect(logEvents(log('gemini_cli.api_error', spent))).toMatchObject([
    { kind: 'model_call', provider: 'google', statusCode: 429, error: { type: 'quota' } },
  ]);
  expect(logEvents(log('something', {}))).toBeUndefined();
});
