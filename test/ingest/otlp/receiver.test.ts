import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TelemetryLog, TelemetrySpan } from '../../../src/ingest/otlp/decode.js';
import { OtlpReceiver, type ReceiverOptions } from '../../../src/ingest/otlp/receiver.js';
import { listenAddress } from '../../../src/cli/collect-telemetry.js';
import { readSpool } from '../../../src/ingest/spool/reader.js';
import { createCertificates } from '../../helpers/certificates.js';
import { provision } from '../../helpers/provision.js';

let folder: string;
let receiver: OtlpReceiver;
beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-receiver-'));
  await open();
});
afterEach(async () => {
  await receiver.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

async function open(options: Partial<ReceiverOptions> = {}): Promise<void> {
  receiver = await OtlpReceiver.open({ host: '127.0.0.1', port: 0, folder, ...options });
}

const base = () => `http://127.0.0.1:${receiver.port}`;
const spooled = () => readSpool(folder, new Map(), 1_000).records;

const span = (fields: object = {}) => ({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  name: 'work',
  startTimeUnixNano: '1790000000000000000',
  endTimeUnixNano: 1_790_000_001_000_000_000,
  ...fields,
});
const request = (...spans: object[]) => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] });

type Sent = { path?: string; type?: string; headers?: Record<string, string>; method?: string };

async function send(body: string | Uint8Array<ArrayBuffer>, sent: Sent = {}) {
  const { path: to = '/v1/traces', type = 'application/json', headers, method = 'POST' } = sent;
  const answer = await fetch(`${base()}${to}`, {
    method,
    headers: { 'content-type': type, ...headers },
    ...(method === 'POST' ? { body } : {}),
  });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

const sendJson = (value: unknown, sent: Sent = {}) => send(JSON.stringify(value), sent);

/** Sends bytes as they are, in two parts: without a length. */
function sendChunked(parts: readonly Buffer[]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const sending = http.request(`${base()}/v1/traces`, options, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sending.on('error', reject);
    for (const part of parts) sending.write(part);
    sending.end();
  });
}

