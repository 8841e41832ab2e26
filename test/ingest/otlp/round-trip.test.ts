import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { importTelemetry } from '../../../src/ingest/otlp/import-files.js';
import { sessionId } from '../../../src/ingest/ids.js';
import { Prices } from '../../../src/ingest/prices.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import { hasOtlpTag } from '../../../src/core/tables.js';
import { hashEmbedder } from '../../../src/learning/embedding/embedder.js';
import { tools } from '../../../src/learning/mcp/tools.js';
import { traceOfPrefixOpening } from '../../../src/panes/trace/traces-listed.js';
import { runCli } from '../../helpers/cli.js';
import { readBySdk, withoutEmptyLists } from '../../helpers/otlp-schemas.js';
import { detailAccess } from '../../panes/open.js';
import { type Dump, IngestDatabase } from '../ingest-database.js';
import { sendTrace } from './genai-trace.js';

/** What `export otlp` prints, read by `import otlp`: into the database that it is of, and into an empty one. */

let db: IngestDatabase;
let recorder: Recorder;
/** What the SDK sent, what the database held then, and what was exported of it. */
let sent: string;
let whole: Dump;
let text: string;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-round-trip-'));
beforeAll(async () => {
  db = await IngestDatabase.create();
  recorder = new Recorder(db.database, { prices: new Prices() });
  sent = await sentBySdk('conversation-9');
  await importText(sent);
  await db.test.query(writtenBySql);
  whole = await db.dump();
  text = await exported(...all);
});
afterAll(async () => {
  await db.close();
  fs.rmSync(folder, { recursive: true, force: true });
});
beforeEach(forgetSpans);

/** Rows with every column, some of which no telemetry has; a big number, and a tree that is two traces deep. */
const writtenBySql = `
  WITH root AS (
    INSERT INTO execution_traces (correlation_id, root_id, session_id, user_id, project, source, prompt_text, status, model,
      input_tokens, cost_usd, context, tags, started_at, duration_ms)
    SELECT id, id, gen_random_uuid(), 'ada', 'shop', 'user_prompt', repeat('why? ', 1000), 'completed', 'm', 9007199254740993,
      0.0421, '{"intent": "debug", "deep": {"list": [1, 2.50, null]}}', '{nightly,"a b"}', now() - interval '1 h', 1234
    FROM gen_random_uuid() AS id RETURNING id, correlation_id, session_id
  ), child AS (
    INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, status, error_type, error_message)
    SELECT gen_random_uuid(), correlation_id, correlation_id, session_id, 'agent_delegation', 'failed', 'Broken', 'so it is'
    FROM root RETURNING id
  ), hook AS (
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, execution_order, status, input_data, output_data,
      error_stack, metadata, duration_ms)
    SELECT id, 'PreToolUse', 'guard', 'Bash', 3, 'completed', '{"command": "ls"}', '["a", {"b": null}]', 'at x', '{"k": 1}', 5
    FROM root RETURNING id, trace_id
  ), decision AS (
    INSERT INTO agent_routing_decisions (trace_id, query_text, agent_selected, confidence_score, confidence_breakdown,
      routing_strategy, alternatives, cache_hit)
    SELECT id, 'why?', 'debugger', 0.875, '{"trigger": 0.5}', 'learned_pattern', '[{"agent": "b"}]', true FROM child
  )
  INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method, headers, request_body,
    status_code, duration_ms)
  SELECT trace_id, id, 'search', 'http://search/q', 'POST', '{"x": "y"}', '{"q": "z"}', 503, 7 FROM hook`;

async function sentBySdk(conversation: string): Promise<string> {
  const memory = new InMemorySpanExporter();
  // It would forget them.
  memory.shutdown = () => Promise.resolve();
  await sendTrace(memory, conversation);
  const bytes = JsonTraceSerializer.serializeRequest(memory.getFinishedSpans());
  return Buffer.from(bytes ?? []).toString();
}

async function importText(text: string) {
  const file = path.join(folder, 'traces.jsonl');
  fs.writeFileSync(file, text);
  const { signal } = new AbortController();
  return importTelemetry([file], { database: db.database, recorder, signal });
}

