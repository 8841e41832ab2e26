import pg from 'pg';
import { beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import {
  addTrace,
  archiveAll,
  archiveBatch,
  archivedTables,
  columnsOf,
  contents,
  counts,
} from './helpers/trace-rows.js';

let db: TestDatabase;

beforeEach(async () => {
  db = await createTestDatabase();
});

async function liveTrees(): Promise<string[]> {
  const { rows } = await db.query<{ tree: string }>(
    'SELECT DISTINCT tags[1] AS tree FROM execution_traces ORDER BY 1',
  );
  return rows.map((row) => row.tree);
}

/** A connection of its own inside a transaction that is still open. */
async function withTransaction(body: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await db.pool.connect();
  try {
    await client.query('BEGIN');
    await body(client);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

describe('which trees go', () => {
  test('a tree goes whole, with all that belongs to it and its content unchanged', async () => {
    await addTrace(db, { tree: 'old' });
    await addTrace(db, { tree: 'old', trace: 'child', parent: 'root', age: 95 });
    await addTrace(db, { tree: 'new', age: 1 });
    const before = await contents(db);
    const batch = await archiveBatch(db);
    expect(batch).toMatchObject({
      ...{ trees: 1, execution_traces: 2, agent_routing_decisions: 2 },
      ...{ hook_executions: 4, endpoint_calls: 2, done: true },
    });
    expect(await counts(db)).toEqual({
      execution_traces: [1, 2],
      agent_routing_decisions: [1, 2],
      hook_executions: [2, 4],
      endpoint_calls: [1, 2],
    });
    expect(await contents(db)).toEqual(before);
  });

  test('one young trace keeps its whole tree', async () => {
    await addTrace(db, { tree: 'mixed' });
    await addTrace(db, { tree: 'mixed', trace: 'late', parent: 'root', age: 89 });
    expect(await archiveBatch(db)).toMatchObject({ trees: 0, trees_too_young: 1, done: true });
    expect(await liveTrees()).toEqual(['mixed']);
  });

  test('a trace in progress keeps its tree until it is stale, and then leaves as it is', async () => {
    await addTrace(db, { tree: 'stuck', status: 'in_progress', age: 5 });
    const args = `'1 day', stale_after => '7 days'`;
    expect(await archiveBatch(db, args)).toMatchObject({ trees: 0, trees_in_progress: 1 });
    expect(
      await archiveBatch(
        db,
        `'1 day', as_of => now() + interval '3 days', stale_after => '7 days'`,
      ),
    ).toMatchObject({ trees: 1, trees_in_progress: 0 });
    const { rows } = await db.query(
      'SELECT status, completed_at, success FROM execution_traces_archive',
    );
    expect(rows).toEqual([{ status: 'in_progress', completed_at: null, success: null }]);
  });

  test('the age is counted from as_of', async () => {
    await addTrace(db, { tree: 'one', age: 10 });
    expect(await archiveBatch(db)).toMatchObject({ trees: 0, trees_too_young: 0 });
    expect(await archiveBatch(db, `'90 days', as_of => now() + interval '81 days'`)).toMatchObject({
      trees: 1,
    });
  });

  test('a tree whose root row was never written goes like any other', async () => {
    await addTrace(db, { tree: 'orphan', trace: 'child', parent: 'root' });
    await db.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'local_test', 'completed', now() - interval '1 year')`,
    );
    expect(await archiveBatch(db)).toMatchObject({ trees: 2, execution_traces: 2 });
  });

  test('a late trace of an archived tree follows it when it is old enough', async () => {
    await addTrace(db, { tree: 'one' });
    await archiveAll(db);
    await addTrace(db, { tree: 'one', trace: 'late', parent: 'root', age: 89 });
    expect(await archiveBatch(db)).toMatchObject({ trees: 0 });
    expect(await archiveBatch(db, `'80 days'`)).toMatchObject({ trees: 1, execution_traces: 1 });
    expect((await counts(db)).execution_traces).toEqual([0, 2]);
  });

  test('infinite times neither stop it nor are due before their time', async () => {
    await addTrace(db, { tree: 'never' });
    await addTrace(db, { tree: 'always' });
    await db.query(`UPDATE execution_traces SET started_at = 'infinity' WHERE tags = '{never}'`);
    await db.query(`UPDATE execution_traces SET started_at = '-infinity' WHERE tags = '{always}'`);
    expect(await archiveAll(db)).toMatchObject([{ trees: 1, done: true }]);
    expect(await liveTrees()).toEqual(['never']);
  });
});

describe('batches', () => {
  test('the cursor passes what is held back: each tree is counted once', async () => {
    for (let n = 0; n < 6; n += 1) {
      await addTrace(db, { tree: `held-${n}`, age: 200 - n });
      await addTrace(db, { tree: `held-${n}`, trace: 'old too', parent: 'root', age: 150 - n });
      await addTrace(db, { tree: `held-${n}`, trace: 'young', parent: 'root', age: 1 });
      await addTrace(db, { tree: `due-${n}`, age: 120 - n });
    }
    const batches = await archiveAll(db, `'90 days', 2`);
    const sum = (key: 'trees' | 'trees_too_young'): number =>
      batches.reduce((total, batch) => total + batch[key], 0);
    expect([sum('trees'), sum('trees_too_young')]).toEqual([6, 6]);
    expect(batches.length).toBeLessThanOrEqual(10);
  });

  test('about batch_size traces go at once, and never a part of a tree', async () => {
    for (let n = 0; n < 4; n += 1) {
      for (const trace of ['root', 'a', 'b']) {
        await addTrace(db, { tree: `tree-${n}`, trace, age: 200 - n });
      }
    }
    const batches = await archiveAll(db, `'90 days', 7`);
    expect(batches.map((batch) => batch.execution_traces).filter((moved) => moved > 0)).toEqual([
      6, 6,
    ]);
  });

  test('a tree larger than the batch goes all the same', async () => {
    for (const trace of ['root', 'a', 'b', 'c', 'd']) await addTrace(db, { tree: 'large', trace });
    expect(await archiveBatch(db, `'90 days', 1`)).toMatchObject({ execution_traces: 5 });
  });

  test('trees that lie far apart in time do not make a batch larger', async () => {
    for (let n = 0; n < 5; n += 1) {
      await addTrace(db, { tree: `tree-${n}`, age: 300 - n });
      for (const trace of ['a', 'b', 'c']) {
        await addTrace(db, { tree: `tree-${n}`, trace, age: 200 - n });
      }
    }
    const batches = await archiveAll(db, `'90 days', 5`);
    expect(Math.max(...batches.map((batch) => batch.execution_traces))).toBeLessThanOrEqual(5);
    expect((await counts(db)).execution_traces).toEqual([0, 20]);
  });

  test('traces that all started at the same moment are walked through by id', async () => {
    await db.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
       SELECT id, id, id, 'bulk', CASE WHEN n % 3 = 0 THEN 'in_progress' ELSE 'completed' END, '2020-01-01'
       FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, 50) AS n) AS row`,
    );
    const batches = await archiveAll(db, `'1 day', 7, stale_after => '10000 days'`);
    expect(batches.reduce((sum, batch) => sum + batch.trees, 0)).toBe(34);
    expect(batches.reduce((sum, batch) => sum + batch.trees_in_progress, 0)).toBe(16);
  });

  test.each([
    [`'-1 day'`, /no age be negative/],
    ['NULL', /must be given/],
    [`'90 days', 0`, /batch_size is 0/],
  ])('archive_traces(%s) is refused', async (args, message) => {
    await expect(archiveBatch(db, args)).rejects.toThrow(message);
  });
});

describe('beside others', () => {
  test('a tree that somebody is writing to is passed over and reported', async () => {
    await addTrace(db, { tree: 'busy' });
    const child = await addTrace(db, { tree: 'busy', trace: 'child', parent: 'root' });
    await addTrace(db, { tree: 'idle' });
    await withTransaction(async (writer) => {
      await writer.query('UPDATE execution_traces SET cost_usd = 1 WHERE id = $1', [child]);
      expect(await archiveBatch(db)).toMatchObject({ trees: 1, trees_locked: 1, done: true });
    });
    expect(await liveTrees()).toEqual(['busy']);
    expect(await archiveBatch(db)).toMatchObject({ trees: 1, trees_locked: 0 });
  });

  test('a hook that is being added to a nested trace holds its tree back', async () => {
    await addTrace(db, { tree: 'busy' });
    const child = await addTrace(db, { tree: 'busy', trace: 'child', parent: 'root' });
    await withTransaction(async (writer) => {
      await writer.query(
        `INSERT INTO hook_executions (trace_id, hook_type, hook_name) VALUES ($1, 'Stop', 'late')`,
        [child],
      );
      expect(await archiveBatch(db)).toMatchObject({ trees: 0, trees_locked: 1 });
      await writer.query('COMMIT');
    });
    expect(await archiveBatch(db)).toMatchObject({ trees: 1, hook_executions: 5 });
  });

  test('a hook added while its trace is being moved is refused, not lost', async () => {
    const trace = await addTrace(db, { tree: 'one' });
    const before = await contents(db);
    let late: Promise<unknown> = Promise.resolve();
    await withTransaction(async (archiver) => {
      await archiveBatch(archiver);
      late = db
        .query(
          `INSERT INTO hook_executions (trace_id, hook_type, hook_name) VALUES ($1, 'Stop', 'late')`,
          [trace],
        )
        .catch((error: unknown) => (error as { code?: string }).code);
      await archiver.query('COMMIT');
    });
    expect(await late).toBe('23503');
    expect(await contents(db)).toEqual(before);
  });

  test('a second archiver is told that one is at work, and nothing moves twice', async () => {
    await addTrace(db, { tree: 'one' });
    await withTransaction(async (first) => {
      await archiveBatch(first);
      await expect(archiveBatch(db)).rejects.toMatchObject({
        code: '55006',
        message: 'the archive of the schema public is being worked on by another session',
      });
      await first.query('COMMIT');
    });
    expect(await archiveBatch(db)).toMatchObject({ trees: 0 });
  });

  test('a batch whose connection is killed leaves everything where it was', async () => {
    for (let n = 0; n < 20; n += 1) await addTrace(db, { tree: `tree-${n}` });
    const before = await contents(db);
    const client = new pg.Client({ connectionString: db.url });
    client.on('error', () => undefined);
    await client.connect();
    // The trigger stops the batch after the calls, hooks and decisions were moved.
    await db.query(`
      CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
      CREATE TRIGGER wait_here AFTER INSERT ON execution_traces_archive FOR EACH STATEMENT EXECUTE FUNCTION wait_here()`);
    const killed = archiveBatch(client).catch(() => 'killed');
    const waiting = `FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`;
    await expect
      .poll(async () => (await db.query(`SELECT 1 ${waiting}`)).rowCount, { timeout: 50_000 })
      .toBe(1);
    await db.query(`SELECT pg_terminate_backend(pid) ${waiting}`);
    expect(await killed).toBe('killed');
    await client.end().catch(() => undefined);
    await db.query('DROP TRIGGER wait_here ON execution_traces_archive');
    expect((await counts(db)).hook_executions).toEqual([40, 0]);
    expect(await archiveBatch(db)).toMatchObject({ trees: 20 });
    expect(await contents(db)).toEqual(before);
  });
});

describe('what would lose rows stops it', () => {
  test('an archive whose trigger swallows rows', async () => {
    await addTrace(db, { tree: 'one' });
    await db.query(`
      CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER swallow BEFORE INSERT ON hook_executions_archive FOR EACH ROW EXECUTE FUNCTION swallow()`);
    await expect(archiveBatch(db)).rejects.toThrow(
      'of 2 rows of public.hook_executions 0 arrived in the archive: the batch is rolled back',
    );
    expect((await counts(db)).endpoint_calls).toEqual([1, 0]);
  });

  test('a live table whose trigger keeps rows from being deleted', async () => {
    await addTrace(db, { tree: 'one' });
    await db.query(`
      CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER keep BEFORE DELETE ON endpoint_calls FOR EACH ROW EXECUTE FUNCTION keep()`);
    await expect(archiveBatch(db)).rejects.toThrow(/of 1 rows of public.endpoint_calls 0 arrived/);
    expect((await counts(db)).execution_traces).toEqual([1, 0]);
  });

  test('a row that the archive holds already', async () => {
    await addTrace(db, { tree: 'one' });
    await db.query('INSERT INTO endpoint_calls_archive SELECT * FROM endpoint_calls');
    await expect(archiveBatch(db)).rejects.toMatchObject({ code: '23505' });
    expect((await counts(db)).execution_traces).toEqual([1, 0]);
  });

  test.each(['execution_traces', 'hook_executions'])(
    'a table that references %s and that the archive does not know',
    async (table) => {
      await addTrace(db, { tree: 'one' });
      await db.query(
        `CREATE TABLE review (note text, subject uuid REFERENCES ${table} ON DELETE CASCADE)`,
      );
      await db.query(`INSERT INTO review SELECT 'keep me', id FROM ${table} LIMIT 1`);
      await expect(archiveBatch(db)).rejects.toThrow(
        `a table that the archive does not know references ours: review (review_subject_fkey of ${table})`,
      );
      expect((await db.query('SELECT * FROM review')).rowCount).toBe(1);
    },
  );

  test('a column that the archive lacks, or has with another type', async () => {
    await addTrace(db, { tree: 'one' });
    await db.query('ALTER TABLE hook_executions ADD COLUMN weight numeric');
    await expect(archiveBatch(db)).rejects.toThrow(
      'the table public.hook_executions_archive cannot hold: weight numeric',
    );
    await db.query('ALTER TABLE hook_executions_archive ADD COLUMN weight integer');
    await expect(archiveBatch(db)).rejects.toThrow(/cannot hold: weight numeric/);
    await db.query('ALTER TABLE hook_executions_archive ALTER COLUMN weight TYPE numeric');
    expect(await archiveBatch(db)).toMatchObject({ trees: 1 });
  });

  test('a missing archive', async () => {
    await db.query('DROP TABLE hook_executions_archive');
    await expect(archiveBatch(db)).rejects.toMatchObject({
      message: 'there is no table public.hook_executions_archive',
      hint: 'run 013_archive.sql',
    });
  });
});

test('a usage log keeps the trace it belongs to by its correlation_id', async () => {
  await addTrace(db, { tree: 'one' });
  await db.query(`
    INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('p', 'test');
    INSERT INTO pattern_usage_log (pattern_id, trace_id)
      SELECT p.id, t.id FROM success_patterns p, execution_traces t`);
  await archiveAll(db);
  const { rows } = await db.query(
    `SELECT l.trace_id, l.correlation_id = a.correlation_id AS linked FROM pattern_usage_log l, execution_traces_archive a`,
  );
  expect(rows).toEqual([{ trace_id: null, linked: true }]);
});

test('a tree that is put back is archived again', async () => {
  await addTrace(db, { tree: 'one' });
  const before = await contents(db);
  await archiveAll(db);
  const client = await db.pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SET LOCAL trace_console.restoring = on');
    for (const table of archivedTables) {
      const columns = (await columnsOf(client, table)).join(', ');
      await client.query(
        `WITH back AS (DELETE FROM ${table}_archive RETURNING ${columns}) INSERT INTO ${table} SELECT * FROM back`,
      );
    }
    await client.query('COMMIT');
  } finally {
    client.release();
  }
  expect(await archiveBatch(db)).toMatchObject({ trees: 1, hook_executions: 2 });
  expect(await contents(db)).toEqual(before);
});
