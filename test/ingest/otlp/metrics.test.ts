import fs from 'node:fs';
import path from 'node:path';
import { JsonMetricsSerializer, ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { resolveSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { quoteIdent } from '../../../src/db/quote.js';
import { openConsoleTable } from '../../../src/deploy/console-schema.js';
import { importTelemetry } from '../../../src/ingest/otlp/import-files.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import { readShape } from '../../../src/panes/contract/shape.js';
import { sessionOpening } from '../../../src/panes/trace/session-opening.js';
import { sessionId } from '../../../src/ingest/ids.js';
import { IngestDatabase } from '../ingest-database.js';
import { receiveForEach } from './receiving.js';

/** What the SDK hands to its exporters, without its own package of metrics. */
type SdkMetrics = Parameters<typeof JsonMetricsSerializer.serializeRequest>[0];

let db: IngestDatabase;
let recorder: Recorder;
const at = receiveForEach();
beforeAll(async () => {
  db = await IngestDatabase.create();
  recorder = new Recorder(db.database);
  await db.database.transaction({}, (tx) => openConsoleTable(tx, 'agent_metrics'));
});
afterAll(() => db.close());
beforeEach(async () => {
  await db.clear();
  await forget();
});

const forget = () => db.test.query('DELETE FROM trace_console.agent_metrics');

/** What the collector does with the spool. */
async function drain(database = db.database, by = recorder): Promise<void> {
  await at.drain(database, by, 2_000);
}

const session = '9f1c2d3e-0000-4000-8000-000000000001';
const beganS = 1_790_000_000;
const lines = 'lines_of_code.count';
const delta = 0;
const cumulative = 1;

/** Seconds behind the beginning: since when, and until when; attributes beside those of every point. */
type Point = [name: string, from: number, to: number, value: number, attributes?: object];

/** A request as the SDK of Claude Code has it at the end of an interval. */
function metrics(temporality: 0 | 1, points: readonly Point[]): SdkMetrics {
  const names = [...new Set(points.map(([name]) => name))];
  return {
    resource: { attributes: { 'service.name': 'claude-code', 'service.version': '2.1.240' } },
    scopeMetrics: [
      {
        scope: { name: 'com.anthropic.claude_code' },
        metrics: names.map((name) => ({
          descriptor: { name: `claude_code.${name}`, description: '', unit: '', valueType: 1 },
          aggregationTemporality: temporality,
          dataPointType: 3,
          isMonotonic: true,
          dataPoints: points
            .filter(([of]) => of === name)
            .map(([, from, to, value, attributes]) => ({
              startTime: [beganS + from, 0],
              endTime: [beganS + to, 0],
              value,
              attributes: { 'session.id': session, 'user.email': 'ada@example.org', ...attributes },
            })),
        })),
      },
    ],
  } as unknown as SdkMetrics;
}

const encodings = {
  JSON: ['application/json', JsonMetricsSerializer],
  protobuf: ['application/x-protobuf', ProtobufMetricsSerializer],
} as const;

/** @returns what was answered */
async function send(request: SdkMetrics, encoding: keyof typeof encodings): Promise<Buffer> {
  const [type, serializer] = encodings[encoding];
  const answer = await fetch(`http://127.0.0.1:${at.receiver.port}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: Buffer.from(serializer.serializeRequest(request) ?? []),
  });
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

/** The record of the session as Enter on it opens it. */
async function opened(id = session) {
  const opening = await sessionOpening('Session', sessionId(id)).read({
    shape: await readShape(db.database),
    windowMs: 3_600_000,
    read: (text, values) => db.database.read(text, values),
  });
  if (opening.kind !== 'records') throw new Error('no record');
  const work = opening.sections?.find(({ title }) => title === 'Work')?.lines[0];
  return { row: opening.rows[0], work: work?.map(({ text }) => text) };
}

const kept = async () => {
  const { rows } = await db.test.query<object>(
    'SELECT session_id, metric, slot, points FROM trace_console.agent_metrics ORDER BY 1, 2, 3',
  );
  return rows;
};

const intervals: Point[][] = [
  [
    [lines, 0, 60, 100, { type: 'added' }],
    [lines, 0, 60, 20, { type: 'removed' }],
    ['active_time.total', 0, 60, 24.5, { type: 'user' }],
    ['active_time.total', 0, 60, 30, { type: 'cli' }],
  ],
  [
    [lines, 60, 120, 20, { type: 'added' }],
    // The same of another model is a series of its own.
    [lines, 60, 120, 10, { type: 'removed', model: 'opus' }],
    ['commit.count', 60, 120, 2],
    ['active_time.total', 60, 120, 69.5, { type: 'cli' }],
  ],
  // An hour later.
  [
    ['pull_request.count', 3_700, 3_760, 1],
    ['active_time.total', 3_700, 3_760, 600, { type: 'cli' }],
  ],
];
const work = [
  'lines +120 −30, 2 commits, 1 pull request, active 12m04s',
  'user 24.5s, agent 11m40s',
];

it.each(['JSON', 'protobuf'] as const)(
  'keeps in %s what only metrics tell, once, in whatever order and however often it comes',
  async (encoding) => {
    const requests = intervals.map((points) => metrics(delta, points));
    for (const request of requests) expect((await send(request, encoding)).length).toBeLessThan(3);
    await drain();
    const once = await kept();
    expect((await opened()).work).toEqual(work);
    expect((await opened()).row).toMatchObject({
      metrics: { lines_added: 120, lines_removed: 30, commits: 2, active_cli_s: 699.5 },
    });
    expect(JSON.stringify(once)).not.toContain('ada@');

    for (const request of requests) await send(request, encoding);
    await drain();
    expect(await kept()).toEqual(once);

    await forget();
    const halves = intervals.flatMap((points) => [points.slice(0, 2), points.slice(2), points]);
    for (const points of halves.toReversed()) {
      await send(metrics(delta, points), encoding === 'JSON' ? 'protobuf' : 'JSON');
      await drain();
    }
    expect(await kept()).toEqual(once);
  },
);

it('counts of a sum since a start the largest value, and anew from another start, in every order', async () => {
  const told: Point[] = [
    [lines, 0, 60, 3, { type: 'added' }],
    [lines, 0, 120, 5, { type: 'added' }],
    [lines, 0, 180, 5, { type: 'added' }],
    // The program was started again.
    [lines, 300, 360, 2, { type: 'added' }],
    [lines, 300, 420, 4, { type: 'added' }],
  ];
  const rows = [];
  for (const points of [told, told.toReversed(), [...told, ...told]]) {
    await forget();
    for (const point of points) {
      await send(metrics(cumulative, [point]), 'protobuf');
      await drain();
    }
    expect((await opened()).work).toEqual(['lines +9 −0']);
    rows.push(await kept());
  }
  expect(rows).toEqual([rows[0], rows[0], rows[0]]);
});

it('counts a sum whose start nobody tells once, however long it lasts', async () => {
  const type = { type: 'added' };
  const told = [100, 160, 150].map((v, hour): Point => [lines, -beganS, hour * 3_700, v, type]);
  for (const points of [told, told.toReversed()]) {
    await forget();
    for (const point of points) {
      await send(metrics(cumulative, [point]), 'protobuf');
      await drain();
    }
    expect((await opened()).work).toEqual(['lines +160 −0']);
  }
});

it('shows no session as one of the future, whatever the clock of its points says', async () => {
  const ahead = 400 * 86_400 + Math.round(Date.now() / 1_000) - beganS;
  await send(metrics(delta, [['commit.count', ahead, ahead + 60, 1]]), 'protobuf');
  await drain();
  const { rows } = await db.test.query(
    `SELECT last_seen_at <= clock_timestamp() AS past, started_at <= last_seen_at AS ordered,
       (activity ->> 'at')::float8 <= extract(epoch FROM clock_timestamp()) * 1000 AS told FROM trace_console.agent_sessions`,
  );
  expect(rows).toEqual([{ past: true, ordered: true, told: true }]);
});

it('refuses, and counts, what logs and transcripts tell call by call, and metrics of others', async () => {
  const request = metrics(delta, [
    ['token.usage', 0, 60, 1_000, { type: 'input' }],
    ['cost.usage', 0, 60, 0.5],
    ['session.count', 0, 60, 1],
    ['code_edit_tool.decision', 0, 60, 1],
    [lines, 0, 60, 7, { type: 'added' }],
    [lines, 0, 60, 7, { type: 'moved' }],
    ['commit.count', 0, 60, 1, { 'session.id': '' }],
    ['commit.count', 0, 60, -1],
  ]);
  const answer = await send(request, 'JSON');
  expect(JSON.parse(answer.toString())).toEqual({
    partialSuccess: {
      rejectedDataPoints: '7',
      errorMessage: expect.stringContaining('not stored') as string,
    },
  });
  expect((await send(request, 'protobuf')).subarray(2, 4)).toEqual(Buffer.from([0x08, 7]));
  await drain();
  expect(await kept()).toEqual([expect.objectContaining({ metric: 'lines_added' })]);
  expect((await opened()).work).toEqual(['lines +7 −0']);
});

const jsonOf = (sent: SdkMetrics) =>
  Buffer.from(JsonMetricsSerializer.serializeRequest(sent) ?? []).toString();

function importLines(requests: readonly string[], target = { database: db.database, recorder }) {
  const file = path.join(at.folder, 'requests.jsonl');
  fs.writeFileSync(file, requests.map((request) => `${request}\n`).join(''));
  return importTelemetry([file], { ...target, signal: new AbortController().signal });
}

it('imports files of metrics, and writes nothing where they have come already', async () => {
  for (const points of intervals) await send(metrics(delta, points), 'protobuf');
  await drain();
  const once = await kept();
  const run = () => importLines(intervals.map((points) => jsonOf(metrics(delta, points))));
  expect(await run()).toMatchObject({ requests: 3, points: 10, metrics: 0 });
  expect(await kept()).toEqual(once);
  await forget();
  await run();
  expect(await kept()).toEqual(once);
});

it('has a session of which only metrics tell, and leaves it to events as soon as these come', async () => {
  const row = async () => {
    const { rows } = await db.test.query<object>(
      `SELECT agent, started_at, ended_at, last_seen_at, activity FROM trace_console.agent_sessions`,
    );
    return rows;
  };
  const at = (seconds: number) => new Date((beganS + seconds) * 1_000);
  const point = (from: number) => metrics(delta, [['commit.count', from, from + 60, 1]]);
  const tell = async (from: number) => {
    await send(point(from), 'JSON');
    await drain();
  };
  const event = { source: 'hook', agent: 'claude-code', session, turn: 'p' } as const;
  const events = () =>
    recorder.record([
      { ...event, kind: 'prompt', at: at(10).getTime(), text: 'go' },
      { ...event, kind: 'session_ended', at: at(50).getTime() },
    ]);
  await tell(60);
  await tell(0);
  const activity = { kind: 'metrics', at: at(120).getTime() };
  expect(await row()).toEqual([
    {
      ...{ agent: 'claude-code', started_at: at(0), last_seen_at: at(120), ended_at: null },
      activity,
    },
  ]);
  await events();
  const told = await row();
  expect(told).toMatchObject([{ started_at: at(10), last_seen_at: at(50), ended_at: at(50) }]);
  await tell(120);
  expect(await row()).toEqual(told);
  await db.clear();
  await events();
  await tell(0);
  expect(await row()).toEqual(told);
  expect((await opened()).work).toEqual(['3 commits']);
});

it('keeps of too many points always the same ones, and says that there were more', async () => {
  const points = Array.from({ length: 4_500 }, (_, at): Point => [
    'commit.count',
    at / 2,
    at / 2 + 0.5,
    1,
    { n: at },
  ]);
  const rows = [];
  for (const parts of [
    [points.slice(0, 3_000), points.slice(1_500)],
    [points.slice(1_500).toReversed(), points.slice(0, 1_500)],
  ]) {
    await forget();
    for (const part of parts) await send(metrics(delta, part), 'protobuf');
    await drain();
    expect((await opened()).work).toEqual(['at least', '4,000 commits']);
    rows.push(await kept());
  }
  expect(rows[1]).toEqual(rows[0]);
});

it('puts points aside where the role may not write their table, says what to grant, writes all else, and counts them once it may', async () => {
  const role = `reader_of_${db.test.name}`;
  const as = quoteIdent(role);
  await db.test.query(
    `CREATE ROLE ${as}; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ${as};
     GRANT USAGE ON SCHEMA trace_console TO ${as}; GRANT ALL ON ALL TABLES IN SCHEMA trace_console TO ${as};
     REVOKE ALL ON trace_console.agent_metrics FROM ${as}`,
  );
  const options = `options=${encodeURIComponent(`-c role=${role}`)}`;
  const url = `${db.test.url}${db.test.url.includes('?') ? '&' : '?'}${options}`;
  const source = resolveSource({ url, environment: {} });
  if (source.kind !== 'server') throw new Error('no server');
  const database = await Database.open(source);
  const other = new Recorder(database);
  const ids = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), name: 'POST /chat' };
  const spans = [{ ...ids, startTimeUnixNano: `${beganS}000000000` }];
  const trace = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
  const aside = async () => {
    const { rows } = await db.test.query<object>(
      `SELECT count(*)::int AS points, min(error) AS error FROM trace_console.quarantined_events`,
    );
    return rows[0];
  };
  await send(metrics(delta, intervals[1] ?? []), 'JSON');
  const sent = { method: 'POST', body: trace, headers: { 'content-type': 'application/json' } };
  await fetch(`http://127.0.0.1:${at.receiver.port}/v1/traces`, sent);
  await drain(database, other);
  expect(await db.count('execution_traces')).toBe(1);
  expect(await aside()).toEqual({
    points: 4,
    error: expect.stringContaining('INSERT and UPDATE on trace_console.agent_metrics') as string,
  });
  const requests = [jsonOf(metrics(delta, intervals[1] ?? [])), trace.replaceAll('aa', 'cc')];
  expect(await importLines(requests, { database, recorder: other })).toMatchObject({
    leftOut: { points: 4, problem: expect.stringContaining('Grant CREATE') as string },
    points: 0,
  });
  expect(await db.count('execution_traces')).toBe(2);
  await db.test.query('ALTER TABLE trace_console.agent_metrics RENAME TO of_the_next_version');
  await send(metrics(delta, intervals[0] ?? []), 'JSON');
  await drain(database, other);
  expect(await aside()).toMatchObject({ points: 8 });
  await db.test.query(
    `ALTER TABLE trace_console.of_the_next_version RENAME TO agent_metrics; GRANT ALL ON trace_console.agent_metrics TO ${as}`,
  );
  expect(await kept()).toEqual([]);
  // They stay there while it may not delete them, and nothing else waits for that.
  await db.test.query(`REVOKE DELETE ON trace_console.quarantined_events FROM ${as}`);
  await send(metrics(delta, intervals[1] ?? []), 'JSON');
  await drain(database, other);
  expect(await aside()).toMatchObject({ points: 8 });
  expect(await kept()).not.toEqual([]);
  await db.test.query(`GRANT DELETE ON trace_console.quarantined_events TO ${as}`);
  await send(metrics(delta, intervals[1] ?? []), 'JSON');
  await drain(database, other);
  expect(await aside()).toMatchObject({ points: 0 });
  // What was put aside before came with these.
  expect((await opened()).work).toEqual([
    'lines +120 −30, 2 commits, active 2m04s',
    'user 24.5s, agent 1m40s',
  ]);
  await database.close();
  await db.test.query(`DROP OWNED BY ${as}; DROP ROLE ${as}`);
});