const exported = async (...args: string[]) => {
  const { stdout, exitCode } = await runCli([...args, '--url', db.test.url]);
  expect(exitCode).toBe(0);
  return stdout;
};
const all = ['export', 'otlp', '--since', '4000d'];

/** As an hour later. */
async function forgetSpans() {
  await db.test.query('DELETE FROM trace_console.telemetry_spans');
}

const sessions = () =>
  db.test.query('SELECT session_id, agent, session, project FROM trace_console.agent_sessions');

const nothing = {
  execution_traces: 0,
  agent_routing_decisions: 0,
  hook_executions: 0,
  endpoint_calls: 0,
};

it('changes nothing in the database that it is of, and writes the same rows into an empty one', async () => {
  expect(whole.execution_traces).toHaveLength(4);
  const { rows: known } = await sessions();
  const lines = text.trim().split('\n');
  expect(lines.map((line) => readBySdk('traces', line))).toEqual(lines.map(withoutEmptyLists));
  const onto = await importText(text);
  expect(onto.written.rows).toEqual(nothing);
  expect(onto.written.unchanged).toBeGreaterThan(10);
  expect((await importText(text)).written).toEqual(onto.written);
  expect(await db.dump()).toEqual(whole);
  await forgetSpans();
  await db.clear();
  await importText(text);
  expect(await db.dump()).toEqual(whole);
  expect((await sessions()).rows).toEqual(known);
  // What the service sends again meets what it has sent.
  await forgetSpans();
  await importText(sent);
  expect(await db.dump()).toEqual(whole);
});

const spansOf = (line: string) =>
  (JSON.parse(line) as Request).resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans as { traceId: string }[]),
  );

type Request = { resourceSpans: { scopeSpans: { spans: object[] }[] }[] };

it('writes the same rows when each span comes in a request of its own, children first', async () => {
  await db.clear();
  const requests = text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [resource] = (JSON.parse(line) as Request).resourceSpans;
      const spans = resource?.scopeSpans[0]?.spans ?? [];
      return spans.map((span) =>
        JSON.stringify({ resourceSpans: [{ ...resource, scopeSpans: [{ spans: [span] }] }] }),
      );
    });
  for (const one of requests.toReversed()) await importText(`${one}\n`);
  expect(await db.dump()).toEqual(whole);
});

