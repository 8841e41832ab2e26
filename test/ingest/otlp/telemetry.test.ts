import fs from 'node:fs';
import path from 'node:path';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { sessionId } from '../../../src/ingest/ids.js';
import { importTelemetry } from '../../../src/ingest/otlp/import-files.js';
import { SpanFlusher } from '../../../src/ingest/otlp/staging.js';
import { Prices } from '../../../src/ingest/prices.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import { runCli } from '../../helpers/cli.js';
import { readBySdk, withoutEmptyLists } from '../../helpers/otlp-schemas.js';
import { IngestDatabase } from '../ingest-database.js';
import { sendTrace } from './genai-trace.js';
import { receiveForEach } from './receiving.js';

type ExporterOptions = ConstructorParameters<typeof JsonExporter>[0];

let db: IngestDatabase;
let recorder: Recorder;
const at = receiveForEach();
beforeAll(async () => {
  db = await IngestDatabase.create();
  recorder = new Recorder(db.database, { prices: new Prices() });
});
afterAll(() => db.close());
beforeEach(async () => {
  await db.clear();
  await db.test.query(
    `DO $$ BEGIN
       IF to_regclass('trace_console.telemetry_spans') IS NOT NULL THEN
         DELETE FROM trace_console.telemetry_spans;
       END IF;
     END $$`,
  );
});

/** What the collector does with the spool. */
async function drain({ waits = false } = {}): Promise<void> {
  await at.drain(db.database, recorder, 100);
  const flusher = new SpanFlusher(db.database, recorder, { waits });
  while (await flusher.round());
}

const url = (name: string) => `http://127.0.0.1:${at.receiver.port}/v1/${name}`;

const traces = () =>
  db.test.query<Record<string, string | number | boolean | null>>(
    `SELECT t.source, t.status, t.prompt_text, t.project, t.context->>'session' AS session, t.model,
       t.input_tokens::int AS input, t.cache_read_tokens::int AS cached, t.output_tokens::int AS output,
       t.cost_usd > 0 AS priced, t.duration_ms::int AS ms, p.prompt_text AS parent
     FROM execution_traces AS t LEFT JOIN execution_traces AS p ON p.correlation_id = t.parent_id
     ORDER BY t.started_at`,
  );

it('goes on when the tables in which spans wait are dropped', async () => {
  await sendTrace(new JsonExporter({ url: url('traces') }), 'before');
  await drain();
  await db.test.query('DROP SCHEMA trace_console CASCADE');
  const flusher = new SpanFlusher(db.database, recorder);
  await expect(flusher.round()).rejects.toMatchObject({ sqlState: '42P01' });
  expect(await flusher.round()).toBeUndefined();
  await db.test.query('DELETE FROM execution_traces');
  await sendTrace(new JsonExporter({ url: url('traces') }), 'after');
  await drain();
  expect((await traces()).rows.map(({ session }) => session)).toContain('after');
});

describe.each([
  ['protobuf', ProtobufExporter],
  ['JSON', JsonExporter],
] as const)('a trace of agents in %s, as the SDK sends it', (_, Exporter) => {
  it.each(['none', 'gzip'] as const)(
    'is one tree with tokens and costs (%s)',
    async (compression) => {
      const options = { url: url('traces'), compression } as unknown as ExporterOptions;
      await sendTrace(new Exporter(options), 'conversation-1');
      await drain();
      const { rows } = await traces();
      const model = { model: 'gpt-5.5', input: 400, cached: 600, output: 50, priced: true };
      const common = { status: 'completed', project: 'shop-assistant', session: 'conversation-1' };
      expect(rows).toEqual([
        {
          ...common,
          ...model,
          source: 'user_prompt',
          prompt_text: 'Which orders are late?',
          parent: null,
          ms: 650,
        },
        {
          ...common,
          ...model,
          source: 'agent_delegation',
          prompt_text: 'invoke_agent researcher',
          parent: 'Which orders are late?',
          ms: 320,
        },
      ]);
      const { rows: hooks } = await db.test.query(
        `SELECT hook_type, hook_name, tool_name, h.status, h.error_type, h.error_message, h.duration_ms::int AS ms,
           input_data, t.parent_id IS NOT NULL AS of_agent
         FROM hook_executions AS h JOIN execution_traces AS t ON t.id = h.trace_id ORDER BY h.started_at`,
      );
      expect(hooks).toEqual([
        {
          hook_type: 'ToolUse',
          hook_name: 'tool',
          tool_name: 'find_orders',
          status: 'failed',
          error_type: 'timeout',
          error_message: 'no answer in 5 s',
          ms: 100,
          input_data: { late: true, api_key: '[redacted]' },
          of_agent: false,
        },
        {
          hook_type: 'Span',
          hook_name: 'read cache',
          tool_name: null,
          status: 'completed',
          error_type: null,
          error_message: null,
          ms: 110,
          input_data: { 'db.system': 'redis' },
          of_agent: true,
        },
      ]);
      const { rows: agents } = await db.test.query(
        `SELECT agent_selected AS agent, routing_strategy AS strategy, query_text AS query,
           t.parent_id IS NULL AS of_root, t.context #>> '{span,kind}' AS kind
         FROM agent_routing_decisions AS d JOIN execution_traces AS t ON t.id = d.trace_id ORDER BY d.created_at`,
      );
      expect(agents.map((row): unknown[] => Object.values(row as object))).toEqual([
        ['planner', 'explicit', 'Which orders are late?', true, 'internal'],
        ['researcher', 'delegation', 'invoke_agent researcher', false, 'internal'],
      ]);
    },
  );
});

