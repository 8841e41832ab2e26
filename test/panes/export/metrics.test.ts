import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openMetricsText } from '../../../src/core/format/open-metrics.js';
import { OtlpReceiver } from '../../../src/ingest/otlp/receiver.js';
import { readMetrics } from '../../../src/panes/export/metrics.js';
import { metricsUrl, sendMetricsEvery } from '../../../src/panes/export/send-metrics.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { readBySdk, withoutEmptyLists } from '../../helpers/otlp-schemas.js';
import { freePort } from '../../helpers/postgres-process.js';
import { openDatabase } from '../open.js';

let database: TestDatabase;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-metrics-'));

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(`
    INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, duration_ms, model,
        input_tokens, output_tokens, cost_usd)
      SELECT id, id, id, 'user_prompt', status, now() - age, ms, model, tokens, 1, cost FROM (VALUES
        (gen_random_uuid(), 'completed', interval '1 minute', 1000, 'm1', 10, 0.5),
        (gen_random_uuid(), 'failed', interval '2 minutes', 3000, 'm1', 20, 0.25),
        (gen_random_uuid(), 'completed', interval '2 days', 9000, 'm1', 40, 9),
        (gen_random_uuid(), 'completed', interval '100 days', 9000, NULL, NULL, NULL),
        (gen_random_uuid(), 'in_progress', interval '50 minutes', NULL, NULL, NULL, NULL))
        AS t (id, status, age, ms, model, tokens, cost);
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at, duration_ms)
      SELECT t.id, 'ToolUse', 'tool', 'tool-' || n, CASE WHEN n = 1 THEN 'failed' ELSE 'completed' END, now(), n * 10
      FROM (SELECT id FROM execution_traces LIMIT 1) AS t, generate_series(1, 30) AS n, generate_series(n, 30);
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at, duration_ms)
      SELECT id, 'PreToolUse', E'a "quoted"\\nname\\x1b[31m \\\\', 'completed', now(), 40 FROM execution_traces LIMIT 1;
    ANALYZE`);
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Lines of a metric, as OpenMetrics has them. */
const samplesOf = (text: string, name: string): string[] =>
  text.split('\n').filter((line) => line.startsWith(name) && /[{ ]/.test(line.charAt(name.length)));

/** Every line is one of the format, every sample stands under its own type, and there is an end. */
function expectOpenMetrics(text: string): void {
  const lines = text.split('\n');
  expect(lines.slice(-2)).toEqual(['# EOF', '']);
  const names = new Set<string>();
  const sampleLine =
    /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/;
  let family = '';
  for (const line of lines.slice(0, -2)) {
    const [, kind, name = ''] = /^# (TYPE|UNIT|HELP) ([a-z_]+) ./.exec(line) ?? [];
    if (kind === 'TYPE') {
      expect(names.has(name), name).toBe(false);
      names.add(name);
      family = name;
      continue;
    }
    if (kind === 'UNIT') expect(line).toMatch(/ (seconds|bytes)$/);
    if (kind !== undefined) expect(name).toBe(family);
    else
      expect(sampleLine.exec(line)?.[1] ?? line).toMatch(
        new RegExp(`^${family}(_bucket|_count|_sum|_total)?$`),
      );
  }
}

test('figures are those of the tables, in OpenMetrics; labels are bounded and have no control characters', async () => {
  const console_ = await openDatabase(database.url);
  const text = openMetricsText(await readMetrics(console_, { windowMs: 3_600_000, spool: folder }));
  expectOpenMetrics(text);
  expect(samplesOf(text, 'trace_console_traces')).toEqual([
    'trace_console_traces{status="completed"} 3',
    'trace_console_traces{status="failed"} 1',
    'trace_console_traces{status="in_progress"} 1',
  ]);
  expect(samplesOf(text, 'trace_console_stuck_traces')).toEqual(['trace_console_stuck_traces 1']);
  expect(samplesOf(text, 'trace_console_tokens').slice(0, 2)).toEqual([
    'trace_console_tokens{model="m1",type="input"} 30',
    'trace_console_tokens{model="m1",type="output"} 2',
  ]);
  expect(samplesOf(text, 'trace_console_cost_usd')).toEqual([
    'trace_console_cost_usd{model="m1"} 0.75',
  ]);
  const buckets = samplesOf(text, 'trace_console_trace_duration_seconds_bucket');
  // A second is within the bucket of one second.
  expect(
    buckets
      .filter((line) => /le="(0.5|1.0|2.5|5.0|\+Inf)"/.test(line))
      .map((line) => line.split(' ')[1]),
  ).toEqual(['0', '1', '1', '2', '2']);
  expect(samplesOf(text, 'trace_console_trace_duration_seconds_sum')).toEqual([
    'trace_console_trace_duration_seconds_sum{source="user_prompt"} 4',
  ]);
  const tools = samplesOf(text, 'trace_console_tool_duration_seconds_count');
  expect(tools).toHaveLength(21);
  expect(tools[0]).toBe('trace_console_tool_duration_seconds_count{tool="other"} 55');
  expect(samplesOf(text, 'trace_console_tool_failures')).toContain(
    'trace_console_tool_failures{tool="tool-1"} 30',
  );
  expect(samplesOf(text, 'trace_console_hook_duration_seconds_count')).toEqual([
    String.raw`trace_console_hook_duration_seconds_count{hook="a \"quoted\"\nname \\"} 1`,
  ]);
  expect(samplesOf(text, 'trace_console_retention_due_traces')).toEqual([
    'trace_console_retention_due_traces{policy="recommended"} 1',
  ]);
  expect(samplesOf(text, 'trace_console_table_rows')).toContain(
    'trace_console_table_rows{table="execution_traces"} 5',
  );
  expect(samplesOf(text, 'trace_console_index_size_bytes').length).toBeGreaterThan(60);
  expect(samplesOf(text, 'trace_console_spool_size_bytes')).toEqual([
    'trace_console_spool_size_bytes 0',
  ]);
  expect(samplesOf(text, 'trace_console_scrape_errors')).toEqual(['trace_console_scrape_errors 0']);
});

test('a deployment with fewer columns has fewer of them', async () => {
  const older = await createTestDatabase({ schema: false });
  await older.query(
    `CREATE TABLE execution_traces (id uuid PRIMARY KEY, status text, started_at timestamptz DEFAULT now());
     INSERT INTO execution_traces VALUES (gen_random_uuid(), 'completed')`,
  );
  const console_ = await openDatabase(older.url);
  const text = openMetricsText(await readMetrics(console_, { windowMs: 60_000 }));
  expectOpenMetrics(text);
  expect(samplesOf(text, 'trace_console_traces')).toHaveLength(1);
  expect(samplesOf(text, 'trace_console_scrape_errors')).toEqual(['trace_console_scrape_errors 0']);
});

test('the command prints them, and sends them to whoever takes OTLP', async () => {
  const receiver = await OtlpReceiver.open({
    host: '127.0.0.1',
    port: 0,
    folder,
    token: 'secret',
    metrics: () => Promise.resolve({ type: 'text/plain', text: 'shown' }),
  });
  try {
    const env = {
      TRACE_CONSOLE_SPOOL: folder,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20secret',
    };
    const printed = await runCli(['metrics', '--url', database.url, '--window', '15m'], { env });
    expectOpenMetrics(printed.stdout);
    const base = `http://127.0.0.1:${receiver.port}`;
    // A collector of the console takes no metrics, and says so.
    const json = await runCli(['metrics', '--url', database.url, '--json'], { env });
    expect(JSON.parse(json.stdout)).toMatchObject({
      windowSeconds: 3_600,
      metrics: expect.arrayContaining([
        expect.objectContaining({
          name: 'trace_console_traces',
          type: 'gauge',
          samples: expect.arrayContaining([{ labels: { status: 'failed' }, value: 1 }]) as unknown,
        }),
      ]) as unknown,
    });
    const left = await runCli(['metrics', '--url', database.url, '--to', base], { env });
    expect(left).toMatchObject({ exitCode: 1, stdout: '' });
    expect(left.stderr).toMatch(
      /did not take (\d+) of \1 data points: not stored: of metrics only/,
    );
    const { port, requests } = await takeRequests(
      () => 200,
      () => answers.shift(),
    );
    const answers = [
      '',
      '{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old\\u001b[2J"}}',
      '{"partialSuccess":{"errorMessage":"deprecated"}}',
    ];
    const send = () =>
      runCli(['metrics', '--url', database.url, '--to', `http://127.0.0.1:${port}`], { env });
    expect(await send()).toMatchObject({ exitCode: 0, stdout: '' });
    const partly = await send();
    expect(partly.exitCode).toBe(1);
    expect(partly.stderr).toMatch(/did not take 3 of \d+ data points: too old/);
    expect(partly.stderr).not.toContain('\u001b[2J');
    expect(await send()).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('says: deprecated') as string,
    });
    expect(requests).toHaveLength(3);
    const refused = await runCli(['metrics', '--url', database.url, '--to', base]);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('status 401');
    const headers = { authorization: 'Bearer secret' };
    const shown = await fetch(`${base}/metrics`, { headers });
    expect([shown.status, shown.headers.get('content-type'), await shown.text()]).toEqual([
      200,
      'text/plain',
      'shown',
    ]);
    expect((await fetch(`${base}/metrics`)).status).toBe(401);
  } finally {
    await receiver.close();
  }
});

