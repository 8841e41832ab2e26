import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Tracer, TracerOptions, WriterProblem } from '../../../src/ingest/writer/index.js';
import { IngestDatabase } from '../ingest-database.js';
import { openTracer } from './open-tracer.js';

let there: IngestDatabase;
let tracer: Tracer;
const problems: WriterProblem[] = [];

const open = (options: TracerOptions = {}) =>
  openTracer({ url: there.test.url, ...options }, problems);

beforeAll(async () => {
  there = await IngestDatabase.create();
});

beforeEach(() => {
  problems.length = 0;
  tracer = open();
});

afterEach(async () => {
  // What it still has to write are not rows of the next test.
  await tracer.close();
  await there.clear();
});

afterAll(async () => {
  await there.close();
});

const rows = async <Row extends Record<string, unknown>>(sql: string): Promise<Row[]> =>
  (await there.test.query<Row>(sql)).rows;

const traces = (columns: string) =>
  rows(`SELECT ${columns} FROM execution_traces ORDER BY started_at, id`);

describe('what a service does', () => {
  test('becomes rows: traces in traces, decisions, hooks, calls within hooks, calls of models, uses of patterns', async () => {
    const [pattern] = await rows<{ id: string }>(
      `INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES (gen_random_uuid()::text, 'x') RETURNING id`,
    );
    const answer = await tracer.trace(
      {
        prompt: 'Refund order 7',
        session: 'chat 1',
        userId: 'u1',
        tags: ['refund'],
        context: JSON.parse('{"order":7,"__proto__":{"a":1},"constructor":"x"}') as Record<
          string,
          unknown
        >,
      },
      async (trace) => {
        tracer
          .route({
            agent: 'refunds',
            confidence: 0.9,
            strategy: 'explicit',
            reason: 'asked for',
            breakdown: { trigger: 1 },
          })
          .outcome(true);
        await tracer.trace({ prompt: 'look it up' }, async () => {
          await tracer.hook(
            { tool: 'search', toolUseId: 'use-1', input: { token: 'sk-1234567890abcdefghij' } },
            async (hook) => {
              await tracer.call({ service: 'orders', url: 'https://orders/7' }, async (call) => {
                await Promise.resolve();
                call.set({ statusCode: 404 });
              });
              hook.set({ output: { found: false }, decision: 'allow' });
            },
          );
        });
        tracer.modelCall({ provider: 'anthropic', model: 'm1' }, (call) =>
          call.set({
            tokens: { input: 10, output: 5, cacheRead: 3 },
            costUsd: 0.25,
            requestId: 'r1',
          }),
        );
        tracer.patternUsed({ patternId: pattern?.id ?? '', outcome: 'success', matchScore: 0.8 });
        expect(tracer.current()).toBe(trace);
        return 42;
      },
    );
    expect(answer).toBe(42);
    expect(tracer.current()).toBeUndefined();
    expect(await tracer.flush()).toBe(true);
    expect(tracer.stats()).toMatchObject({ queued: 0, dropped: 0, refused: 0 });
    expect(
      await traces(
        `prompt_text, source, status, success, project, user_id, tags, model, input_tokens::int, output_tokens::int,
         cost_usd::float8, parent_id IS NULL AS is_root,
         root_id = (SELECT correlation_id FROM execution_traces WHERE parent_id IS NULL) AS in_tree,
         session_id = (SELECT session_id FROM execution_traces WHERE parent_id IS NULL) AS in_session,
         duration_ms IS NOT NULL AS has_ended`,
      ),
    ).toMatchObject([
      {
        prompt_text: 'Refund order 7',
        source: 'user_prompt',
        status: 'completed',
        success: true,
        project: 'shop',
        user_id: 'u1',
        tags: ['refund'],
        model: 'm1',
        input_tokens: 10,
        output_tokens: 5,
        cost_usd: 0.25,
        is_root: true,
        in_tree: true,
        has_ended: true,
      },
      { source: 'agent_delegation', is_root: false, in_tree: true, in_session: true, model: null },
    ]);
    const told =
      '{"order":7,"__proto__":{"a":1},"constructor":"x","session":"chat 1","cost":{"source":"reported"}}';
    expect(
      await rows(
        `SELECT context - 'agent' = '${told}' AS is_told FROM execution_traces WHERE parent_id IS NULL`,
      ),
    ).toEqual([{ is_told: true }]);
    expect(
      await rows(
        'SELECT agent_selected, confidence_score::float8 AS score, actual_success FROM agent_routing_decisions',
      ),
    ).toEqual([{ agent_selected: 'refunds', score: 0.9, actual_success: true }]);
    expect(
      await rows(
        `SELECT hook_type, hook_name, tool_name, tool_use_id, status, decision, input_data, output_data FROM hook_executions`,
      ),
    ).toEqual([
      {
        hook_type: 'ToolUse',
        hook_name: 'tool',
        tool_name: 'search',
        tool_use_id: 'use-1',
        status: 'completed',
        decision: 'allow',
        input_data: { token: '[redacted]' },
        output_data: { found: false },
      },
    ]);
    expect(
      await rows(
        `SELECT service_name, status_code, success, hook_execution_id IS NOT NULL AS in_hook, context -> 'usage' ->> 'cacheRead' AS read
         FROM endpoint_calls ORDER BY started_at`,
      ),
    ).toEqual([
      { service_name: 'orders', status_code: 404, success: false, in_hook: true, read: null },
      { service_name: 'anthropic', status_code: 200, success: true, in_hook: false, read: '3' },
    ]);
    expect(
      await rows(
        `SELECT p.success_count, p.total_usage_count, l.outcome, l.trace_id = l.correlation_id AS is_linked
         FROM success_patterns AS p JOIN pattern_usage_log AS l ON l.pattern_id = p.id`,
      ),
    ).toEqual([{ success_count: 1, total_usage_count: 1, outcome: 'success', is_linked: true }]);
  });

  test('is there while it goes on, and its error when it fails; what the body throws comes out', async () => {
    const trace = tracer.startTrace('long');
    const hook = trace.run(() => tracer.startHook({ tool: 'Bash' }));
    await vi.waitFor(async () => {
      expect(await traces('status')).toEqual([{ status: 'in_progress' }]);
    }, 20_000);
    hook.end({ error: new RangeError('too long') });
    hook.end();
    await expect(
      trace.run(() =>
        tracer.hook({ type: 'Stop', name: 'check' }, () => Promise.reject(new Error('no'))),
      ),
    ).rejects.toThrow('no');
    expect(() =>
      tracer.trace('sync', () => {
        throw new Error('thrown');
      }),
    ).toThrow('thrown');
    trace.end({ status: 'cancelled' });
    await tracer.flush();
    expect(await traces('prompt_text, status, error_message')).toEqual([
      { prompt_text: 'long', status: 'cancelled', error_message: null },
      { prompt_text: 'sync', status: 'failed', error_message: 'thrown' },
    ]);
    expect(
      await rows('SELECT status, error_type FROM hook_executions ORDER BY started_at'),
    ).toEqual([
      { status: 'failed', error_type: 'RangeError' },
      { status: 'failed', error_type: 'Error' },
    ]);
  });

  test('may be anything that JavaScript gives', async () => {
    const circle: Record<string, unknown> = { text: 'nul \0 and half \ud800', big: 10n };
    circle.self = circle;
    const odd = (value: unknown) => value as never;
    tracer.trace(odd({ prompt: { a: 1n }, tags: [1, null], session: 5, context: [1] }), () => {
      tracer.hook(odd({ tool: 'x'.repeat(9_000), input: circle, order: Number.NaN }), (hook) =>
        hook.set(odd({ exitCode: 1e300, output: { at: new Date(0), nul: '\0' }, metadata: 'm' })),
      );
      tracer.call(odd({ url: 5 }), (call) =>
        call.set(odd({ statusCode: -3, responseBytes: Infinity })),
      );
      tracer.route(odd({ agent: undefined, confidence: 'high' }));
      tracer.patternUsed(odd({ patternId: 'none', outcome: 'fine' }));
      tracer.patternUsed({ patternId: '00000000-0000-4000-8000-000000000000', outcome: 'success' });
    });
    tracer.trace(odd(undefined), () => undefined);
    expect(await tracer.flush()).toBe(true);
    expect(tracer.stats()).toMatchObject({ dropped: 0, refused: 1 });
    expect(await there.count('hook_executions', `input_data = '"[no JSON]"'`)).toBe(1);
    expect(problems.map(({ kind }) => kind).sort()).toEqual(['refused', 'usage']);
    expect(problems.find(({ kind }) => kind === 'refused')?.message).toBe(
      'Rows of pattern_usage_log are left out: the pattern that they name is not there.',
    );
  });

  test('needs no trace around it', async () => {
    await tracer.hook({ tool: 'alone' }, () => Promise.resolve());
    await tracer.flush();
    expect(await traces('source, prompt_text, status')).toEqual([
      { source: 'hook_trigger', prompt_text: 'alone', status: 'completed' },
    ]);
    expect(await there.count('hook_executions')).toBe(1);
  });
});