it.each([
  ['inner', 1],
  ['outer', -1],
] as const)(
  'gives a trace the same rows when its children are written before their agents are known, the %s one first',
  async (_, order) => {
    await sendTrace(new ProtobufExporter({ url: url('traces') }), 'conversation-1');
    await drain();
    const whole = await db.dump();
    await db.clear();
    type Sent = { traceId: string; spanId: string; name: string; parentSpanId?: string };
    const { rows } = await db.test.query<{ span: Sent }>(
      `WITH gone AS (DELETE FROM trace_console.telemetry_spans RETURNING span)
       SELECT each AS span FROM gone, jsonb_array_elements(gone.span) AS each`,
    );
    // One span a row, as earlier versions have kept them.
    const send = async (spans: readonly Sent[]) => {
      await db.test.query(
        `INSERT INTO trace_console.telemetry_spans (target_schema, trace_id, span_id, span)
         SELECT current_schema(), each->>'traceId', each->>'spanId', each FROM jsonb_array_elements($1) AS each`,
        [JSON.stringify(spans)],
      );
      await drain();
    };
    const spans = rows.map(({ span }) => span);
    // The agents' spans come last.
    const isAgents = ({ name }: Sent) => name.startsWith('invoke_agent');
    await send(spans.filter((span) => !isAgents(span)));
    expect(await db.count('execution_traces')).toBe(1);
    const isInner = (span: Sent) => Number(span.parentSpanId !== undefined);
    const agents = spans.filter(isAgents).toSorted((a, b) => order * (isInner(b) - isInner(a)));
    expect(agents).toHaveLength(2);
    for (const span of agents) await send([span]);
    const { rows: after } = await traces();
    expect(after.map(({ prompt_text: text, input }) => [text, input])).toEqual([
      ['Which orders are late?', 400],
      ['invoke_agent researcher', 400],
    ]);
    expect(await db.dump()).toEqual(whole);
  },
);

it('waits for the root of a trace, and writes it once however often it is sent', async () => {
  const exporter = () => new JsonExporter({ url: url('traces') });
  await sendTrace(exporter(), 'conversation-2');
  await drain({ waits: true });
  const once = await db.dump();
  expect(once.execution_traces).toHaveLength(2);
  await drain();
  expect(await db.dump()).toEqual(once);
});

/** The spans of a trace, in two batches. */
async function batchesOf(conversation: string): Promise<ReadableSpan[][]> {
  const memory = new InMemorySpanExporter();
  // It would forget them.
  memory.shutdown = () => Promise.resolve();
  await sendTrace(memory, conversation);
  const spans = memory.getFinishedSpans();
  return [spans.slice(0, 3), spans.slice(3)];
}

const lengthOf = (bytes: Uint8Array) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
};

