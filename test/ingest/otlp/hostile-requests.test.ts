import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { fc } from '../../helpers/seeds.js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { SpoolDrain } from '../../../src/ingest/collector/drain.js';
import { recordWriter } from '../../../src/ingest/collector/write-records.js';
import { OtlpReceiver } from '../../../src/ingest/otlp/receiver.js';
import { SpanFlusher } from '../../../src/ingest/otlp/staging.js';
import { waitingBytes } from '../../../src/ingest/spool/append.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import { runCli, type CliResult } from '../../helpers/cli.js';
import { freePort } from '../../helpers/postgres-process.js';
import { IngestDatabase } from '../ingest-database.js';
import { sendTrace } from './genai-trace.js';

/** Requests that are changed at random; more for a night, with `TRACE_CONSOLE_FUZZ_SEED` to begin elsewhere. */
const runs = Number(process.env.TRACE_CONSOLE_FUZZ_RUNS ?? 200);
const seed = Number(process.env.TRACE_CONSOLE_FUZZ_SEED ?? 20_261_127);

let db: IngestDatabase;
let folder: string;
let spans: ReadableSpan[];

beforeAll(async () => {
  db = await IngestDatabase.create();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-hostile-'));
  const kept = new InMemorySpanExporter();
  // What is kept is forgotten by a shutdown.
  kept.shutdown = () => Promise.resolve();
  await sendTrace(kept, 'conversation-9');
  spans = kept.getFinishedSpans();
});

