import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TelemetrySpan } from '../../../src/ingest/otlp/decode.js';
import { recordWithSpans, SpanFlusher } from '../../../src/ingest/otlp/staging.js';
import { Prices } from '../../../src/ingest/prices.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import { resolveSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { quoteIdent } from '../../../src/db/quote.js';
import { IngestDatabase } from '../ingest-database.js';

let db: IngestDatabase;
let recorder: Recorder;
beforeAll(async () => {
  db = await IngestDatabase.create();
  recorder = new Recorder(db.database);
});
afterAll(() => db.close());

const startMs = 1_790_000_000_000;
const idOf = (number: number) => number.toString(16).padStart(16, '0');

/** A span of the second of its number, which is as long as its parent leaves it. */
function span(number: number, parent: number, name: string, attributes: object): TelemetrySpan {
  return {
    resource: { 'service.name': 'shop' },
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: idOf(number),
    ...(parent === 0 ? {} : { parentSpanId: idOf(parent) }),
    name,
    startedAt: startMs + number * 1_000,
    endedAt: startMs + 60_000 - number * 1_000,
    isError: false,
    attributes: { ...attributes },
    events: [],
  };
}

const model = (tokens: number) => ({
  'gen_ai.operation.name': 'chat',
  'gen_ai.provider.name': 'openai',
  'gen_ai.request.model': 'gpt-5.5',
  'gen_ai.usage.input_tokens': tokens,
  'gen_ai.usage.output_tokens': 10,
});
const tool = { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': 'search' };

/** What changes its meaning by what is in it, or around it. */
const spans = [
  span(1, 0, 'POST /chat', { 'http.route': '/chat' }),
  span(2, 1, 'workflow', {}),
  span(3, 2, 'invoke_agent helper', {
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': 'helper',
  }),
  // A library's call of a model, and the same one as the SDK beneath it tells of it.
  span(4, 3, 'chat gpt-5.5', model(100)),
  span(5, 4, 'ChatCompletion', {
    'openinference.span.kind': 'LLM',
    'llm.model_name': 'gpt-5.5',
    'llm.token_count.prompt': 100,
    'llm.token_count.completion': 10,
  }),
  // A tool, and the client of MCP that it calls.
  span(6, 3, 'execute_tool search', tool),
  span(7, 6, 'tools/call search', {
    'mcp.method.name': 'tools/call',
    'gen_ai.tool.name': 'search',
  }),
  span(8, 2, 'read cache', { 'db.system': 'redis' }),
  span(9, 8, 'GET', { 'db.operation': 'get' }),
];

const forgetSpans = () =>
  db.test.query(
    `DO $$ BEGIN IF to_regclass('trace_console.telemetry_spans') IS NOT NULL THEN
       DELETE FROM trace_console.telemetry_spans; END IF; END $$`,
  );

async function bring(
  batches: readonly TelemetrySpan[][],
  target = { database: db.database, recorder },
) {
  await db.clear();
  await forgetSpans();
  // As if each batch came long after the one before.
  const flusher = new SpanFlusher(target.database, target.recorder, { waits: false });
  for (const batch of batches) {
    await recordWithSpans(target, { events: [], spans: batch });
    while (await flusher.round());
  }
  return db.dump();
}

const byNumber = (...numbers: number[]) =>
  numbers.flatMap((number) => spans.filter(({ spanId }) => spanId === idOf(number)));

it.each<[order: string, sent: TelemetrySpan[]]>([
  ['parents first', spans],
  ['children first, as SDKs send what has ended', spans.toReversed()],
  ['what is in between last', byNumber(5, 7, 9, 1, 6, 8, 4, 3, 2)],
  ['the root in the middle', byNumber(8, 3, 7, 5, 1, 2, 9, 4, 6)],
])('gives a trace the same rows wherever its batches are cut: %s', async (_, sent) => {
  const whole = await bring([spans]);
  expect(whole.endpoint_calls).toHaveLength(1);
  expect(whole.execution_traces).toHaveLength(5);
  expect(whole.execution_traces).toContainEqual(
    expect.objectContaining({
      prompt_text: 'read cache',
      context: expect.objectContaining({
        span: { name: 'read cache', attributes: { 'db.system': 'redis' } },
      }) as unknown,
    }),
  );
  expect(whole.hook_executions).toMatchObject([
    { hook_name: expect.stringMatching(/^(?:tool|GET)$/) as string },
    { hook_name: expect.stringMatching(/^(?:tool|GET)$/) as string },
  ]);
  const cuts = sent.slice(1).map((__, index) => [sent.slice(0, index + 1), sent.slice(index + 1)]);
  for (const batches of [
    ...cuts,
    sent.map((each) => [each]),
    [sent, sent],
    [...(cuts[3] ?? []), sent],
  ]) {
    const sizes = batches.map(({ length }) => length);
    expect({ sizes, dump: await bring(batches) }).toEqual({ sizes, dump: whole });
  }
});

it('completes spans that were sent when they began, wherever the batches are cut, and writes none twice', async () => {
  // Only the end tells the ids of a response and of a call.
  const ended = [
    span(1, 0, 'POST /chat', {}),
    span(2, 1, 'invoke_agent helper', { 'gen_ai.operation.name': 'invoke_agent' }),
    span(3, 2, 'chat', { ...model(100), 'gen_ai.response.id': 'a-response-with-a-long-id' }),
    span(4, 2, 'execute_tool search', { ...tool, 'gen_ai.tool.call.id': 'a-call-with-a-long-id' }),
    span(5, 1, 'read cache', {}),
  ];
  const begun = ended.map((one) => ({
    ...one,
    endedAt: undefined,
    attributes: Object.fromEntries(
      Object.entries(one.attributes).filter(([name]) => !/\.id$|usage/.test(name)),
    ),
  }));
  // When a row was given its place is another moment, of course.
  const rowsOf = async (batches: TelemetrySpan[][]) =>
    JSON.parse(
      JSON.stringify(await bring(batches), (name, value: unknown) =>
        name === 'placed' ? undefined : value,
      ),
    ) as unknown;
  const whole = await rowsOf([ended]);
  expect(await rowsOf([begun])).not.toEqual(whole);
  for (const batches of [
    [begun, ended],
    [ended, begun],
    [[...begun, ...ended]],
    [[...ended, ...begun]],
    [begun, ended.slice(1), ended.slice(0, 1), ended],
    [...begun, ...ended.toReversed()].map((one) => [one]),
  ])
    expect(await rowsOf(batches)).toEqual(whole);
});

it('gives a trace the service of its root, and each agent its own, whichever come first and however they are called', async () => {
  const of = (service: string, one: TelemetrySpan) => ({
    ...one,
    resource: { 'service.name': service, 'service.version': '1' },
  });
  const agent = { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'helper' };
  const sent = [
    { ...span(1, 0, 'POST /chat', {}), resource: { 'service.name': 'web' } },
    of('a-long-name-of-an-inventory', span(2, 1, 'execute_tool search', tool)),
    of('helpers', span(3, 1, 'invoke_agent helper', agent)),
    of('models', span(4, 3, 'chat', model(100))),
  ];
  const expected = [
    { prompt_text: 'invoke_agent helper', project: 'helpers', context: { agent: 'helpers' } },
    { prompt_text: 'POST /chat', project: 'web', context: { agent: 'web' } },
  ];
  const whole = await bring([sent]);
  expect(whole.execution_traces).toMatchObject(expected);
  expect(whole.execution_traces?.[1]).not.toHaveProperty('context.version');
  expect(await bring(sent.toReversed().map((one) => [one]))).toEqual(whole);
});

it.each<[which: string, told: readonly (string | undefined)[], expected: string]>([
  ['the root says', ['first', 'second', 'third'], 'first'],
  ['began first, where the root says none', [undefined, 'second', 'third'], 'second'],
  [
    'the root says, in place of one whose UUID is written large',
    ['first', undefined, 'ABCDEF01-0000-4000-8000-000000000001'],
    'first',
  ],
])('gives a trace the session that %s, whichever span comes first', async (_, told, expected) => {
  const [root, two, three] = told.map((session, index) =>
    span(index + 1, index, `work ${index}`, session === undefined ? {} : { 'session.id': session }),
  );
  if (!root || !two || !three) throw new Error('no spans');
  // Another trace of one of these sessions stays where it is.
  const other = {
    ...span(4, 0, 'another trace', { 'session.id': 'third' }),
    traceId: '1'.repeat(32),
  };
  const dump = async (batches: readonly TelemetrySpan[][]) => ({
    tables: await bring([[other], ...batches]),
    sessions: await db.count('trace_console.agent_sessions'),
  });
  const whole = await dump([[root, two, three]]);
  const sessions = (whole.tables.execution_traces as { context: { session: string } }[]).map(
    ({ context }) => context.session,
  );
  expect(sessions.toSorted()).toEqual([expected, expected, 'third']);
  expect(whole.sessions).toBe(2);
  for (const batches of [
    [[root], [two], [three]],
    [[three], [two], [root]],
    [[two], [three], [root]],
    [[two, three], [root]],
    [[three], [root, two]],
    [[three], [two], [root], [three], [two]],
  ])
    expect(await dump(batches)).toEqual(whole);
});

it('goes on as a role that may not delete: what a span was written as first stays beside what it is', async () => {
  const whole = await bring([spans]);
  const role = `writer_of_${db.test.name}`;
  await db.test.query(
    `CREATE ROLE ${quoteIdent(role)};
     GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ${quoteIdent(role)};
     GRANT ALL ON SCHEMA trace_console TO ${quoteIdent(role)};
     GRANT ALL ON ALL TABLES IN SCHEMA trace_console TO ${quoteIdent(role)}`,
  );
  const options = `options=${encodeURIComponent(`-c role=${role}`)}`;
  const source = resolveSource({
    url: `${db.test.url}${db.test.url.includes('?') ? '&' : '?'}${options}`,
    environment: {},
  });
  if (source.kind !== 'server') throw new Error('no server');
  const database = await Database.open(source);
  const rows = await bring(
    spans.toReversed().map((each) => [each]),
    { database, recorder: new Recorder(database) },
  );
  await database.close();
  const ids = (dump: typeof rows, table: string) =>
    (dump[table] as { id: string }[]).map(({ id }) => id);
  for (const table of Object.keys(whole)) {
    expect(ids(rows, table)).toEqual(expect.arrayContaining(ids(whole, table)));
  }
  await db.test.query(`DROP OWNED BY ${quoteIdent(role)}; DROP ROLE ${quoteIdent(role)}`);
});

it('keeps what is written of a trace when spans of it come weeks later, and gives it these', async () => {
  await db.clear();
  await forgetSpans();
  const conversation = { 'gen_ai.conversation.id': 'a long one', 'user.id': 'ada' };
  const target = { database: db.database, recorder };
  const flush = () => new SpanFlusher(db.database, recorder, { waits: false }).round();
  await recordWithSpans(target, { events: [], spans: [span(1, 0, 'POST /chat', conversation)] });
  const traces = async () => (await db.dump()).execution_traces;
  const before = await traces();
  await forgetSpans();
  for (const [number, name] of [
    [20, 'first'],
    [21, 'second'],
  ] as const) {
    const late = span(number, 1, name, { ...tool, 'gen_ai.tool.name': name });
    await recordWithSpans(target, { events: [], spans: [late] });
    await flush();
  }
  const after = await traces();
  expect(after).toHaveLength(1);
  const told = ['correlation_id', 'session_id', 'prompt_text', 'user_id', 'status', 'started_at'];
  const of = (rows: unknown[] | undefined) =>
    told.map((column) => (rows?.[0] as Record<string, unknown>)[column]);
  expect(of(after)).toEqual(of(before));
  const { rows } = await db.test.query(
    `SELECT tool_name FROM hook_executions WHERE trace_id = (SELECT id FROM execution_traces) ORDER BY started_at`,
  );
  expect(rows).toEqual([{ tool_name: 'first' }, { tool_name: 'second' }]);
});

it('leaves a trace that is archived as it is when spans of it come later, and begins no second one', async () => {
  await db.clear();
  await forgetSpans();
  const conversation = { 'gen_ai.conversation.id': 'an archived one' };
  const target = { database: db.database, recorder };
  await recordWithSpans(target, { events: [], spans: [span(1, 0, 'POST /chat', conversation)] });
  await forgetSpans();
  await db.test.query(
    `UPDATE execution_traces SET started_at = now() - interval '90 days', completed_at = now() - interval '90 days'`,
  );
  await db.test.query(`SELECT archive_traces(interval '30 days')`);
  expect(await db.count('execution_traces_archive')).toBe(1);
  await recordWithSpans(target, { events: [], spans: [span(20, 1, 'late', tool)] });
  while (await new SpanFlusher(db.database, recorder, { waits: false }).round());
  expect(await db.count('execution_traces')).toBe(0);
  expect(await db.count('hook_executions')).toBe(0);
  await db.test.query('DELETE FROM execution_traces_archive');
});

it('leaves a trace in the archive when its root, of another session, comes within the hour', async () => {
  await db.clear();
  await forgetSpans();
  const target = { database: db.database, recorder };
  const flush = async () => {
    while (await new SpanFlusher(db.database, recorder, { waits: false }).round());
  };
  const conversation = (id: string) => ({ 'gen_ai.conversation.id': id });
  const call = span(2, 1, 'chat', { ...model(1), ...conversation('of the call') });
  await recordWithSpans(target, { events: [], spans: [call] });
  await flush();
  await db.test.query(
    `UPDATE execution_traces SET started_at = now() - interval '90 days', completed_at = now() - interval '90 days'`,
  );
  await db.test.query(`SELECT archive_traces(interval '30 days')`);
  const archived = async () =>
    (await db.test.query<object>('SELECT * FROM execution_traces_archive')).rows;
  const before = await archived();
  expect(before).toHaveLength(1);
  const root = span(1, 0, 'POST /chat', conversation('of the root'));
  for (const spans of [[root], [span(20, 1, 'late', tool)]]) {
    await recordWithSpans(target, { events: [], spans });
    await flush();
  }
  expect(await db.count('execution_traces')).toBe(0);
  expect(await db.count('hook_executions')).toBe(0);
  expect(await archived()).toEqual(before);
  await db.test.query('DELETE FROM execution_traces_archive');
});

const waiting = ['[]', '[{"kind": "tool_ended"}]'];
it.each(waiting)('keeps a session with metrics or events %s of a moved trace', async (unplaced) => {
  await db.clear();
  await forgetSpans();
  const target = { database: db.database, recorder };
  const at = Date.now();
  const figure = { session: 'with metrics', name: 'commits', key: 'k', from: at, at, value: 2 };
  const call = span(2, 1, 'chat', { ...model(1), 'gen_ai.conversation.id': 'with metrics' });
  await recordWithSpans(target, {
    ...{ events: [], spans: [call] },
    figures: unplaced === '[]' ? [{ ...figure, sinceStart: false }] : [],
  });
  while (await new SpanFlusher(db.database, recorder, { waits: false }).round());
  await db.test.query('UPDATE trace_console.agent_sessions SET unplaced = $1', [unplaced]);
  const root = span(1, 0, 'POST /chat', { 'gen_ai.conversation.id': 'of the root' });
  await recordWithSpans(target, { events: [], spans: [root] });
  while (await new SpanFlusher(db.database, recorder, { waits: false }).round());
  const all = 'SELECT session FROM trace_console.agent_sessions ORDER BY session';
  const { rows } = await db.test.query(all);
  expect(rows).toEqual([{ session: 'of the root' }, { session: 'with metrics' }]);
  await db.test.query('DELETE FROM trace_console.agent_metrics');
});

it('stores counts and costs that no column holds as the largest or as none, and the trace all the same', async () => {
  await db.clear();
  await forgetSpans();
  const call = (number: number, tokens: unknown, costUsd: number) =>
    span(number, 1, 'chat', {
      ...model(1),
      'gen_ai.usage.input_tokens': tokens,
      'gen_ai.usage.cost': costUsd,
    });
  const spans = [span(1, 0, 'POST /chat', {})];
  for (let n = 2; n < 14; n += 1) spans.push(call(n, String(2n ** 62n), 9_999_999));
  const withPrices = new Recorder(db.database, { prices: new Prices() });
  await recordWithSpans({ database: db.database, recorder: withPrices }, { events: [], spans });
  const { rows } = await db.test.query(
    `SELECT input_tokens = 9007199254740991 AS most, output_tokens::int AS output, cost_usd,
       (SELECT count(*)::int FROM endpoint_calls) AS calls FROM execution_traces`,
  );
  expect(rows).toEqual([{ most: true, output: 120, cost_usd: null, calls: 12 }]);
});