describe('a request', () => {
  it('is in the spool when it is answered, with ids, times and values as they were sent', async () => {
    const attributes = [
      { key: 'int', value: { intValue: '7' } },
      { key: 'number', value: { intValue: 8 } },
      { key: 'large', value: { intValue: '1005254182451511297' } },
      { key: 'halves', value: { intValue: { high: -234053979, low: -1442807809 } } },
      {
        key: 'list',
        value: { arrayValue: { values: [{ stringValue: 'a' }, { boolValue: true }] } },
      },
      {
        key: 'map',
        value: { kvlistValue: { values: [{ key: 'x', value: { doubleValue: 0.5 } }] } },
      },
      { key: 'password', value: { stringValue: 'hunter22' } },
    ];
    const answer = await sendJson({ ...request(span({ attributes, unknown: {} })), more: 1 });
    expect(answer).toMatchObject({ status: 200, text: '{}' });
    const [record] = spooled();
    expect(record).toMatchObject({ cli: 'otlp', event: 'span' });
    expect(record?.payload as TelemetrySpan).toMatchObject({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      startedAt: 1_790_000_000_000,
      endedAt: 1_790_000_001_000,
      attributes: {
        int: 7,
        number: 8,
        // Numbers that JavaScript does not have stay as they were sent.
        large: '1005254182451511297',
        halves: '-1005254182451511297',
        list: ['a', true],
        map: { x: 0.5 },
        password: '[redacted]',
      },
    });
  });

  it('is taken packed, in parts, and at the bare path', async () => {
    const body = Buffer.from(JSON.stringify(request(span())));
    const packed = (encoding: string) => ({ headers: { 'content-encoding': encoding } });
    expect((await send(zlib.gzipSync(body), packed('gzip'))).status).toBe(200);
    expect((await send(zlib.deflateSync(body), packed('deflate'))).status).toBe(200);
    expect(await sendChunked([body.subarray(0, 20), body.subarray(20)])).toBe(200);
    expect((await send(body, { path: '/' })).status).toBe(200);
    expect(spooled()).toHaveLength(4);
  });

  it('of logs is taken as the SDK sends it, also at the bare path', async () => {
    for (const to of ['/v1/logs', '/']) {
      const provider = new LoggerProvider({
        processors: [
          new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url: `${base()}${to}` }) }),
        ],
      });
      provider.getLogger('test').emit({
        eventName: 'something',
        body: { nested: [1, 'two'] },
        attributes: { 'session.id': 's1' },
      });
      await provider.shutdown();
    }
    expect(spooled().map(({ payload }) => payload as TelemetryLog)).toMatchObject([
      { event: 'something', body: { nested: [1, 'two'] }, attributes: { 'session.id': 's1' } },
      { event: 'something', body: { nested: [1, 'two'] }, attributes: { 'session.id': 's1' } },
    ]);
  });

  it('with spans that have no id is taken without these, and says so', async () => {
    const some = request(span(), span({ spanId: '' }), span({ traceId: 'zz' }));
    for (const to of ['/v1/traces', '/']) {
      const answer = await sendJson(some, { path: to });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toMatchObject({ partialSuccess: { rejectedSpans: '2' } });
    }
    expect(spooled()).toHaveLength(2);
    // One in which there is nothing.
    expect((await sendJson({ resourceLogs: [] }, { path: '/' })).status).toBe(200);
    expect((await sendJson({})).status).toBe(200);
    expect((await send('', { type: 'application/x-protobuf' })).status).toBe(200);
  });

  it('of metrics is answered with how much is not kept, and why', async () => {
    const sum = { dataPoints: [{ asInt: '1' }, { asInt: '2' }] };
    const metrics = { resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: 'x', sum }] }] }] };
    for (const to of ['/v1/metrics', '/']) {
      const answer = await sendJson(metrics, { path: to });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toMatchObject({
        partialSuccess: {
          rejectedDataPoints: '2',
          errorMessage: expect.stringContaining('not stored') as string,
        },
      });
    }
    expect(spooled()).toEqual([]);
  });
});

describe('over TLS', () => {
  it('takes what is sent, also where the certificate was renewed, without a token at any address', async () => {
    await receiver.close();
    const binaries = await provision();
    const pair = async (name: string) => {
      const made = await createCertificates(path.join(folder, name), binaries);
      return {
        ca: fs.readFileSync(made.rootCertificate),
        stranger: fs.readFileSync(made.strangerCertificate),
        cert: fs.readFileSync(made.serverCertificate, 'utf8'),
        key: fs.readFileSync(made.serverKey, 'utf8'),
      };
    };
    const [first, second] = [await pair('first'), await pair('second')];
    await open({ host: '0.0.0.0', tls: first });
    expect(await sendTls(first.ca)).toBe(200);
    await expect(sendTls(first.stranger)).rejects.toThrow(/certificate/);
    await expect(sendJson(request(span()))).rejects.toThrow();
    receiver.renew(second);
    expect(await sendTls(second.ca)).toBe(200);
    await expect(sendTls(first.ca)).rejects.toThrow(/certificate/);
    expect(spooled()).toHaveLength(2);
    const mixed = OtlpReceiver.open({
      ...{ host: '127.0.0.1', port: 0, folder },
      tls: { cert: first.cert, key: second.key },
    });
    await expect(mixed).rejects.toMatchObject({ code: 'usage' });
  });
});

/** The status of a request over TLS; rejects where the certificate was not signed by this one. */
function sendTls(ca: Buffer): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sending = https.request(
      `https://127.0.0.1:${receiver.port}/v1/traces`,
      { method: 'POST', headers: { 'content-type': 'application/json' }, ca, agent: false },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      },
    );
    sending.on('error', reject);
    sending.end(JSON.stringify(request(span())));
  });
}