afterAll(async () => {
  await db.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Requests that the SDK makes, with bytes changed, cut out, doubled and put in. */
function changedRequest(): fc.Arbitrary<{
  body: Uint8Array<ArrayBuffer>;
  headers: Record<string, string>;
}> {
  const bodies = [
    { type: 'application/json', bytes: JsonTraceSerializer.serializeRequest(spans) },
    { type: 'application/x-protobuf', bytes: ProtobufTraceSerializer.serializeRequest(spans) },
  ];
  const change = fc.record({
    kind: fc.constantFrom('set', 'cut', 'double', 'insert'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 1, max: 64 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }),
  });
  return fc
    .record({
      body: fc.constantFrom(...bodies),
      changes: fc.array(change, { maxLength: 8 }),
      encoding: fc.constantFrom('identity', 'gzip', 'deflate', 'br', 'gzip-but-not'),
      type: fc.constantFrom('application/json', 'application/x-protobuf', 'text/plain', undefined),
    })
    .map(({ body, changes, encoding, type }) => {
      let bytes = Buffer.from(body.bytes ?? []);
      for (const { kind, at, length, bytes: given } of changes) {
        const from = Math.floor(at * bytes.length);
        const [head, middle, tail] = [
          bytes.subarray(0, from),
          bytes.subarray(from, from + length),
          bytes.subarray(from + length),
        ];
        if (kind === 'cut') bytes = Buffer.concat([head, tail]);
        else if (kind === 'double') bytes = Buffer.concat([head, middle, middle, tail]);
        else if (kind === 'insert') bytes = Buffer.concat([head, given, middle, tail]);
        else bytes = Buffer.concat([head, given, bytes.subarray(from + given.length)]);
      }
      const packed =
        encoding === 'gzip'
          ? zlib.gzipSync(bytes)
          : encoding === 'deflate'
            ? zlib.deflateSync(bytes)
            : bytes;
      return {
        body: new Uint8Array(packed),
        headers: {
          'content-type': type ?? body.type,
          'content-encoding': encoding.replace('-but-not', ''),
        },
      };
    });
}

/** Protobuf of `resource.attributes` whose values hold one another. */
function deepProtobuf(depth: number): Buffer {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
  const field = (number: number, inner: Buffer) =>
    Buffer.concat([Buffer.from([number * 8 + 2, ...varint(inner.length)]), inner]);
  let value: Buffer = Buffer.alloc(0);
  // An ArrayValue (5) with one value (1).
  for (let n = 0; n < depth; n += 1) value = field(5, field(1, value));
  return field(1, field(1, field(1, field(2, value))));
}

/** The largest of a process and its children, where the system tells it. */
function memoryMb(pid = 0): number {
  const children = `/proc/${pid}/task/${pid}/children`;
  const pids = fs.existsSync(children) ? fs.readFileSync(children, 'utf8').trim().split(' ') : [];
  const sizes = [String(pid), ...pids].map((each) => {
    try {
      return /VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${each}/status`, 'utf8'))?.[1];
    } catch {
      // It has ended, or there is no such folder.
      return undefined;
    }
  });
  return Math.max(0, ...sizes.map((size) => Number(size ?? 0) / 1_024));
}

test(`after ${runs} changed requests, bombs, slow bodies and idle connections the next good request is served`, async () => {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const ended: Promise<CliResult> = runCli(['collect', '--listen', `127.0.0.1:${port}`], {
    env: { HOME: folder, XDG_STATE_HOME: folder, DATABASE_URL: db.test.url },
    onStart: (started) => (child = started),
  });
  const url = `http://127.0.0.1:${port}/v1/traces`;
  const idle: net.Socket[] = [];
  try {
    await vi.waitFor(async () => expect((await fetch(url)).status).toBe(405), 60_000);
    const send = async (body: Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
      (await fetch(url, { method: 'POST', body, headers })).status;
    for (let n = 0; n < 500; n += 1) {
      const socket = net.connect(port, '127.0.0.1').on('error', () => undefined);
      idle.push(socket);
      await once(socket, 'connect');
      // Each tenth has begun a request.
      if (n % 10 === 0) {
        socket.write(
          'POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{',
        );
      }
    }
    await fc.assert(
      fc.asyncProperty(changedRequest(), async ({ body, headers }) => {
        expect([200, 400, 413, 415, 429, 503]).toContain(await send(body, headers));
      }),
      { numRuns: runs, seed, endOnFailure: true },
    );
    const json = { 'content-type': 'application/json' };
    const protobuf = { 'content-type': 'application/x-protobuf' };
    const bomb = new Uint8Array(zlib.gzipSync(Buffer.alloc(200 << 20, ' ')));
    const bombs = async (count: number) => {
      for (let n = 0; n < count; n += 1) {
        expect(await send(bomb, { ...json, 'content-encoding': 'gzip' })).toBe(413);
      }
      return memoryMb(child?.pid);
    };
    const settledMb = await bombs(4);
    // Less than two of what is unpacked of each before it is refused.
    expect(await bombs(8)).toBeLessThan(settledMb + 64);
    const deep = '{"resourceSpans":' + '[{"scopeSpans":'.repeat(100_000);
    expect(await send(new Uint8Array(Buffer.from(deep)), json)).toBe(400);
    const nested = `{"resourceSpans":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect([200, 400]).toContain(await send(new Uint8Array(Buffer.from(nested)), json));
    expect([200, 400]).toContain(await send(new Uint8Array(deepProtobuf(5_000)), protobuf));
    const good = new Uint8Array(ProtobufTraceSerializer.serializeRequest(spans) ?? []);
    expect(await send(good, protobuf)).toBe(200);
    // Two bombs of 200 MB whole would be more; what the garbage collector leaves for a while swings by 50 MB.
    expect(memoryMb(child?.pid)).toBeLessThan(300);
    await vi.waitFor(
      async () => expect(await db.count('execution_traces')).toBeGreaterThan(0),
      60_000,
    );
  } finally {
    for (const socket of idle) socket.destroy();
    child?.kill('SIGTERM');
  }
  expect(await ended).toMatchObject({ exitCode: 0 });
}, 180_000);

test('a burst of ten times what there is room for is answered with 429, and each span is there once in the end', async () => {
  const spool = path.join(folder, 'burst');
  const receiver = await OtlpReceiver.open({
    host: '127.0.0.1',
    port: 0,
    folder: spool,
    limitBytes: 40_000,
  });
  const drain = new SpoolDrain(
    db.database,
    { folder: spool, id: '00000000-0000-4000-8000-000000000001', host: 'here', keptBytes: 0 },
    recordWriter(db.database, new Recorder(db.database)),
  );
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  try {
    const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0');
    const requests = Array.from({ length: 20 }, (_, n) => ({
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: Array.from({ length: 50 }, (__, s) => ({
                traceId: hex(n + 1, 32),
                spanId: hex(n * 100 + s + 1, 16),
                ...(s === 0 ? {} : { parentSpanId: hex(n * 100 + 1, 16) }),
                name: 'burst',
                startTimeUnixNano: '1790000000000000000',
                endTimeUnixNano: '1790000001000000000',
              })),
            },
          ],
        },
      ],
    }));
    let waiting = requests;
    let refusals = 0;
    while (waiting.length > 0) {
      const answers = await Promise.all(
        waiting.map((request) =>
          fetch(`http://127.0.0.1:${receiver.port}/v1/traces`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(request),
          }),
        ),
      );
      const refused = answers.map(
        ({ status, headers }) => status === 429 && headers.has('retry-after'),
      );
      expect(answers.every(({ status }, n) => status === 200 || refused[n])).toBe(true);
      waiting = waiting.filter((_, n) => refused[n]);
      refusals += waiting.length;
      while ((await drain.next(500)).records.length > 0);
      // Senders come again a moment later: what was read has made room by then.
      vi.setSystemTime(Date.now() + 2_000);
      await drain.tidy();
      expect(waitingBytes(spool)).toBe(0);
    }
    expect(refusals).toBeGreaterThan(20);
    const flusher = new SpanFlusher(db.database, new Recorder(db.database), { waits: false });
    while (await flusher.round());
    expect(await db.count('execution_traces', `prompt_text = 'burst'`)).toBe(20);
    expect(await db.count('hook_executions', `hook_type = 'Span' AND hook_name = 'burst'`)).toBe(
      20 * 49,
    );
  } finally {
    vi.useRealTimers();
    await receiver.close();
  }
}, 60_000);