it.each<[kind: string, write: (batches: ReadableSpan[][]) => Buffer]>([
  [
    'JSON lines',
    (batches) =>
      Buffer.concat(
        batches.flatMap((batch) => [
          JsonTraceSerializer.serializeRequest(batch) ?? Buffer.alloc(0),
          Buffer.from('\n'),
        ]),
      ),
  ],
  [
    'one JSON over many lines',
    (batches) => {
      const bytes = JsonTraceSerializer.serializeRequest(batches.flat()) ?? Buffer.alloc(0);
      return Buffer.from(JSON.stringify(JSON.parse(Buffer.from(bytes).toString()), null, 2));
    },
  ],
  [
    'protobuf',
    (batches) => Buffer.from(ProtobufTraceSerializer.serializeRequest(batches.flat()) ?? []),
  ],
  [
    'protobuf with lengths',
    (batches) =>
      Buffer.concat(
        batches.flatMap((batch) => {
          const bytes = ProtobufTraceSerializer.serializeRequest(batch) ?? Buffer.alloc(0);
          return [lengthOf(bytes), bytes];
        }),
      ),
  ],
])('imports a file of %s, once', async (kind, write) => {
  const file = path.join(at.folder, 'traces');
  fs.writeFileSync(file, write(await batchesOf('conversation-3')));
  const run = () =>
    importTelemetry([file], {
      database: db.database,
      recorder,
      signal: new AbortController().signal,
    });
  const counts = { files: 1, spans: 6, rejected: 0, unknown: 0, skippedLines: 0 };
  const { written } = await run();
  expect(written.rows).toMatchObject({ execution_traces: 2 });
  const once = await db.dump();
  // Each time it says how many rows were there already.
  const unchanged = Object.values(written.rows).reduce((sum, rows) => sum + rows, 0);
  for (const again of [await run(), await run()]) {
    expect(again).toMatchObject({
      ...counts,
      written: { rows: { execution_traces: 0 }, unchanged },
    });
  }
  await db.test.query('DELETE FROM trace_console.telemetry_spans');
  await run();
  expect(await db.dump()).toEqual(once);
  expect(once.endpoint_calls).toHaveLength(2);
  // Of a file that was cut off, what is whole is there, and the rest is counted.
  const bytes = fs.readFileSync(file);
  fs.writeFileSync(file, Buffer.concat([bytes, bytes.subarray(0, 40)]));
  if (['JSON lines', 'protobuf with lengths'].includes(kind))
    expect(await run()).toMatchObject({ ...counts, skippedLines: 1, skipped: [{ lines: 1 }] });
});

it('exports what the SDK reads to the last field, and reads it back: the same tree, with tokens, cost and failures', async () => {
  await sendTrace(new ProtobufExporter({ url: url('traces') }), 'conversation-4');
  await drain();
  const counts = () =>
    db.test.query(
      `SELECT (SELECT count(*)::int FROM endpoint_calls WHERE context->>'model' = 'gpt-5.5') AS calls,
         (SELECT count(*)::int FROM hook_executions WHERE tool_name = 'find_orders' AND status = 'failed') AS tools,
         (SELECT count(*)::int FROM agent_routing_decisions WHERE agent_selected = 'researcher') AS agents`,
    );
  const before = [(await traces()).rows, (await counts()).rows];
  const selection = ['--since', '4000d', '--url', db.test.url];
  const { stdout, exitCode } = await runCli(['export', 'otlp', ...selection]);
  expect(exitCode).toBe(0);
  const lines = stdout.trim().split('\n');
  expect(lines.map((line) => readBySdk('traces', line))).toEqual(lines.map(withoutEmptyLists));
  const file = path.join(at.folder, 'exported.jsonl');
  fs.writeFileSync(file, stdout);
  await db.clear();
  const { signal } = new AbortController();
  await importTelemetry([file], { database: db.database, recorder, signal });
  const session = sessionId('conversation-4');
  const after = (await traces()).rows.map((row) => ({ ...row, session: 'conversation-4' }));
  expect([after, (await counts()).rows]).toEqual(before);
  expect(await db.count('execution_traces', `session_id = '${session}'`)).toBe(2);
});

it('writes the traces beside one that the database refuses, and does not try that again', async () => {
  await db.test.query(
    `ALTER TABLE endpoint_calls ADD CONSTRAINT test_refuses CHECK (endpoint_url <> 'refused')`,
  );
  onTestFinished(async () => {
    await db.test.query('ALTER TABLE endpoint_calls DROP CONSTRAINT test_refuses');
  });
  const request = (traceId: string, operation: string) => ({
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [
              {
                traceId,
                spanId: '1'.repeat(16),
                name: operation,
                startTimeUnixNano: '1790000000000000000',
                endTimeUnixNano: '1790000001000000000',
                attributes: [
                  { key: 'llm.request.type', value: { stringValue: 'chat' } },
                  // Beyond what a column holds.
                  { key: 'gen_ai.usage.input_tokens', value: { doubleValue: 1e300 } },
                  { key: 'gen_ai.usage.cost', value: { doubleValue: 1e300 } },
                  { key: 'http.status_code', value: { doubleValue: 0.5 } },
                  { key: 'gen_ai.system', value: { stringValue: 'x'.repeat(2_000) } },
                ],
              },
            ],
          },
        ],
      },
    ],
  });
  const file = path.join(at.folder, 'traces.jsonl');
  const lines = [request('a'.repeat(32), 'refused'), request('b'.repeat(32), 'taken')];
  fs.writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const { signal } = new AbortController();
  const imported = await importTelemetry([file], { database: db.database, recorder, signal });
  expect(imported.written.rows).toMatchObject({ execution_traces: 1, endpoint_calls: 1 });
  const { rows } = await db.test.query(
    `SELECT recorded->>'refused' LIKE '%test_refuses%' AS refused FROM trace_console.telemetry_spans
     ORDER BY trace_id`,
  );
  expect(rows).toEqual([{ refused: true }, { refused: null }]);
});
