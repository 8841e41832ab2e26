/**
 * Measures how fast spans that were sent by OTLP become rows, beside COPY of the same rows into the same tables:
 *
 *     npm run bench -- otlp [--spans 10000] [--batch 500] [--rounds 3]
 *
 * "Accepted" is what a sender sees: it is answered 200, and its spans are on disk, in the spool. "Written" is the way from
 * there into the tables, of all spans that were accepted before. "Whole" is all of the way, from the first request to the last
 * row, while requests still come: sender, receiver and collector are this one process. COPY writes the very rows into the same
 * tables.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { resolveSource, type ServerSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { BatchSize, SpoolDrain } from '../src/ingest/collector/drain.js';
import { recordWriter } from '../src/ingest/collector/write-records.js';
import { OtlpReceiver } from '../src/ingest/otlp/receiver.js';
import { SpanFlusher } from '../src/ingest/otlp/staging.js';
import { Recorder } from '../src/ingest/recorder.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';

const { values } = parseArgs({
  options: {
    spans: { type: 'string', default: '10000' },
    batch: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '3' },
  },
});
const spans = Number(values.spans);
const batch = Number(values.batch);
const rounds = Number(values.rounds);
const tables = ['execution_traces', 'hook_executions', 'endpoint_calls'] as const;
const spansInTrace = 10;

const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0');
const text = (key: string, value: string) => ({ key, value: { stringValue: value } });

/** A trace is a root, calls of a model and of tools in turn. */
function span(number: number): object {
  const trace = Math.floor(number / spansInTrace);
  const index = number % spansInTrace;
  const startMs = Date.now() - 60_000 + trace;
  const what =
    index % 2 === 0
      ? [
          text('gen_ai.operation.name', 'chat'),
          text('gen_ai.provider.name', 'openai'),
          text('gen_ai.request.model', 'm'),
          { key: 'gen_ai.usage.input_tokens', value: { intValue: '900' } },
          { key: 'gen_ai.usage.output_tokens', value: { intValue: '100' } },
        ]
      : [
          text('gen_ai.operation.name', 'execute_tool'),
          text('gen_ai.tool.name', 'search'),
          text('gen_ai.tool.call.arguments', JSON.stringify({ query: 'late orders', page: index })),
        ];
  return {
    traceId: hex(trace + 1, 32),
    spanId: hex(number + 1, 16),
    ...(index === 0 ? {} : { parentSpanId: hex(trace * spansInTrace + 1, 16) }),
    name: index === 0 ? 'turn' : 'step',
    startTimeUnixNano: `${startMs + index}000000`,
    endTimeUnixNano: `${startMs + index + 20}000000`,
    attributes: index === 0 ? [] : what,
  };
}

await withBenchServer(async (server) => {
  const url = await server.create('otlp_bench');
  await applySchemaFiles(url);
  const database = await Database.open(resolveSource({ url, environment: {} }) as ServerSource);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-bench-otlp-'));
  const receiver = await OtlpReceiver.open({ host: '127.0.0.1', port: 0, folder });
  const recorder = new Recorder(database);
  const spool = { folder, id: '00000000-0000-4000-8000-000000000001', host: 'here' };
  const drain = new SpoolDrain(database, spool, recordWriter(database, recorder));
  const flusher = new SpanFlusher(database, recorder);
  const ratios = { accepted: [] as number[], written: [] as number[], whole: [] as number[] };
  const size = new BatchSize(database.capabilities).now;
  try {
    await connected(url, async (client) => {
      const clear = async () => {
        await client.query('TRUNCATE execution_traces CASCADE');
        await client.query(
          `DO $$ BEGIN IF to_regclass('trace_console.telemetry_spans') IS NOT NULL THEN
             TRUNCATE trace_console.telemetry_spans, trace_console.agent_sessions; END IF; END $$`,
        );
      };
      const send = async (bodies: readonly string[]) => {
        for (const body of bodies) {
          const answer = await fetch(`http://127.0.0.1:${receiver.port}/v1/traces`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body,
          });
          if (answer.status !== 200) throw new Error(`status ${answer.status}`);
        }
      };
      const write = async (records: number) => {
        for (let written = 0; written < records;) {
          const { length } = (await drain.next(size)).records;
          written += length;
          if (length === 0) await new Promise(setImmediate);
        }
        // Traces whose spans came in different batches.
        while ((await flusher.round()) !== undefined);
      };
      for (let round = 0; round <= rounds; round += 1) {
        const bodies = Array.from({ length: spans / batch }, (_, n) =>
          JSON.stringify({
            resourceSpans: [
              {
                scopeSpans: [
                  { spans: Array.from({ length: batch }, (__, s) => span(n * batch + s)) },
                ],
              },
            ],
          }),
        );
        await clear();
        const begun = performance.now();
        await send(bodies);
        const accepted = performance.now();
        await write(spans);
        const written = performance.now();
        await clear();
        const wholeBegun = performance.now();
        await Promise.all([send(bodies), write(spans)]);
        const wholeMs = performance.now() - wholeBegun;
        const copies: [string, Buffer][] = [];
        let rows = 0;
        for (const table of tables) {
          const chunks: Buffer[] = [];
          const stream = client.query(copyTo(`COPY ${table} TO STDOUT`));
          stream.on('data', (chunk: Buffer) => chunks.push(chunk));
          await once(stream, 'end');
          rows += stream.rowCount;
          copies.push([table, Buffer.concat(chunks)]);
        }
        await client.query('TRUNCATE execution_traces CASCADE');
        const copyBegun = performance.now();
        await client.query('BEGIN');
        for (const [table, bytes] of copies) {
          const stream = client.query(copyFrom(`COPY ${table} FROM STDIN`));
          stream.end(bytes);
          await once(stream, 'finish');
        }
        await client.query('COMMIT');
        const copyMs = performance.now() - copyBegun;
        // The first one warms up.
        if (round === 0) continue;
        ratios.accepted.push(copyMs / (accepted - begun));
        ratios.written.push(copyMs / (written - accepted));
        ratios.whole.push(copyMs / wholeMs);
        const perSecond = (ms: number) => Math.round((rows / ms) * 1_000);
        console.log(
          `${rows} rows: accepted ${perSecond(accepted - begun)}/s, written ${perSecond(written - accepted)}/s, ` +
            `whole ${perSecond(wholeMs)}/s; COPY ${perSecond(copyMs)}/s`,
        );
      }
    });
    console.log(
      `median ratio to COPY: accepted ${quantile(ratios.accepted, 0.5).toFixed(2)} (limit 0.5), ` +
        `written ${quantile(ratios.written, 0.5).toFixed(2)}, whole ${quantile(ratios.whole, 0.5).toFixed(2)}`,
    );
  } finally {
    await receiver.close();
    await database.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
