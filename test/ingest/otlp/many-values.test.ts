import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hookPath } from '../../../src/ingest/install/agent.js';
import { OtlpReceiver } from '../../../src/ingest/otlp/receiver.js';

describe('a request of millions of empty things, which are small until they are read', () => {
  /** A message of protobuf in others: the numbers of their fields, from the outermost on. */
  const within = (fields: readonly number[], body: Buffer): Buffer =>
    fields.reduceRight((inner, field) => {
      const length: number[] = [];
      for (let left = inner.length; left > 0; left = Math.floor(left / 128)) {
        length.push((left % 128) + (left >= 128 ? 128 : 0));
      }
      return Buffer.concat([Buffer.from([field * 8 + 2, ...length]), inner]);
    }, body);
  const empty = (count: number, field: number) =>
    Buffer.alloc(count * 2, Buffer.from([field * 8 + 2, 0]));
  const empties = (count: number) => `${'{},'.repeat(count - 1)}{}`;
  const [most, tooMany] = [999_000, 1_000_001];
  const ids = {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    startTimeUnixNano: '1790000000000000000',
  };
  const points = (list: string) =>
    `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[${list}]}}]}]}]}`;
  const braces = JSON.stringify({
    resourceSpans: [{ scopeSpans: [{ spans: [{ ...ids, name: '{[,"\\'.repeat(1_000_000) }] }] }],
  });

  it.each<[string, string, string | Buffer, number]>([
    ['points', '/v1/metrics', within([1, 2, 2, 5], empty(tooMany, 1)), 413],
    ['spans', '/v1/traces', within([1, 2], empty(tooMany, 2)), 413],
    ['log records', '/v1/logs', within([1, 2], empty(tooMany, 2)), 413],
    ['attributes, at the base path', '/', within([1, 2, 2], empty(tooMany, 9)), 413],
    [
      'points behind a group',
      '/v1/metrics',
      within([1, 2, 2, 5], Buffer.concat([Buffer.from([0x0b, 0x0c]), empty(tooMany, 1)])),
      413,
    ],
    ['points in JSON', '/v1/metrics', points(empties(tooMany)), 413],
    ['values in an event that is posted', hookPath('claude'), `{"x":[${empties(tooMany)}]}`, 413],
    ['numbers in JSON', hookPath('claude'), `{"x":[${'1, '.repeat(tooMany)}1]}`, 413],
    ['keys in JSON', hookPath('claude'), `{${'"":"",'.repeat(tooMany)}"":""}`, 413],
    ['fewer points', '/v1/metrics', within([1, 2, 2, 5], empty(most, 1)), 200],
    ['fields that nobody knows', '/v1/metrics', within([1, 2, 2, 5], empty(tooMany, 14)), 200],
    ['fewer points in JSON', '/v1/metrics', points(empties(most)), 200],
    ['braces in a text', '/v1/traces', braces, 200],
  ])('is refused before it is read, or taken: %s', async (_what, to, body, status) => {
    const refused: string[] = [];
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-many-'));
    const receiver = await OtlpReceiver.open({
      host: '127.0.0.1',
      port: 0,
      folder,
      onRefused: (reason) => refused.push(reason),
    });
    onTestFinished(async () => {
      await receiver.close();
      fs.rmSync(folder, { recursive: true, force: true });
    });
    const type = typeof body === 'string' ? 'application/json' : 'application/x-protobuf';
    const answer = await fetch(`http://127.0.0.1:${receiver.port}${to}`, {
      method: 'POST',
      headers: { 'content-type': type, 'content-encoding': 'gzip' },
      body: new Uint8Array(zlib.gzipSync(body, { level: 1 })),
    });
    const text = await answer.text();
    expect([answer.status, refused]).toEqual([status, status === 200 ? [] : ['413']]);
    if (status === 413) expect(text).toMatch(/holds 1,000,000 spans, points, .* less at a time/);
  });
});