describe('a trace through several services', () => {
  test('is one tree by traceparent alone, whatever lies between, and by X-Correlation-ID', async () => {
    const other = open({ service: 'other' });
    const headers = tracer.trace('front', () => tracer.trace('middle', () => tracer.headers()));
    expect(headers.traceparent).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
    const [, trace = ''] = headers.traceparent?.split('-') ?? [];
    // A proxy in between has a span of its own, and keeps tracestate.
    const from = new Headers({
      traceparent: `00-${trace}-00f067aa0ba902b7-00`,
      tracestate: `vendor=1,${headers.tracestate}`,
    });
    other.trace({ prompt: 'by traceparent', from }, () => {
      expect(other.headers()).toMatchObject({
        traceparent: expect.stringMatching(/-00$/) as string,
        tracestate: expect.stringMatching(/,vendor=1$/) as string,
      });
    });
    const family = Object.fromEntries(
      Object.entries(headers).filter(([name]) => name.startsWith('x-')),
    );
    other.trace({ prompt: 'by correlation', from: family }, () => undefined);
    other.trace(
      {
        prompt: 'from elsewhere',
        from: { TRACEPARENT: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` },
      },
      () => undefined,
    );
    other.trace(
      { prompt: 'of a gateway', from: { 'x-correlation-id': 'request 9' } },
      () => undefined,
    );
    other.trace({ prompt: 'of nobody', from: { traceparent: 'garbage' } }, () => undefined);
    await tracer.flush();
    await other.flush();
    const found = await rows<{ child: string; parent: string | null; same: boolean }>(
      `SELECT t.prompt_text AS child, p.prompt_text AS parent, t.root_id = front.correlation_id AS same
       FROM execution_traces AS t LEFT JOIN execution_traces AS p ON p.correlation_id = t.parent_id
       JOIN execution_traces AS front ON front.prompt_text = 'front' ORDER BY t.started_at, t.id`,
    );
    expect(found).toEqual([
      { child: 'front', parent: null, same: true },
      { child: 'middle', parent: 'front', same: true },
      { child: 'by traceparent', parent: 'middle', same: true },
      { child: 'by correlation', parent: 'middle', same: true },
      { child: 'from elsewhere', parent: null, same: false },
      { child: 'of a gateway', parent: null, same: false },
      { child: 'of nobody', parent: null, same: false },
    ]);
  });

  test('begins anew at a traceparent that is none by W3C, and goes on behind one of a later version', () => {
    const trace = 'ab'.repeat(16);
    const ids = `${trace}-${'cd'.repeat(8)}-01`;
    const continued = (traceparent: string) =>
      tracer.trace({ prompt: 'p', from: { traceparent } }, () =>
        tracer.headers().traceparent?.includes(trace),
      );
    const ends = ['', '-', '-more', 'more'];
    expect(ends.map((end) => continued(`00-${ids}${end}`))).toEqual([true, false, false, false]);
    expect(ends.map((end) => continued(`cc-${ids}${end}`))).toEqual([true, true, true, false]);
    expect(ends.map((end) => continued(`ff-${ids}${end}`))).toEqual(ends.map(() => false));
  });

  test('goes through fetch and a server of node:http, and through handlers of requests', async () => {
    const inner = tracer.handler((request: Request) => {
      tracer.startHook({ tool: 'inner' }).end();
      return new Response(request.url, { status: 502 });
    });
    const traced = tracer.middleware({
      prompt: ({ url }) => (url === '/health' ? undefined : url),
    });
    const server = http.createServer((request, response) =>
      traced(request, response, () => {
        if (request.url === '/health') {
          response.end('well');
          return;
        }
        void inner(new Request('http://inner/way', { headers: tracer.headers() })).then(() =>
          response.end('done'),
        );
      }),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answer = await tracer.trace('client', () => tracer.fetch(`${url}/orders?key=1`));
    await tracer.trace('client too', () =>
      tracer.fetch(`${url}/health`).then((each) => each.text()),
    );
    expect(await answer.text()).toBe('done');
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    await expect(tracer.fetch(url)).rejects.toThrow('fetch failed');
    await tracer.flush();
    const [served] = await rows<{ id: string }>(
      `SELECT id FROM execution_traces WHERE prompt_text LIKE '/orders%'`,
    );
    expect(answer.headers.get('x-correlation-id')).toBe(served?.id);
    expect(
      await rows(
        `SELECT t.prompt_text, t.status, p.prompt_text AS parent FROM execution_traces AS t
         LEFT JOIN execution_traces AS p ON p.correlation_id = t.parent_id ORDER BY t.started_at, t.id`,
      ),
    ).toEqual([
      { prompt_text: 'client', status: 'completed', parent: null },
      { prompt_text: '/orders?key=1', status: 'completed', parent: 'client' },
      { prompt_text: 'GET /way', status: 'failed', parent: '/orders?key=1' },
      { prompt_text: 'client too', status: 'completed', parent: null },
      { prompt_text: new URL(url).host, status: 'failed', parent: null },
    ]);
    expect(
      await rows('SELECT status_code, error_type FROM endpoint_calls ORDER BY started_at'),
    ).toEqual([
      { status_code: 200, error_type: null },
      { status_code: 200, error_type: null },
      { status_code: null, error_type: expect.any(String) as string },
    ]);
  });
});