it('knows the traces of an export from before rows were in it, and takes it in once where they are not', async () => {
  const old = text
    .replaceAll(/,?\{"key":"trace_console\.row","value":\{"stringValue":"(?:[^"\\]|\\.)*"\}\}/g, '')
    .replaceAll('[,', '[');
  expect(old).not.toContain('trace_console.row');
  expect((await importText(old)).written.rows).toEqual(nothing);
  await forgetSpans();
  expect(await db.dump()).toEqual(whole);
  await db.clear();
  expect((await importText(old)).written.rows.execution_traces).toBeGreaterThanOrEqual(2);
  await forgetSpans();
  const elsewhere = await db.dump();
  expect((await importText(old)).written.rows).toEqual(nothing);
  expect(await db.dump()).toEqual(elsewhere);
  await forgetSpans();
  await db.clear();
  await importText(text);
});

it.each([
  ['export otlp --brief', () => [...all, '--brief']],
  ['trace --otlp', (id: string) => ['trace', id, '--otlp']],
])(
  'carries with %s what the screen shows of a tree, and changes nothing here',
  async (_, words) => {
    const { rows } = await db.test.query<{ id: string }>(
      `SELECT correlation_id AS id FROM execution_traces WHERE parent_id IS NULL AND user_id = 'ada'`,
    );
    const id = rows[0]?.id ?? '';
    const brief = await exported(...words(id));
    expect(brief).not.toContain('"at x"');
    expect((await importText(brief)).written.rows).toEqual(nothing);
    await forgetSpans();
    await db.clear();
    const { written } = await importText(brief);
    expect(written.rows.execution_traces).toBeGreaterThanOrEqual(2);
    const tree = await exported('trace', id);
    expect(tree).toMatch(/debugger 88%[\s\S]*POST search 503/);
    await forgetSpans();
    await db.clear();
    await importText(text);
  },
);

async function traceBy(id: string) {
  const access = await detailAccess(db.database);
  const opened = await traceOfPrefixOpening(id.replaceAll('-', '')).read(access);
  return opened.kind === 'trace' ? opened.tree.asked.event : opened;
}

async function getTrace(id: string) {
  const context = { database: db.database, embedder: hashEmbedder() };
  return tools.find(({ name }) => name === 'get_trace')?.run(context, { id, limit: 1 });
}

it('finds a trace by the trace id of its sender: by trace, the console, traces and the tool of MCP', async () => {
  const [span] = spansOf(sent);
  const otlp = span?.traceId ?? '';
  const { rows } = await db.test.query<{ id: string; tags: string[] }>(
    `SELECT correlation_id AS id, tags FROM execution_traces WHERE prompt_text = 'Which orders are late?'`,
  );
  const { id = '', tags = [] } = rows[0] ?? {};
  expect(tags).toEqual([`otlp:${otlp}`]);
  for (const name of [otlp, otlp.toUpperCase(), otlp.slice(0, 9)]) {
    expect(await traceBy(name.toLowerCase())).toMatchObject({ correlationId: id, archived: false });
    expect(await exported('trace', name)).toContain(`trace ${id}, completed`);
  }
  expect(await exported('trace', id)).toContain(`OpenTelemetry trace ${otlp}`);
  const listed = await exported('traces', '--since', '4000d', '--where', `tag:${otlp}`, '--json');
  expect(JSON.parse(listed)).toMatchObject({ total: 1, traces: [{ correlation_id: id }] });
  expect(await getTrace(otlp)).toMatchObject({ events: [{ kind: 'trace', trace: id, tags }] });
  // The plan of a table with rows enough: no table is read as a whole.
  await db.test.query('SET enable_seqscan = off');
  const plan = await db.test.query(
    `EXPLAIN SELECT id FROM execution_traces WHERE ${hasOtlpTag(`'${otlp}'::uuid`)}`,
  );
  expect(JSON.stringify(plan.rows)).toContain('idx_execution_traces_tags');
});

it('leaves what was archived in the archive', async () => {
  await db.test.query(`SELECT archive_traces(interval '1 minute')`);
  await db.test.query(`SELECT archive_traces(interval '1 minute')`);
  const before = await db.count('execution_traces_archive');
  expect(before).toBeGreaterThan(0);
  const live = await db.dump();
  expect((await importText(text)).written.rows).toEqual(nothing);
  expect(await db.dump()).toEqual(live);
});

it('finds an archived trace by the trace id of its sender, whole or its beginning, and brings it back by it', async () => {
  const [span] = spansOf(sent);
  const otlp = span?.traceId ?? '';
  const { rows } = await db.test.query<{ id: string }>(
    `SELECT correlation_id AS id FROM execution_traces_archive WHERE prompt_text = 'Which orders are late?'`,
  );
  const { id = '' } = rows[0] ?? {};
  for (const name of [otlp, otlp.slice(0, 9), id.slice(0, 9)]) {
    expect(await exported('trace', name)).toMatch(new RegExp(`^trace ${id}.* archived`));
    expect(await traceBy(name)).toMatchObject({ correlationId: id, archived: true });
  }
  expect(await getTrace(otlp)).toMatchObject({ archived: true, events: [{ trace: id }] });
  expect(await exported('archive', 'restore', otlp, '--yes')).toContain('Restored 1 tree');
  expect(await traceBy(otlp)).toMatchObject({ correlationId: id, archived: false });
});

it('exports the traces with given ids or beginnings of them, each tree once', async () => {
  await db.clear();
  await db.test.query(writtenBySql);
  const { rows } = await db.test.query<{ id: string }>(
    'SELECT correlation_id AS id FROM execution_traces ORDER BY parent_id NULLS FIRST',
  );
  const [root, child] = rows.map(({ id }) => id);
  if (root === undefined || child === undefined) throw new Error('no traces');
  const lines = (await exported('export', 'otlp', child, root.slice(0, 12))).trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(`"traceId":"${root.replaceAll('-', '')}"`);
  for (const [ids, code, says] of [
    [[root, '00000000-0000-4000-8000-000000000000'], 1, 'There is no trace 00000000'],
    [['no-id'], 2, 'is no id of a trace'],
    [[root, '--since', '1d'], 2, 'Either ids of traces'],
  ] as const) {
    const refused = await runCli(['export', 'otlp', ...ids, '--url', db.test.url]);
    expect(refused.exitCode).toBe(code);
    expect(refused.stderr).toContain(says);
    expect(refused.stdout).toBe('');
  }
});

it.each<[what: string, content: string | Buffer, reason: string]>([
  ['text', 'notes\nof mine\n', 'none of its lines'],
  ['a picture', '<svg xmlns="http://www.w3.org/2000/svg"/>\n', 'none of its lines'],
  ['bytes', Buffer.from([0, 1, 2, 250, 251, 7]), 'no request in protobuf'],
  ['another JSON', '{"a":1}\n', 'none of its lines'],
  ['a request that was cut off', '{"resourceSpans":[{"scopeSp', 'no whole request'],
  ['what is packed', zlib.gzipSync('{"resourceSpans":[]}'), 'gzip'],
  ['nothing', '', 'empty'],
])(
  'says of a file of %s that it is no OTLP, and imports the others',
  async (_, content, reason) => {
    const [file, good] = ['no-otlp', 'good.jsonl'].map((name) => path.join(folder, name)) as [
      string,
      string,
    ];
    fs.writeFileSync(file, content);
    fs.writeFileSync(good, '{"resourceSpans":[]}\n\nno request\n{"resourceSpans":[]}\n');
    const { signal } = new AbortController();
    const run = (files: string[]) =>
      importTelemetry(files, { database: db.database, recorder, signal });
    expect(await run([file, good])).toMatchObject({
      ...{ files: 1, requests: 2, skippedLines: 1 },
      skipped: [{ path: good, lines: 1, first: 3 }],
      unreadable: [{ path: file, reason: expect.stringContaining(reason) as string }],
    });
  },
);

it('import otlp ends with an error where nothing of a file is OTLP', async () => {
  const file = path.join(folder, 'notes.txt');
  fs.writeFileSync(file, 'notes\n');
  const run = (...args: string[]) =>
    runCli(['import', 'otlp', file, '--dry-run', ...args, '--url', db.test.url]);
  const refused = await run();
  expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
  expect(refused.stderr).toMatch(
    /notes\.txt is no OTLP: none of its lines is a request[\s\S]*protobuf/,
  );
  const json = await run('--json');
  expect(json.exitCode).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ files: 0, unreadable: [{ path: file }] });
});

it('export otlp takes the name of a session, and says on stderr where nothing is selected', async () => {
  const exporting = (...args: string[]) => runCli([...all, ...args, '--url', db.test.url]);
  await db.clear();
  await importText(sent);
  for (const name of ['conversation-9', sessionId('conversation-9').slice(0, 6)]) {
    const { stdout, exitCode } = await exporting('--session', name);
    expect([exitCode, stdout.trim().split('\n').length]).toEqual([0, 1]);
    expect(stdout).toContain('"traceId"');
  }
  expect(await exported('traces', '--session', 'conversation-9')).toContain('2 traces');
  const unknown = await exporting('--session', 'conversation-8');
  expect(unknown).toMatchObject({ exitCode: 1, stdout: '' });
  expect(unknown.stderr).toContain(
    'there is no session "conversation-8"; did you mean conversation-9?',
  );
  const [{ project }] = (await sessions()).rows as [{ project: string }];
  const none = await exporting('--project', `${project}x`);
  expect(none).toMatchObject({ exitCode: 0, stdout: '' });
  expect(none.stderr).toContain(`there is no project "${project}x"; did you mean ${project}?`);
});