type Sent = { authorization: string | undefined; body: string };

/** Takes requests, and answers them with a status. */
async function takeRequests(status: () => number, answer: () => string | undefined = () => '') {
  const requests: Sent[] = [];
  const server = http.createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { authorization } = request.headers;
      requests.push({ authorization, body: Buffer.concat(parts).toString() });
      response.writeHead(status()).end(answer() ?? '');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { requests, port: (server.address() as AddressInfo).port };
}

/** What a request has of a name, as the SDK reads it. */
function readMetric(sent: Sent | undefined, name: string): unknown {
  const body = sent?.body ?? '{}';
  const read = readBySdk('metrics', body) as {
    resourceMetrics: { scopeMetrics: { metrics: { name: string }[] }[] }[];
  };
  expect(read).toEqual(withoutEmptyLists(body));
  return read.resourceMetrics[0]?.scopeMetrics[0]?.metrics.find((metric) => metric.name === name);
}

test('metrics that nobody takes are told of once, and sent again and again all the same', async () => {
  let status = 503;
  const { requests, port } = await takeRequests(() => status);
  const said: string[] = [];
  const console_ = await openDatabase(database.url);
  const stop = sendMetricsEvery(
    50,
    metricsUrl(`http://127.0.0.1:${port}/base`, '--metrics-to'),
    async () => ({
      metrics: await readMetrics(console_, { windowMs: 60_000 }),
      windowMs: 60_000,
    }),
    (problem) => said.push(problem),
  );
  try {
    await vi.waitFor(() => expect(requests.length).toBeGreaterThan(2), 50_000);
    expect(said).toEqual([expect.stringContaining('status 503')]);
    status = 200;
    requests.length = 0;
    await vi.waitFor(() => expect(requests.length).toBeGreaterThan(1), 50_000);
    expect(readMetric(requests[0], 'trace_console_traces')).toBeDefined();
  } finally {
    stop();
  }
});

