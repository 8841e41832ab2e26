import type { ChildProcess } from 'node:child_process';
import pg from 'pg';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import { previewAction, runAction } from '../../../src/maintenance/registry.js';
import { openConsole } from '../../deploy/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { Proxy } from '../../helpers/proxy.js';
import { collect } from '../helpers.js';
import { addPatterns } from './embeddings.js';
import { holdTable, index, phaseOf } from './rebuild-phases.js';

const holders: pg.Client[] = [];

afterEach(async () => {
  await Promise.all(holders.splice(0).map((holder) => holder.end()));
});

async function hold(test: TestDatabase, table?: string): Promise<void> {
  holders.push(await holdTable(test, table));
}

const isInPhase = (test: TestDatabase, phase: string) =>
  expect.poll(() => phaseOf(test), { timeout: 30_000, interval: 20 }).toBe(phase);

async function invalidIndexes(test: TestDatabase): Promise<string[]> {
  const { rows } = await test.query<{ name: string }>(
    `SELECT i.relname AS name FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
     WHERE NOT x.indisvalid ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

async function openOn(test: TestDatabase): Promise<Database> {
  const database = await openConsole(test.url);
  onTestFinished(() => database.close());
  return database;
}

const never = new AbortController().signal;

describe('a rebuild that is broken off', () => {
  it('by a lock time-out says who was in the way and what is left', async () => {
    const test = await createTestDatabase();
    const database = await openOn(test);
    await hold(test);
    const input = { indexes: [index], lockTimeoutMs: 700 };
    const told: (string | undefined)[] = [];
    const running = collect(
      runAction('reindex', { database, signal: never }, input),
      ({ blockedBy }) => told.push(blockedBy),
    );
    await expect(running).rejects.toMatchObject({
      code: 'lock_timeout',
      hint: expect.stringContaining('--clean-up') as string,
    });
    expect(told.join()).toContain('LOCK TABLE execution_traces');
    expect(await invalidIndexes(test)).toEqual([`${index}_ccnew`]);
    await holders.splice(0)[0]?.end();
    // The next attempt drops it first.
    const { outcome } = await collect(
      runAction('reindex', { database, signal: never }, { indexes: [index] }),
    );
    expect(outcome.result.rebuilt[0]?.dropped).toEqual([`${index}_ccnew`]);
    expect(await invalidIndexes(test)).toEqual([]);
  });
});

describe('a rebuild whose connection goes silent', () => {
  it('ends with what the server has made of it, in the journal too, and keeps no other console from rebuilding', async () => {
    const test = await createTestDatabase();
    const { hostname, port } = new URL(test.url);
    const proxy = await Proxy.start({ host: hostname, port: Number(port) });
    onTestFinished(() => proxy.stop());
    const answerPace = {
      ...{ lookEveryMs: 100, unreachableMs: 2_000 },
      ...{ hurriedLookEveryMs: 100, hurriedUnreachableMs: 500 },
    };
    const database = await openConsole(`${proxy.through(test.url)}?sslmode=disable`, {
      answerPace,
    });
    onTestFinished(() => database.close());
    await hold(test);
    const running = collect(
      runAction('reindex', { database, signal: never }, { indexes: [index] }),
    );
    await isInPhase(test, 'waiting for writers before build');
    const { rows: rebuilding } = await test.query<{ port: number }>(
      `SELECT client_port AS port FROM pg_stat_activity JOIN pg_stat_progress_create_index USING (pid)`,
    );
    proxy.silencePort(rebuilding[0]?.port ?? 0);
    await holders.splice(0)[0]?.end();
    const { outcome } = await running;
    expect(outcome.result.rebuilt).toMatchObject([{ index }]);
    const { rows } = await test.query('SELECT state FROM trace_console.maintenance_runs');
    expect(rows).toEqual([{ state: 'done' }]);
    const other = await openOn(test);
    const again = await collect(
      runAction('reindex', { database: other, signal: never }, { indexes: [index] }),
    );
    expect(again.outcome.result.rebuilt).toHaveLength(1);
    expect(await invalidIndexes(test)).toEqual([]);
  });
});

describe('a console that is killed', () => {
  it('leaves the server to it, and another one follows the rebuild to its end', async () => {
    const test = await createTestDatabase();
    const database = await openOn(test);
    await hold(test);
    await killedWhile(test, ['reindex', index, '--yes'], 'waiting for writers before build');
    const context = { database, signal: never };
    await expect(previewAction('reindex', context, { indexes: [index] })).rejects.toMatchObject({
      code: 'busy',
    });
    const { progress, outcome } = await collect(
      runAction('follow-build', context, {}),
      ({ blockedBy }) => (blockedBy === undefined ? undefined : holders.splice(0)[0]?.end()),
    );
    expect(progress[0]).toMatchObject({ detachable: true });
    expect(outcome.result).toEqual({ index, end: 'finished', dropped: [] });
    expect(await invalidIndexes(test)).toEqual([]);
  });

  it('leaves a finished replacement, which is no healthy index of others, and the next rebuild takes it up', async () => {
    const test = await createTestDatabase();
    const vector = 'idx_pattern_embedding';
    const replacement = `${vector}_tcnew`;
    const database = await openOn(test);
    await addPatterns(test, 200);
    await hold(test, 'success_patterns');
    const wish = ['--lists', '20', '--skip-recall', '--yes'];
    await killedWhile(test, ['reindex', vector, ...wish], 'waiting for writers before build');
    await holders.splice(0)[0]?.end();
    await expect.poll(() => phaseOf(test), { timeout: 50_000 }).toBeUndefined();
    // It has no phase any more a moment before its last transaction is seen.
    await expect.poll(() => invalidIndexes(test), { timeout: 10_000 }).toEqual([]);
    const context = { database, signal: never };
    const { list } = await previewAction('clean-up', context, {});
    expect(list?.join()).toMatch(new RegExp(`^${replacement} .*not in use`));
    const input = { indexes: [vector], lists: 20, recall: false };
    const { progress, outcome } = await collect(runAction('reindex', context, input));
    expect(progress.map(({ phase }) => phase).join()).not.toContain('building');
    expect(outcome.result.rebuilt[0]?.vector).toMatchObject({ listsBefore: 100, listsAfter: 20 });
    expect((await namesOf(test)).filter((name) => name.startsWith(vector))).toEqual([vector]);
  });
});

/** Starts a command, and kills it for good when the server is in this phase and knows it by its mark. */
async function killedWhile(test: TestDatabase, args: string[], phase: string): Promise<void> {
  let child: ChildProcess | undefined;
  const ended = runCli([...args, '--url', test.url], { onStart: (started) => (child = started) });
  await isInPhase(test, phase);
  if (args.includes('--lists')) {
    const marked = `SELECT FROM pg_description WHERE description LIKE 'trace-console: not in use; is to replace%'`;
    await expect.poll(async () => (await test.query(marked)).rows.length).toBe(1);
  }
  child?.kill('SIGKILL');
  expect(await ended).toMatchObject({ signalled: 'SIGKILL' });
}

describe('the clean-up', () => {
  it('touches nothing but leftovers: not a healthy index, nor one of another table', async () => {
    const test = await createTestDatabase();
    const database = await openOn(test);
    const long = `idx_${'long_'.repeat(12)}`.slice(0, 63);
    const cut = `${long.slice(0, 57)}_ccnew`;
    await test.query(`
      CREATE INDEX ${long} ON execution_traces (source);
      -- Left behind: of a name that was cut, of the usual kinds, and of a rebuild of the console's own.
      CREATE INDEX ${cut} ON execution_traces (source);
      CREATE INDEX ${index}_ccnew ON execution_traces (root_id);
      CREATE INDEX ${index}_ccold3 ON execution_traces (root_id);
      CREATE INDEX ${index}_tcnew ON execution_traces (root_id);
      CREATE INDEX ${index}_tcold ON execution_traces (root_id);
      COMMENT ON INDEX ${index}_tcold IS 'trace-console: not in use; was replaced as ${index}';
      -- Somebody's own: healthy, of another table, over other columns, of an index that is not there.
      CREATE INDEX ${index}_ccnew1 ON execution_traces (root_id);
      CREATE INDEX ${index}_tcnew1 ON execution_traces (root_id);
      CREATE INDEX ${index}_ccnew2 ON hook_executions (trace_id);
      CREATE INDEX ${index}_ccold ON execution_traces (parent_id);
      CREATE INDEX idx_nothing_ccnew ON execution_traces (root_id);
      CREATE INDEX idx_plain ON execution_traces (root_id);
      UPDATE pg_index SET indisvalid = false WHERE indexrelid = ANY (ARRAY[
        '${cut}', '${index}_ccnew', '${index}_ccold3', '${index}_tcnew', '${index}_ccnew2', '${index}_ccold',
        'idx_nothing_ccnew', 'idx_plain']::regclass[])`);
    const context = { database, signal: never };
    const before = await namesOf(test);
    const { outcome } = await collect(runAction('clean-up', context, {}));
    const expected = [
      cut,
      `${index}_ccnew`,
      `${index}_ccold3`,
      `${index}_tcnew`,
      `${index}_tcold`,
    ].sort();
    expect(outcome.result).toEqual({ dropped: expected, kept: [] });
    expect(await namesOf(test)).toEqual(before.filter((name) => !expected.includes(name)));
    expect((await previewAction('clean-up', context, {})).nothing).toBeDefined();
  });

  it('leaves alone what somebody is building at the moment', async () => {
    const test = await createTestDatabase();
    const database = await openOn(test);
    await hold(test);
    const builder = new pg.Client({ connectionString: test.url });
    await builder.connect();
    onTestFinished(() => builder.end());
    const building = builder.query(`REINDEX INDEX CONCURRENTLY ${index}`);
    await isInPhase(test, 'waiting for writers before build');
    expect(await invalidIndexes(test)).toEqual([`${index}_ccnew`]);
    const preview = await previewAction('clean-up', { database, signal: never }, {});
    expect(preview.nothing).toBeDefined();
    await holders.splice(0)[0]?.end();
    await building;
    expect(await invalidIndexes(test)).toEqual([]);
  });
});

async function namesOf(test: TestDatabase): Promise<string[]> {
  const { rows } = await test.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace
     ORDER BY relname COLLATE "C"`,
  );
  return rows.map(({ name }) => name);
}
