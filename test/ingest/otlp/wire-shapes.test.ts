import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/ingest/events.js';
import type { TelemetrySpan } from '../../../src/ingest/otlp/decode.js';
import { traceEvents } from '../../../src/ingest/otlp/trace-events.js';
import { readSpool } from '../../../src/ingest/spool/reader.js';
import { receiveForEach } from './receiving.js';

/**
 * Requests as the SDKs of Python and Go make them: `wire/*.bin` holds every field of opentelemetry-proto that these
 * set, also those that nobody reads here, and `wire/*.json` says the same in OTLP/JSON.
 */
const fixture = (name: string) => fs.readFileSync(path.join(import.meta.dirname, 'wire', name));

const at = receiveForEach();

type Answer = { status: number | undefined; body: Buffer; type: string | undefined };

/** In parts without a length, as a sender does that does not know it beforehand. */
function post(body: Buffer, headers: Record<string, string>, isChunked = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = isChunked ? {} : { 'content-length': String(body.length) };
    const sending = http.request(
      `http://127.0.0.1:${at.receiver.port}/v1/traces`,
      { method: 'POST', headers: { ...headers, ...length } },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const type = answer.headers['content-type'];
          resolve({ status: answer.statusCode, body: Buffer.concat(parts), type });
        });
      },
    );
    sending.on('error', reject);
    for (let at = 0; at < body.length; at += 500) sending.write(body.subarray(at, at + 500));
    sending.end();
  });
}

/** The spans that are in the spool behind what was there. */
const spooled = (skip: number): TelemetrySpan[] =>
  readSpool(at.folder, new Map(), 1_000)
    .records.slice(skip)
    .map(({ payload }) => payload as TelemetrySpan);

const protobuf = { 'content-type': 'application/x-protobuf' };
const python = { ...protobuf, 'user-agent': 'OTel-OTLP-Exporter-Python/1.44.0' };
const go = { ...protobuf, 'user-agent': 'OTel OTLP Exporter Go/1.41.0' };
const gzip = { 'content-encoding': 'gzip' };

/** The events of each trace of a fixture, as all ways to send it give them. */
async function eventsOf(name: string, headers: Record<string, string>): Promise<AgentEvent[][]> {
  const binary = fixture(`${name}.bin`);
  const packed = zlib.gzipSync(binary);
  const json = { 'content-type': 'application/json' };
  const ways: (() => Promise<Answer>)[] = [
    () => post(binary, headers),
    () => post(packed, { ...headers, ...gzip }),
    () => post(packed, { ...headers, ...gzip }, true),
    () => post(fixture(`${name}.json`), json),
  ];
  const all: TelemetrySpan[][] = [];
  for (const way of ways) {
    const { status, body, type } = await way();
    expect(status).toBe(200);
    // Nothing was left out, in the encoding of the request.
    expect(body.toString()).toBe(type === 'application/json' ? '{}' : '');
    all.push(spooled(all.flat().length));
  }
  const [first = []] = all;
  for (const spans of all) expect(spans).toEqual(first);
  const traces = new Map<string, TelemetrySpan[]>();
  for (const span of first) traces.set(span.traceId, [...(traces.get(span.traceId) ?? []), span]);
  return [...traces.values()].map((spans) => traceEvents(spans.map((span) => ({ span }))).events);
}

const only = <Kind extends AgentEvent['kind']>(events: readonly AgentEvent[], kind: Kind) =>
  events.filter((event): event is Extract<AgentEvent, { kind: Kind }> => event.kind === kind);

describe('as the SDK of Python sends it', () => {
  it('a call of a model is the same by three instrumentations of one client', async () => {
    const [genai = [], openllmetry = [], openinference = []] = await eventsOf('python', python);
    const call = { provider: 'openai', model: 'gpt-5.5-2026-08-01', agent: 'support-bot' };
    expect(only(genai, 'model_call')).toMatchObject([
      {
        ...call,
        session: 'py-1',
        finishReason: 'tool_calls',
        usage: { input: 120, cacheRead: 0, output: 7 },
      },
    ]);
    expect(only(genai, 'tool_ended')).toMatchObject([
      {
        tool: 'lookup',
        toolUse: 'call_uA2pUcG9qS1jXrCkq',
        outcome: 'failed',
        error: { type: 'TimeoutError', message: 'TimeoutError: no answer' },
      },
    ]);
    expect(only(openllmetry, 'prompt')).toMatchObject([
      { session: 'py-2', text: 'Where is order 7?' },
    ]);
    expect(only(openllmetry, 'model_call')).toMatchObject([
      { ...call, usage: { input: 56, cacheRead: 64, output: 10 } },
    ]);
    expect(only(openinference, 'prompt')).toMatchObject([
      { session: 'py-3', text: 'Where is order 8?' },
    ]);
    expect(only(openinference, 'model_call')).toMatchObject([
      { ...call, usage: { input: 20, cacheRead: 100, output: 3 }, costUsd: 0.0123 },
    ]);
  });
});

describe('as the SDK of Go sends it', () => {
  it('a server’s span below one of another service holds its calls, with its times and values', async () => {
    const [events = []] = await eventsOf('go', go);
    const [prompt] = only(events, 'prompt');
    expect(prompt).toMatchObject({
      text: '/orders/{id}',
      agent: 'orders',
      at: expect.closeTo(1_790_000_000_000.123, 1) as number,
    });
    expect(prompt?.place).toMatchObject({ project: 'orders', version: '3.1.0' });
    expect(only(events, 'model_call')).toMatchObject([
      {
        provider: 'anthropic',
        usage: { input: 50, cacheRead: 900, cacheCreation: 50, output: 20 },
        startedAt: expect.closeTo(1_790_000_000_010.123, 1) as number,
      },
    ]);
    expect(only(events, 'span')).toMatchObject([
      {
        name: 'SELECT orders',
        scope: 'go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp',
        outcome: 'failed',
        error: { message: 'context deadline exceeded' },
        attributes: { sampled: false, share: 0.5, rows: 0, note: '', ids: [7, 8] },
      },
    ]);
    expect(only(events, 'turn_ended')).toMatchObject([
      { at: expect.closeTo(1_790_000_000_900.123, 1) as number },
    ]);
  });
});
