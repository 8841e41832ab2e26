import net, { type AddressInfo } from 'node:net';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import {
  createExporter,
  type ExportedSpan,
  type ExportResult,
} from '../../../src/ingest/otel-exporter/index.js';
import { IngestDatabase } from '../ingest-database.js';
import { sendTrace } from './genai-trace.js';

let db: IngestDatabase;
beforeAll(async () => {
  db = await IngestDatabase.create();
});
afterAll(() => db.close());

test('what the SDK gives its exporter is one tree with tokens and costs, without a collector', async () => {
  await sendTrace(createExporter({ url: db.test.url }), 'conversation-1');
  const { rows } = await db.test.query(
    `SELECT t.prompt_text, t.project, t.status, t.input_tokens::int AS input, t.cost_usd > 0 AS priced, p.prompt_text AS parent
     FROM execution_traces AS t LEFT JOIN execution_traces AS p ON p.correlation_id = t.parent_id ORDER BY t.started_at`,
  );
  const common = { project: 'shop-assistant', status: 'completed', input: 400, priced: true };
  expect(rows).toEqual([
    { ...common, prompt_text: 'Which orders are late?', parent: null },
    { ...common, prompt_text: 'invoke_agent researcher', parent: 'Which orders are late?' },
  ]);
});

test('spans for which there is no room are refused, and nothing throws', async () => {
  const kept = new InMemorySpanExporter();
  // What is kept is forgotten by a shutdown.
  kept.shutdown = () => Promise.resolve();
  await sendTrace(kept, 'conversation-2');
  const [first, ...others] = kept.getFinishedSpans();
  const exporter = createExporter({ url: 'postgresql://nobody@127.0.0.1:1/none', queueSpans: 1 });
  const codes: number[] = [];
  for (const spans of [first ? [first] : [], others]) {
    exporter.export(spans, ({ code }) => codes.push(code));
  }
  expect(codes).toEqual([0, 1]);
});

/** As the SDK has a span, with what a service written in JavaScript may have put into it. */
const odd = (id: number, change: object = {}): ExportedSpan => ({
  ...{ name: 'odd', kind: 0, status: { code: 0 }, events: [], resource: { attributes: {} } },
  ...{ startTime: [1_790_000_000, 0], endTime: [1_790_000_001, 0], attributes: {} },
  spanContext: () => ({ traceId: 'c'.repeat(32), spanId: `${id}`.padStart(16, 'd') }),
  ...change,
});

test('a span that cannot be stored is left out alone, and what is no JSON becomes a text', async () => {
  await db.clear();
  const throwing = {
    toJSON: () => {
      throw new Error('no');
    },
  };
  const symbol = Symbol('s');
  const exporter = createExporter({ url: db.test.url });
  const results: ExportResult[] = [];
  const spans = [
    odd(1, { attributes: { big: 2n ** 70n, throwing, symbol, list: [1n], kept: [1, 2] } }),
    odd(2, { startTime: [NaN, 0] }),
    Object.defineProperty(odd(3), 'attributes', {
      get: () => {
        throw new Error('not read');
      },
    }),
    odd(4, { spanContext: () => ({ traceId: '', spanId: '' }) }),
    odd(5, { parentSpanId: '1'.padStart(16, 'd'), status: { code: 2, message: 5n } }),
    odd(6, { spanContext: () => ({ traceId: '0'.repeat(32), spanId: '6'.padStart(16, 'd') }) }),
    odd(7, {
      spanContext: () => ({ traceId: 'C'.repeat(32), spanId: '7'.padStart(16, 'D') }),
      parentSpanId: '1'.padStart(16, 'D'),
    }),
  ];
  exporter.export(spans, (result) => {
    results.push(result);
    throw new Error('of the caller');
  });
  expect(results).toMatchObject([
    { code: 1, error: { message: '4 of 7 spans are left out: without a time' } },
  ]);
  await exporter.shutdown();
  const { rows } = await db.test.query<object>(
    `SELECT span AS spans FROM trace_console.telemetry_spans WHERE trace_id = '${'c'.repeat(32)}'`,
  );
  expect(rows).toMatchObject([
    {
      spans: [
        {
          attributes: {
            big: '1180591620717411303424',
            throwing: '[no JSON]',
            symbol: '[no JSON]',
            list: ['1'],
            kept: [1, 2],
          },
        },
        { message: '5' },
        { spanId: '7'.padStart(16, 'd'), parentSpanId: '1'.padStart(16, 'd') },
      ],
    },
  ]);
});

test('a shutdown waits no longer than it was told for a server that does not answer', async () => {
  const sockets: net.Socket[] = [];
  const silent = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as AddressInfo;
  const url = `postgresql://nobody@127.0.0.1:${port}/none`;
  const exporter = createExporter({ url, flushMs: 100 });
  exporter.export([odd(1)], () => undefined);
  await expect(exporter.forceFlush()).rejects.toThrow('Spans that still wait: 1.');
  await expect(exporter.shutdown()).rejects.toThrow('Spans that are lost: 1.');
  expect(silent.listening).toBe(true);
  for (const socket of sockets) socket.destroy();
  silent.close();
}, 8_000);

test('where no database is named nobody waits, and what is lost is counted', async () => {
  const names = Object.keys(process.env).filter((name) =>
    /^(?:DATABASE_URL|TRACEABILITY_DB_URL.*|PG.*|POSTGRES_.*)$/.test(name),
  );
  for (const name of names) vi.stubEnv(name, undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
  const exporter = createExporter({ flushMs: 60_000 });
  exporter.export([odd(1), odd(2)], () => undefined);
  const reason = 'No database is named: set DATABASE_URL, or give a url.';
  await expect(exporter.forceFlush()).rejects.toThrow(`Spans that still wait: 2. ${reason}`);
  await expect(exporter.shutdown()).rejects.toThrow(`Spans that are lost: 2. ${reason}`);
  await exporter.shutdown();
}, 8_000);
