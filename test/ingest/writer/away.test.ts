import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { Collector } from '../../../src/ingest/collector/collector.js';
import { recordWriter } from '../../../src/ingest/collector/write-records.js';
import { Recorder } from '../../../src/ingest/recorder.js';
import type { Tracer, TracerOptions, WriterProblem } from '../../../src/ingest/writer/index.js';
import { Proxy } from '../../helpers/proxy.js';
import { IngestDatabase } from '../ingest-database.js';
import { openTracer } from './open-tracer.js';

/** How long the database is away; a minute with 60. */
const awaySeconds = Number(process.env.TRACE_CONSOLE_AWAY_SECONDS ?? 3);

let there: IngestDatabase;
const problems: WriterProblem[] = [];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-writer-'));

const open = (options: TracerOptions = {}) =>
  openTracer({ url: there.test.url, ...options }, problems);

beforeAll(async () => {
  there = await IngestDatabase.create();
});

beforeEach(() => {
  problems.length = 0;
});

afterEach(async () => {
  await there.clear();
});

afterAll(async () => {
  await there.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

const rows = async <Row extends Record<string, unknown>>(sql: string): Promise<Row[]> =>
  (await there.test.query<Row>(sql)).rows;

describe('a database that is away', () => {
  async function proxied(): Promise<{ proxy: Proxy; url: string }> {
    const target = new URL(there.test.url);
    const proxy = await Proxy.start({ host: target.hostname, port: Number(target.port || 5432) });
    onTestFinished(() => proxy.stop());
    return { proxy, url: proxy.through(there.test.url) };
  }

  const say = (writer: Tracer, from: number, to: number) => {
    for (let n = from; n < to; n += 1)
      writer.trace(`turn ${n}`, () => writer.startHook({ tool: 't' }).end());
  };

  test('loses nothing that there was room for, and what is dropped is the newest, counted and said once', async () => {
    const { proxy, url } = await proxied();
    const writer = open({ url, queueRows: 40 });
    say(writer, 0, 3);
    expect(await writer.flush()).toBe(true);
    proxy.swallowing = true;
    proxy.reset();
    say(writer, 3, 100);
    expect(await writer.flush(50)).toBe(false);
    expect(writer.stats().dropped).toBeGreaterThan(0);
    proxy.swallowing = false;
    proxy.reset();
    await vi.waitFor(() => expect(writer.stats().queued).toBe(0), { timeout: 50_000 });
    const { dropped, written, refused } = writer.stats();
    expect({ all: dropped + written, refused }).toEqual({ all: 200, refused: 0 });
    expect((await there.count('execution_traces')) + (await there.count('hook_executions'))).toBe(
      written,
    );
    expect(await there.count('execution_traces', `prompt_text IN ('turn 3', 'turn 15')`)).toBe(2);
    expect(await there.count('execution_traces', `prompt_text = 'turn 99'`)).toBe(0);
    expect(await there.count('execution_traces', `status <> 'completed'`)).toBe(0);
    expect(problems.map(({ kind }) => kind).sort()).toEqual(['away', 'full']);
  });

  test(
    `writes for ${awaySeconds} seconds into nothing, and has all of it in the database when that is back`,
    async () => {
      const { proxy, url } = await proxied();
      const writer = open({ url });
      proxy.swallowing = true;
      proxy.reset();
      let turns = 0;
      // Nothing of it is awaited: a turn is done before the next one begins.
      const speaking = setInterval(() => {
        say(writer, turns, turns + 5);
        turns += 5;
      }, 50);
      await vi.waitFor(() => expect(turns).toBeGreaterThanOrEqual(awaySeconds * 20 * 5), {
        timeout: awaySeconds * 4_000,
        interval: 100,
      });
      clearInterval(speaking);
      expect(writer.stats()).toMatchObject({ written: 0, dropped: 0 });
      expect(writer.stats().queued).toBeGreaterThanOrEqual(turns);
      proxy.swallowing = false;
      proxy.reset();
      await vi.waitFor(() => expect(writer.stats().queued).toBe(0), { timeout: 60_000 });
      expect(writer.stats()).toMatchObject({ written: turns * 2, dropped: 0, refused: 0 });
      expect(await there.count('execution_traces', `status = 'completed'`)).toBe(turns);
      expect(await there.count('hook_executions', `status = 'completed'`)).toBe(turns);
      // A connection that is not answered is no failure before its time is over.
      expect([[], ['away']]).toContainEqual(problems.map(({ kind }) => kind));
    },
    60_000 + awaySeconds * 5_000,
  );

  test('has what waits put into the spool where that is asked for, and a collector brings it', async () => {
    const spool = path.join(folder, 'spool');
    const writer = open({ url: 'postgresql://nobody@127.0.0.1:1/none', spool, queueRows: 40 });
    say(writer, 0, 30);
    await vi.waitFor(() => expect(writer.stats().spooled).toBeGreaterThan(0), 50_000);
    const trace = writer.startTrace('goes on');
    await writer.close(0);
    trace.end();
    expect(writer.stats()).toMatchObject({ queued: 0, written: 0 });
    const spooled = writer.stats().spooled;
    const recorder = new Recorder(there.database);
    const collector = Collector.open({
      database: there.database,
      folder: spool,
      write: recordWriter(there.database, recorder),
      target: 'test',
      signal: new AbortController().signal,
    });
    await collector?.once();
    expect((await there.count('execution_traces')) + (await there.count('hook_executions'))).toBe(
      spooled,
    );
    expect(await there.count('execution_traces', `status = 'in_progress'`)).toBe(1);
  });

  test('waits for nothing at its end where no database is named: what is lost is dropped, and said once', async () => {
    const names = Object.keys(process.env).filter((name) =>
      /^(?:DATABASE_URL|TRACEABILITY_DB_URL.*|PG.*|POSTGRES_.*)$/.test(name),
    );
    for (const name of names) vi.stubEnv(name, undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
    const writer = openTracer({}, problems);
    say(writer, 0, 1);
    // A wait would last longer than the test may.
    expect(await writer.close(10 * 60_000)).toBe(false);
    expect(writer.stats()).toMatchObject({ queued: 0, dropped: 2, written: 0 });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^Traces wait: No database is named/),
      '2 rows are dropped: the writer was closed before the database had them.',
    ]);
  });

  test('does not count a pattern twice when the answer to COMMIT is lost', async () => {
    const { proxy, url } = await proxied();
    const [pattern] = await rows<{ id: string }>(
      `INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES (gen_random_uuid()::text, 'y') RETURNING id`,
    );
    const patternId = pattern?.id ?? '';
    // The server waits at COMMIT; meanwhile the connection goes.
    const holder = await there.test.pool.connect();
    await holder.query('SELECT pg_advisory_lock(77)');
    await there.test.query(
      `CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NULL; END $$;
       CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON pattern_usage_log DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION wait_at_commit()`,
    );
    const writer = open({ url });
    writer.trace('uses it', () => writer.patternUsed({ patternId, outcome: 'success' }));
    const countWaiting = async () => {
      const [row] = await rows<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`,
      );
      return row?.count;
    };
    await vi.waitFor(async () => expect(await countWaiting()).toBe(1), { timeout: 50_000 });
    proxy.reset();
    await holder.query('SELECT pg_advisory_unlock(77)');
    holder.release();
    await vi.waitFor(() => expect(writer.stats().queued).toBe(0), { timeout: 50_000 });
    await there.test.query(
      'DROP TRIGGER waits ON pattern_usage_log; DROP FUNCTION wait_at_commit()',
    );
    expect(
      await rows(`SELECT total_usage_count FROM success_patterns WHERE id = '${patternId}'`),
    ).toEqual([{ total_usage_count: 1 }]);
  });

  test('a row that the database refuses is left out, and the others are written', async () => {
    await there.test.query(
      `ALTER TABLE hook_executions ADD CONSTRAINT no_bad CHECK (tool_name IS DISTINCT FROM 'bad')`,
    );
    const tracer = open();
    tracer.trace('mixed', () => {
      for (let n = 0; n < 9; n += 1) tracer.startHook({ tool: n === 4 ? 'bad' : 'good' }).end();
    });
    expect(await tracer.flush()).toBe(true);
    await there.test.query('ALTER TABLE hook_executions DROP CONSTRAINT no_bad');
    expect(await there.count('hook_executions')).toBe(8);
    expect(tracer.stats().refused).toBe(1);
  });
});