test('a collector sends them at its intervals, and serves them', async () => {
  const home = path.join(folder, 'collecting');
  fs.mkdirSync(home);
  const { requests, port: receiver } = await takeRequests(() => 200);
  const port = await freePort();
  const env = {
    HOME: home,
    XDG_STATE_HOME: home,
    DATABASE_URL: database.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20secret',
  };
  const listen = ['--listen', `127.0.0.1:${port}`];
  const send = ['--metrics-to', `http://127.0.0.1:${receiver}`, '--metrics-every', '10s'];
  let child: ChildProcess | undefined;
  const ended = runCli(['collect', ...listen, ...send], {
    env,
    onStart: (started) => (child = started),
  });
  try {
    // The database is there when the first ones have come.
    await vi.waitFor(() => expect(requests.length).toBeGreaterThan(1), 120_000);
    const served = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(served.headers.get('content-type')).toMatch(/^application\/openmetrics-text/);
    const text = await served.text();
    expectOpenMetrics(text);
    expect(samplesOf(text, 'trace_console_scrape_errors')).toEqual([
      'trace_console_scrape_errors 0',
    ]);
    for (const sent of requests) {
      expect(sent.authorization).toBe('Bearer secret');
      expect(readMetric(sent, 'trace_console_traces')).toMatchObject({
        gauge: { dataPoints: expect.any(Array) as unknown[] },
      });
    }
  } finally {
    child?.kill('SIGTERM');
  }
  expect(await ended).toMatchObject({ exitCode: 0 });
}, 200_000);

test('an address, an interval or a certificate that cannot be used is refused', async () => {
  const env = { HOME: folder, XDG_STATE_HOME: folder, DATABASE_URL: database.url };
  for (const args of [
    ['--metrics-to', 'nowhere'],
    ['--metrics-to', 'http://127.0.0.1', '--metrics-every', '1s'],
    ['--listen', '127.0.0.1:0', '--tls-cert', 'a.pem'],
  ]) {
    expect(await runCli(['collect', ...args], { env })).toMatchObject({ exitCode: 2 });
  }
});