it('takes the events that an agent posts in place of starting its hook, without their secrets, and answers nothing', async () => {
  const path = '/trace-console/hook/claude';
  const payload = {
    hook_event_name: 'PreToolUse',
    session_id: 's',
    tool_input: { env: { API_KEY: 'sk-ant-0123456789abcdef0123' } },
  };
  expect(await sendJson(payload, { path })).toMatchObject({ status: 200, text: '' });
  const [record] = spooled();
  expect(record).toMatchObject({ cli: 'claude', payload: { session_id: 's' } });
  expect(JSON.stringify(record)).not.toContain('0123456789abcdef');
  // A page in a browser may send this without asking.
  expect(await sendJson(payload, { path, type: 'text/plain' })).toMatchObject({ status: 415 });
  expect(await sendJson(payload, { path: '/trace-console/hook/vim' })).toMatchObject({
    status: 404,
  });
  expect(await send('', { path, method: 'GET' })).toMatchObject({ status: 405 });
  expect(spooled()).toHaveLength(1);
});

describe('what is refused', () => {
  it.each<[what: string, status: number, body: string | Uint8Array<ArrayBuffer>, sent: Sent]>([
    ['garbage', 400, 'no JSON', {}],
    ['JSON for somebody else', 400, '{"foo":1}', {}],
    ['JSON for somebody else at /', 400, '{"resource_spans":[]}', { path: '/' }],
    ['another message', 400, Buffer.from([255, 255, 1]), { type: 'application/x-protobuf' }],
    ['a depth of 100,000', 400, '['.repeat(100_000), {}],
    ['what is no gzip', 400, 'plain', { headers: { 'content-encoding': 'gzip' } }],
    ['another path', 404, '{}', { path: '/v1/profiles' }],
    ['another method', 405, '', { method: 'GET' }],
    ['another type', 415, '{}', { type: 'text/plain' }],
    ['another packing', 415, '{}', { headers: { 'content-encoding': 'br' } }],
  ])('%s: %i', async (_, status, body, sent) => {
    expect((await send(body, sent)).status).toBe(status);
    expect(spooled()).toEqual([]);
    expect((await sendJson(request(span()))).status).toBe(200);
  });

  it('what unpacks to more than fits', async () => {
    const bomb = zlib.gzipSync(Buffer.alloc(33 << 20));
    const sent = { headers: { 'content-encoding': 'gzip' } };
    expect((await send(bomb, sent)).status).toBe(413);
  });

  it.each([
    ['with its length', 'content-length: 25165824', ''],
    ['with one beyond 2^53', 'content-length: 9007199254740993', ''],
    ['in parts', 'transfer-encoding: chunked', '100000\r\n'],
  ])('what is larger than fits, %s, and who reads the answer when all is sent', async (...sent) => {
    const [, header, head] = sent;
    const socket = net.connect(receiver.port, '127.0.0.1');
    const type = 'content-type: application/json';
    socket.write(`POST /v1/traces HTTP/1.1\r\nhost: x\r\n${type}\r\n${header}\r\n\r\n`);
    const write = promisify((bytes: string, done: (error?: Error | null) => void) =>
      socket.write(bytes, done),
    );
    const part = `${head}${' '.repeat(1 << 20)}${head === '' ? '' : '\r\n'}`;
    for (let megabyte = 0; megabyte < 24; megabyte += 1) await write(part);
    socket.end();
    expect(String((await socket.toArray())[0])).toMatch(/^HTTP\/1\.1 413 /);
    expect((await sendJson(request(span()))).status).toBe(200);
  });

  it('a deep value, of which the rest is kept', async () => {
    let value: object = { stringValue: 'deep' };
    for (let depth = 0; depth < 1_000; depth += 1) value = { arrayValue: { values: [value] } };
    const attributes = [
      { key: 'deep', value },
      { key: 'flat', value: { intValue: 1 } },
    ];
    expect((await sendJson(request(span({ attributes })))).status).toBe(200);
    expect((spooled()[0]?.payload as TelemetrySpan).attributes.flat).toBe(1);
  });

  it('nobody else while many send slowly, or nothing', async () => {
    const head = 'POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';
    const slow = Array.from({ length: 60 }, (_, index) => {
      const socket = net.connect(receiver.port, '127.0.0.1').on('error', () => undefined);
      if (index % 2 === 0) socket.write(`${head}content-length: 1000000\r\n\r\n{`);
      return socket;
    });
    expect((await sendJson(request(span()))).status).toBe(200);
    for (const socket of slow) socket.destroy();
  });

  it('everything while the spool is full, with a time to come again', async () => {
    await receiver.close();
    await open({ limitBytes: 1 });
    expect((await sendJson(request(span()))).status).toBe(200);
    const answer = await sendJson(request(span()));
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(spooled()).toHaveLength(1);
  });

  it('everything while the spool cannot be written, as something that SDKs send again', async () => {
    fs.rmSync(folder, { recursive: true });
    fs.writeFileSync(folder, 'a file in its place');
    const answer = await sendJson(request(span()));
    expect(answer).toMatchObject({
      status: 503,
      text: expect.stringMatching(/spool.*ENOTDIR/) as string,
    });
    expect(answer.text).not.toContain(folder);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    fs.rmSync(folder);
    expect((await sendJson(request(span()))).status).toBe(200);
    expect(spooled()).toHaveLength(1);
  });

  it('who does not know the token, where there is one', async () => {
    await receiver.close();
    await open({ token: 'secret' });
    const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const none = {
      status: 401,
      text: expect.stringContaining('authorization=Bearer%20') as string,
    };
    expect(await sendJson(request(span()))).toMatchObject(none);
    const wrong = { status: 401, text: 'The token is wrong.\n' };
    expect(await sendJson(request(span()), as('wrong'))).toMatchObject(wrong);
    expect((await sendJson(request(span()), as('secret'))).status).toBe(200);
  });

  it('gRPC, with an answer that says what to set, and who hears of each refusal by its reason', async () => {
    await receiver.close();
    const refused: string[] = [];
    await open({ onRefused: (reason, message) => refused.push(`${reason} ${message}`) });
    const socket = net.connect(receiver.port, '127.0.0.1');
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    expect(String((await socket.toArray())[0])).toMatch(/^HTTP\/1\.1 505 [^]*http\/protobuf/);
    const twice = await sendJson(request(span()), { path: '/v1/traces/v1/traces' });
    expect(twice).toMatchObject({ status: 404, text: expect.stringContaining('twice') as string });
    expect((await sendJson(request(span()), { path: '/v1' })).text).toMatch(/ and \/ .*\/metrics/);
    expect(refused).toEqual([
      expect.stringMatching(/^gRPC gRPC is not spoken/),
      expect.stringMatching(/^404 /),
      expect.stringMatching(/^404 /),
    ]);
  });

  it('an address that others reach, without a token', async () => {
    await expect(OtlpReceiver.open({ host: '0.0.0.0', port: 0, folder })).rejects.toMatchObject({
      code: 'usage',
    });
    const taken = OtlpReceiver.open({ host: '127.0.0.1', port: receiver.port, folder });
    await expect(taken).rejects.toMatchObject({ code: 'busy' });
  });
});

it('understands addresses', () => {
  expect(listenAddress('4318')).toEqual({ host: '127.0.0.1', port: 4318 });
  expect(listenAddress(':4318')).toEqual({ host: '127.0.0.1', port: 4318 });
  expect(listenAddress('[::1]:4318')).toEqual({ host: '::1', port: 4318 });
  expect(() => listenAddress('here')).toThrow(/--listen/);
});
