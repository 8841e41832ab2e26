import { expect, test } from 'vitest';
import { json } from '../../../src/ingest/writer/values.js';
import { IngestDatabase } from '../ingest-database.js';
import { openTracer } from './open-tracer.js';

/** What a body throws, whatever it is. */
function caughtFrom(body: () => void): unknown {
  try {
    body();
    return undefined;
  } catch (error) {
    return error;
  }
}

test('what a caller gives may throw when it is read: the body runs, its answer or error comes out, and the rest is kept', async () => {
  const there = await IngestDatabase.create();
  const tracer = openTracer({ url: there.test.url }, []);
  const rows = async (sql: string) => (await there.test.query(sql)).rows;
  try {
    const thrown = (): never => {
      throw new Error('read');
    };
    const traps = (value: object, name: string): never =>
      Object.defineProperty(value, name, { enumerable: true, get: thrown }) as never;
    const proxy = new Proxy({}, { ownKeys: thrown, get: thrown, getPrototypeOf: thrown });
    const answer = traps({}, 'then');
    const error = traps(new Error('of the body'), 'code');
    const ran: string[] = [];
    const got = tracer.trace(traps({ prompt: 'trapped' }, 'session'), () => {
      tracer.hook(traps({ input: 'kept' }, 'tool'), (hook) => {
        hook.set(traps({ output: 1 }, 'metadata'));
        ran.push('hook');
      });
      tracer.call(proxy as never, () => ran.push('call'));
      tracer.modelCall(traps({ provider: 'p' }, 'model'), () => ran.push('model'));
      tracer.route(traps({ agent: 'a' }, 'query')).outcome(true);
      tracer.patternUsed(proxy as never);
      tracer.trace('odd', (odd) => {
        odd.set({ tags: 'one' as never, context: { after: true } });
        odd.end(null as never);
      });
      for (const each of [error, proxy]) {
        const caught = caughtFrom(() =>
          tracer.hook({ tool: 'throws' }, () => {
            throw each as Error;
          }),
        );
        ran.push(caught === each ? 'caught' : 'changed');
      }
      ran.push('trace');
      return answer;
    }) as unknown;
    expect(got === answer).toBe(true);
    expect(ran).toEqual(['hook', 'call', 'model', 'caught', 'caught', 'trace']);
    expect(await tracer.flush()).toBe(true);
    expect(tracer.stats()).toMatchObject({ queued: 0, dropped: 0, refused: 0 });
    expect(
      await rows('SELECT prompt_text, status, context FROM execution_traces ORDER BY started_at'),
    ).toMatchObject([
      { prompt_text: 'trapped', status: 'completed' },
      { prompt_text: 'odd', status: 'completed', context: { after: true } },
    ]);
    expect(
      await rows('SELECT status, input_data FROM hook_executions ORDER BY started_at'),
    ).toEqual([
      { status: 'completed', input_data: 'kept' },
      { status: 'failed', input_data: null },
      { status: 'failed', input_data: null },
    ]);
    expect(await there.count('endpoint_calls')).toBe(2);
    expect(await there.count('agent_routing_decisions', `agent_selected = 'a'`)).toBe(1);
  } finally {
    await there.close();
  }
});

test('a row that the database refuses is left out alone, of all that was written with it', async () => {
  const there = await IngestDatabase.create();
  const tracer = openTracer({ url: there.test.url, flushMs: 60_000 }, []);
  try {
    await there.test.query(`ALTER TABLE hook_executions ADD CHECK (tool_name <> 'refused')`);
    for (let n = 0; n < 20; n += 1) {
      tracer.trace(`turn ${n}`, () => {
        tracer.startHook({ tool: n === 7 ? 'refused' : 'taken' }).end();
        tracer.startModelCall({ provider: 'p', model: 'm' }).end();
      });
    }
    expect(await tracer.flush()).toBe(true);
    expect(tracer.stats()).toMatchObject({ written: 59, refused: 1, queued: 0, dropped: 0 });
    expect(await there.count('execution_traces')).toBe(20);
    expect(await there.count('hook_executions')).toBe(19);
    expect(await there.count('endpoint_calls')).toBe(20);
  } finally {
    await there.close();
  }
});

test('of a value that is huge only the beginning is read and written, with a mark', () => {
  let read = 0;
  const list = Array.from({ length: 200_000 }, (_, at) => ({
    get at() {
      read += 1;
      return at;
    },
  }));
  const text = json({ list }) as string;
  expect(text).toMatch(/^\{"list":\[\{"at":0\},\{"at":1\},.*… \[more characters cut\]$/);
  expect(text.length).toBeLessThan(70_000);
  // Once to see whether it is short, once to write it.
  expect(read).toBeLessThan(list.length);
  const bytes = Buffer.alloc(5_000_000, 7);
  expect(json(bytes)).toMatch(/^\{"type":"Buffer","data":\[7,7,7,.*7… \[more characters cut\]$/);
  expect(json({ at: new Uint8Array(bytes) })).toMatch(/^\{"at":\{"0":7,"1":7,.*cut\]$/);
  expect(json(new BigInt64Array(300_000))).toMatch(
    /^\{"0":"0","1":"0",.*… \[more characters cut\]$/,
  );
  // Numbers, too, are counted: how much is cut is known only of what was written whole.
  const numbers = Array<number>(300_000).fill(1);
  expect(json(numbers)).toMatch(/^\[1,1,1,.*… \[more characters cut\]$/);
  expect(json(Object.assign({}, numbers))).toMatch(/^\{"0":1,"1":1,.*… \[more characters cut\]$/);
  expect(json([Object('y'.repeat(300_000))])).toMatch(/^\["yyy.*… \[more characters cut\]$/);
  // What holds the same thing again and again is written out by JSON without end.
  let twice: unknown = ['x'.repeat(1_000)];
  for (let depth = 0; depth < 60; depth += 1) twice = [twice, twice];
  expect(json(twice)).toMatch(/cut\]$/);
});

test('values are kept as JSON has them, and as a text what it does not know', () => {
  const circle: unknown[] = [];
  circle.push(circle);
  const values = [
    {
      a: 1,
      b: [true, null, NaN],
      c: undefined,
      d: Symbol('s'),
      e: new Date(0),
      __proto__: { f: 1 },
    },
    [undefined, () => 1, 'x', new Map([[1, 2]]), Object('boxed')],
    { big: 2n ** 64n, error: new TypeError('t'), bytes: Buffer.from('ab'), few: new Uint8Array(2) },
    { self: { toJSON: (key: string) => `of ${key}` } },
    circle,
  ];
  expect(values.map((value) => json(value))).toEqual([
    { a: 1, b: [true, null, null], e: '1970-01-01T00:00:00.000Z' },
    [null, null, 'x', {}, 'boxed'],
    {
      ...{ big: '18446744073709551616', error: { name: 'TypeError', message: 't' } },
      ...{ bytes: { type: 'Buffer', data: [97, 98] }, few: { 0: 0, 1: 0 } },
    },
    { self: 'of self' },
    '[no JSON]',
  ]);
});
