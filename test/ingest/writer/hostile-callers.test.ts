import { expect, test } from 'vitest';
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