/** How much more is sent than the spool holds; 10 takes half a minute. */
const burst = Number(process.env.TRACE_CONSOLE_BURST ?? 2);

test(`a burst of ${burst} times the spool of a running collector gets through by what SDKs do, in bounded memory`, async () => {
  const home = path.join(folder, 'running');
  const port = await freePort();
  let child: ChildProcess | undefined;
  const ended = runCli(['collect', '--listen', `127.0.0.1:${port}`], {
    env: {
      HOME: home,
      XDG_STATE_HOME: home,
      DATABASE_URL: db.test.url,
      TRACE_CONSOLE_SPOOL_MB: '1',
    },
    onStart: (started) => (child = started),
  });
  const url = `http://127.0.0.1:${port}/v1/traces`;
  let refusals = 0;
  let mostMb = 0;
  const send = async (number: number) => {
    const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
    const spans = Array.from({ length: 20 }, (_, index) => ({
      traceId: hex(0xb0000 + number, 32),
      spanId: hex(number * 100 + index + 1, 16),
      ...(index === 0 ? {} : { parentSpanId: hex(number * 100 + 1, 16) }),
      name: 'flood',
      startTimeUnixNano: '1790000000000000000',
      endTimeUnixNano: '1790000001000000000',
      attributes: [{ key: 'text', value: { stringValue: 'word '.repeat(1_000) } }],
    }));
    const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
    for (;;) {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(url, { method: 'POST', headers, body });
      await answer.text();
      if (answer.status === 200) return;
      expect([429, 503]).toContain(answer.status);
      refusals += answer.status === 429 ? 1 : 0;
      expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(5);
      // Sooner than it is asked to.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const requests = burst * 10;
  try {
    await vi.waitFor(async () => expect((await fetch(url)).status).toBe(405), 60_000);
    await Promise.all(
      Array.from({ length: requests }, async (_, number) => {
        await send(number);
        mostMb = Math.max(mostMb, memoryMb(child?.pid));
      }),
    );
    // A slow machine sends a small burst so slowly that there is room again.
    if (burst >= 10) {
      expect(refusals).toBeGreaterThan(0);
      console.info(`${requests} requests, ${refusals} times 429, ${Math.round(mostMb)} MB at most`);
    }
    expect(mostMb).toBeLessThan(200);
    await vi.waitFor(
      async () =>
        expect(await db.count('hook_executions', `hook_name = 'flood'`)).toBe(requests * 19),
      { timeout: 60_000, interval: 200 },
    );
    expect(await db.count('execution_traces', `prompt_text = 'flood'`)).toBe(requests);
  } finally {
    child?.kill('SIGTERM');
  }
  expect(await ended).toMatchObject({ exitCode: 0 });
}, 180_000);
