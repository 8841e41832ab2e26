import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { runDemo } from '../../../src/demo/run.js';
import { ConsoleError } from '../../../src/db/errors.js';
import { endpointEmbedder } from '../../../src/learning/embedding/choose.js';
import { type Embedder, hashEmbedder } from '../../../src/learning/embedding/embedder.js';
import { watch } from '../../../src/learning/learner/learn.js';
import { runAction } from '../../../src/maintenance/registry.js';
import { closeDatabases, day, noon, openDatabase } from '../../demo/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase } from '../../helpers/database.js';

afterAll(closeDatabases);

/** Another turn of the pattern that has the most: the request that its group began with, by its agent. */
const oneMore = `
WITH most AS (
  SELECT c.request, p.agent_sequence[1] AS agent, gen_random_uuid() AS id FROM success_patterns AS p
  JOIN trace_console.prompt_clusters AS c ON c.cluster = split_part(p.pattern_hash, ':', 2)
  WHERE 'learned' = ANY (p.tags) ORDER BY p.total_usage_count DESC, p.id LIMIT 1),
trace AS (
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status, started_at, completed_at)
  SELECT id, id, id, 'user_prompt', request, 'completed', now(), now() FROM most RETURNING id)
INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
SELECT trace.id, most.agent, 0.9, 'explicit' FROM trace, most`;

test('a learner that writes its patterns more than once counts each turn once', async () => {
  const test = await createTestDatabase();
  const database = await openDatabase(test);
  await runDemo(database, { seed: 7, start: noon, backfillMs: 40 * day, traces: 300 });
  const stop = new AbortController();
  let looks = 0;
  const options = { embedder: hashEmbedder(), everyMs: 10, signal: stop.signal };
  for await (const look of watch(database, options)) {
    if ('phase' in look) continue;
    expect(look).toMatchObject({ turns: expect.any(Number) as number });
    looks += 1;
    if (looks < 3) await test.query(oneMore);
    else stop.abort();
  }
  const { rows } = await test.query<{ learned: object; counted: object }>(
    `SELECT jsonb_agg(jsonb_build_array(p.pattern_hash, p.success_count, p.failure_count) ORDER BY p.pattern_hash) AS learned,
       jsonb_agg(jsonb_build_array(p.pattern_hash, l.good, l.bad) ORDER BY p.pattern_hash) AS counted
     FROM success_patterns AS p CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE is_good) AS good, count(*) FILTER (WHERE NOT is_good) AS bad
       FROM trace_console.learned_traces WHERE pattern_key = p.pattern_hash) AS l
     WHERE 'learned' = ANY (p.tags)`,
  );
  expect(rows[0]?.learned).toEqual(rows[0]?.counted);
});

test('a learner waits for a server that ends its connections, and counts each turn once', async () => {
  const test = await createTestDatabase();
  const database = await openDatabase(test);
  await runDemo(database, { seed: 7, start: noon, backfillMs: 40 * day, traces: 100 });
  const stop = new AbortController();
  let cut = 0;
  const embedder: Embedder = {
    ...hashEmbedder(),
    // Between what a batch reads and what it writes.
    async embed(texts) {
      if ((cut += 1) <= 2) {
        await test.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()`,
        );
        throw new ConsoleError('connection_lost', 'The connection broke.');
      }
      return hashEmbedder().embed(texts);
    },
  };
  const said: string[] = [];
  for await (const look of watch(database, { embedder, everyMs: 10, signal: stop.signal })) {
    if ('phase' in look) said.push(look.phase);
    else stop.abort();
  }
  expect(said).toContain('waiting: The connection broke.');
  const { rows } = await test.query(
    `SELECT (SELECT count(*) FROM trace_console.learned_traces) = count(*) AS whole FROM execution_traces
     WHERE root_id = correlation_id AND status <> 'in_progress'`,
  );
  expect(rows).toEqual([{ whole: true }]);
});

test('a learner that an endpoint asks to wait says until when, and does not ask before', async () => {
  const test = await createTestDatabase();
  const database = await openDatabase(test);
  await runDemo(database, { seed: 7, start: noon, backfillMs: 40 * day, traces: 100 });
  const stop = new AbortController();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    request.resume().on('end', () => response.writeHead(429, { 'retry-after': '61' }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const embedder = endpointEmbedder({ url: `http://127.0.0.1:${port}/v1`, model: 'full' });
  for await (const look of watch(database, { embedder, everyMs: 10, signal: stop.signal })) {
    if ('phase' in look && look.phase.startsWith('waiting')) {
      expect(look.phase).toMatch(/answered 429 and asks to wait 1m01s, until .* UTC\.$/);
      // Ten times as long as it would wait for a server that says nothing.
      setTimeout(() => stop.abort(), 200);
    }
  }
  expect(asked).toHaveLength(1);
});

test('the action, and a calibration, say what they wait for and how long', async () => {
  const test = await createTestDatabase();
  const database = await openDatabase(test);
  await runDemo(database, { seed: 7, start: noon, backfillMs: 40 * day, traces: 100 });
  let refused = 0;
  const vector = [1, ...Array.from({ length: 1_535 }, () => 0)];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      if (refused < 1) {
        refused += 1;
        response.writeHead(429, { 'retry-after': '1' }).end();
        return;
      }
      const { input } = JSON.parse(body) as { input: string[] };
      const data = input.map((_, index) => ({ index, embedding: vector }));
      response.end(JSON.stringify({ data, usage: { prompt_tokens: 1 } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  vi.stubEnv('TRACE_CONSOLE_EMBEDDING', `http://127.0.0.1:${port}/v1`);
  vi.stubEnv('TRACE_CONSOLE_EMBEDDING_MODEL', 'busy');
  onTestFinished(() => void vi.unstubAllEnvs());
  const said = /^\S+ answered 429: asked again in 1\.00s$/;
  const phases: string[] = [];
  const learning = runAction('learn', { database, signal: new AbortController().signal }, {});
  let event = await learning.next();
  for (; !event.done; event = await learning.next()) phases.push(event.value.phase);
  expect(phases.filter((phase) => said.test(phase))).toHaveLength(1);
  expect(event.value.summary).toMatch(/^Learned from \d+ turns/);
  refused = 0;
  const { stderr } = await runCli(['learn', 'calibrate', '--dry-run', '--url', test.url], {
    env: {
      TRACE_CONSOLE_EMBEDDING: `http://127.0.0.1:${port}/v1`,
      TRACE_CONSOLE_EMBEDDING_MODEL: 'busy',
    },
  });
  expect(stderr).toMatch(/^\S+ answered 429: asked again in 1\.00s$/m);
});
