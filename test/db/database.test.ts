import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveSource, type ServerSource } from '../../src/db/connection/source.js';
import { Database, type DatabaseOptions } from '../../src/db/database.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { startPgbouncer } from '../helpers/pgbouncer.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { testServer } from '../helpers/server.js';

let test: TestDatabase;
let database: Database;

function open(url: string, options?: DatabaseOptions): Promise<Database> {
  return Database.open(resolveSource({ url, environment: {} }) as ServerSource, options);
}

beforeAll(async () => {
  test = await createTestDatabase();
  database = await open(test.url);
});
afterAll(async () => {
  await database.close();
});

describe('a database that is abandoned', () => {
  it('has the server end what it was at, and nothing of others', async () => {
    const [left, other] = await Promise.all([open(test.url), open(test.url)]);
    const sleeping = async (name: string) => {
      const { rows } = await test.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query = $1`,
        [`SELECT pg_sleep(600), '${name}' AS name`],
      );
      return rows[0]?.n;
    };
    const limits = { statementTimeoutMs: 600_000 };
    const run = (database: Database, name: string) =>
      database.read(`SELECT pg_sleep(600), '${name}' AS name`, [], limits);
    const ended = [run(left, 'left'), run(left, 'left')].map((read) =>
      expect(read).rejects.toMatchObject({ sqlState: '57014' }),
    );
    const others = run(other, 'other').catch(() => undefined);
    await expect.poll(() => sleeping('left'), { timeout: 50_000 }).toBe(2);
    await expect.poll(() => sleeping('other'), { timeout: 50_000 }).toBe(1);
    await left.abandon();
    await Promise.all(ended);
    expect(await sleeping('left')).toBe(0);
    expect(await sleeping('other')).toBe(1);
    await other.abandon();
    await others;
    expect(await sleeping('other')).toBe(0);
  });
});

describe('a transaction', () => {
  it('has its own time-outs and leaves none behind in the session', async () => {
    const single = await open(test.url);
    const settings = `SELECT current_setting('statement_timeout') AS statement,
      current_setting('lock_timeout') AS lock, current_setting('search_path') AS path`;
    const [inside] = await single.read(settings, [], {
      statementTimeoutMs: 4321,
      lockTimeoutMs: 99,
    });
    expect(inside).toEqual({ statement: '4321ms', lock: '99ms', path: 'public' });
    const { rows } = await test.query<{ setting: string }>(
      `SELECT setting FROM pg_settings WHERE name = 'statement_timeout'`,
    );
    expect(rows[0]?.setting).toBe('0');
    await single.close();
  });

  it('says of a failure behind a savepoint that was gone back to its own reason, not that of the first', async () => {
    await database.transaction({}, async (tx) => {
      await tx.query('SAVEPOINT before');
      await expect(tx.query('SELECT 1 / 0')).rejects.toThrow(/division by zero/);
      await tx.query('ROLLBACK TO SAVEPOINT before');
      const [failed, behind] = await Promise.allSettled([
        tx.query('SELECT missing'),
        tx.query('SELECT 1'),
      ]);
      const reason = expect.objectContaining({
        message: expect.stringContaining('missing') as string,
      }) as Error;
      const wanted = { status: 'rejected', reason };
      expect([failed, behind]).toEqual([wanted, wanted]);
      await tx.query('ROLLBACK TO SAVEPOINT before');
    });
  });

  it('commits what returns and rolls back what throws', async () => {
    await database.transaction({}, (tx) => tx.query('CREATE TABLE kept (n int)'));
    await expect(
      database.transaction({}, async (tx) => {
        await tx.query('CREATE TABLE lost (n int)');
        throw new Error('stop');
      }),
    ).rejects.toThrow('stop');
    const rows = await database.read(
      `SELECT relname::text FROM pg_class WHERE relname IN ('kept', 'lost')`,
    );
    expect(rows).toEqual([{ relname: 'kept' }]);
  });

  it('reads the same whatever the database has set for its sessions', async () => {
    const hostile = await createTestDatabase();
    const read = async () => {
      const other = await open(hostile.url);
      const direct = await other.connectDirect();
      const questions = `SELECT pg_get_viewdef('trace_summary'::regclass) AS view, 'a\\b' AS backslash,
        format_type('timestamptz'::regtype, NULL) AS type, interval '1 day 2 hours' AS span,
        (0.1::float8 + 0.2::float8)::text AS sum, timestamptz '2026-01-02 03:04:05Z' AS moment,
        current_setting('idle_session_timeout') AS idle`;
      const [inPool] = await other.read(questions);
      const { rows } = await direct.query(questions);
      await direct.close();
      await other.close();
      return { inPool: { ...inPool, idle: undefined }, direct: rows[0] };
    };
    const before = await read();
    const settings = {
      standard_conforming_strings: 'off',
      quote_all_identifiers: 'on',
      intervalstyle: 'iso_8601',
      datestyle: 'SQL, DMY',
      extra_float_digits: '-10',
      idle_session_timeout: '10min',
    };
    for (const [name, value] of Object.entries(settings)) {
      await test.query(`ALTER DATABASE "${hostile.name}" SET ${name} = '${value}'`);
    }
    expect(await read()).toEqual(before);
  });

  it('is ended by no limit of the role or the database, short or long', async () => {
    const hasty = await createTestDatabase();
    const settings = {
      statement_timeout: '20s',
      lock_timeout: '1ms',
      idle_in_transaction_session_timeout: '250ms',
      ...(testServer().major >= 17 ? { transaction_timeout: '20s' } : {}),
    };
    for (const [name, value] of Object.entries(settings)) {
      await test.query(`ALTER DATABASE "${hasty.name}" SET ${name} = '${value}'`);
    }
    const other = await open(hasty.url);
    const held = `SELECT name, setting FROM pg_settings WHERE setting <> '0' AND name IN ('statement_timeout',
      'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') ORDER BY name`;
    expect(await other.read(held, [], { statementTimeoutMs: 60_000 })).toEqual([
      { name: 'idle_in_transaction_session_timeout', setting: '600000' },
      { name: 'lock_timeout', setting: '1000' },
      { name: 'statement_timeout', setting: '60000' },
    ]);
    const direct = await other.connectDirect();
    expect((await direct.query(held)).rows).toEqual([]);
    await direct.close();
    expect(await other.read(held)).toEqual([
      { name: 'idle_in_transaction_session_timeout', setting: '60000' },
      { name: 'lock_timeout', setting: '1000' },
      { name: 'statement_timeout', setting: '10000' },
    ]);
    await other.close();
  });

  it('begins anew on another connection where the server ended an idle one', async () => {
    const hasty = await createTestDatabase();
    await test.query(`ALTER DATABASE "${hasty.name}" SET idle_session_timeout = '20ms'`);
    const other = await open(hasty.url);
    await other.read('SELECT 1');
    // The end of the connection is there, and nobody has seen it yet, as while a learner computes.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    expect(await other.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await other.close();
  });

  it('fails with the first failure of statements that were sent together, whoever hears of his own first', async () => {
    const later = async (question: Promise<unknown>): Promise<unknown> => {
      for (let turn = 0; turn < 5; turn += 1) await question.then(undefined, () => undefined);
      return question;
    };
    await expect(
      database.transaction({ readOnly: true }, (tx) =>
        Promise.all([later(tx.query('SELECT 1 / 0')), tx.query('SELECT 1')]),
      ),
    ).rejects.toThrow('division by zero');
  });

  it('is refused where the database is read-only by default, as under --read-only', async () => {
    const quiet = await createTestDatabase();
    await test.query(`ALTER DATABASE "${quiet.name}" SET default_transaction_read_only = on`);
    const other = await open(quiet.url);
    expect(other.readOnly).toBe(true);
    await other.close();
  });

  it('ends a statement that runs too long with a typed error, and the next one works', async () => {
    await expect(
      database.read('SELECT pg_sleep(5)', [], { statementTimeoutMs: 50 }),
    ).rejects.toMatchObject({ code: 'statement_timeout', sqlState: '57014', exitCode: 1 });
    expect(await database.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('does not queue behind a lock for longer than its lock time-out', async () => {
    const holder = await test.pool.connect();
    await holder.query('BEGIN; LOCK TABLE execution_traces IN ACCESS EXCLUSIVE MODE');
    await expect(
      database.read('SELECT count(*) FROM execution_traces', [], { lockTimeoutMs: 50 }),
    ).rejects.toMatchObject({ code: 'lock_timeout' });
    await holder.query('ROLLBACK');
    holder.release();
  });

  it('changes nothing under read-only, whatever it is asked', async () => {
    const guest = await open(test.url, { readOnly: true });
    await expect(
      guest.transaction({ readOnly: false }, (tx) => tx.query('CREATE TABLE written (n int)')),
    ).rejects.toMatchObject({ code: 'read_only', exitCode: 4 });
    await guest.close();
  });

  it.each([
    ['none', []],
    ['plain ones', ['a', 'é', 'nullable', 'is_null', '1.5']],
    ['one that is not there', ['a', null, 'b']],
    ['words of the format itself', ['NULL', 'null', '', 'a,b', '{x}', 'a"b', '\\', ' ', 'a\nb']],
  ])('gives an array of texts: %s', async (_what, texts) => {
    const [row] = await database.read('SELECT $1::text[] AS texts', [texts]);
    expect(row).toEqual({ texts });
  });

  it('gives arrays in an array, and one that counts from zero', async () => {
    const [row] = await database.read(
      `SELECT '{{a,b},{c,d}}'::text[] AS nested, '[0:1]={a,b}'::text[] AS shifted`,
    );
    expect(row).toEqual({
      nested: [
        ['a', 'b'],
        ['c', 'd'],
      ],
      shifted: ['a', 'b'],
    });
  });

  it('gives bigint and numeric as numbers', async () => {
    expect(
      await database.read('SELECT 9007199254740991::bigint AS a, 0.1234::numeric AS b'),
    ).toEqual([{ a: 9_007_199_254_740_991, b: 0.1234 }]);
  });
});

describe('a connection that breaks', () => {
  it('that ends between two statements of a transaction fails the next one, and not the process', async () => {
    const single = await open(test.url);
    const broken = single.transaction({}, async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await test.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
      await sleep(200);
      await tx.query('SELECT 1');
    });
    await expect(broken).rejects.toMatchObject({ code: 'connection_lost' });
    expect(await single.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await single.close();
  });

  it('is replaced by the next statement', async () => {
    const [mine] = await database.read<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await test.query('SELECT pg_terminate_backend($1)', [mine?.pid]);
    await sleep(100);
    expect(await database.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('is reported as lost when it breaks under a statement', async () => {
    const running = database.transaction({}, async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      setTimeout(() => void test.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]), 100);
      await tx.query('SELECT pg_sleep(5)');
    });
    await expect(running).rejects.toMatchObject({ code: 'connection_lost' });
    expect(await database.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

describe('capabilities', () => {
  it('say what the server, the role and the schema allow', () => {
    const { capabilities } = database;
    expect(capabilities.serverVersion).toBeGreaterThanOrEqual(150_000);
    expect(capabilities).toMatchObject({
      schema: 'public',
      schemaExists: true,
      standby: false,
      pooled: false,
      superuser: true,
      embedded: false,
    });
    expect(capabilities.extensions.vector?.schema).toBe('public');
    expect(Object.keys(capabilities.tables)).toHaveLength(12);
    expect(capabilities.tables.execution_traces).toMatchObject({ owner: true, filtered: false });
  });

  it('show a role what it lacks, and what row-level security hides from it', async () => {
    const server = await startPrivateServer();
    const url = await server.createDatabase('traces', { schema: true });
    const admin = await open(url);
    await admin.transaction({}, (tx) =>
      tx.query(`CREATE ROLE reader LOGIN PASSWORD 'r';
        GRANT SELECT ON execution_traces TO reader;
        ALTER TABLE execution_traces ENABLE ROW LEVEL SECURITY`),
    );
    const asReader = new URL(url);
    asReader.username = 'reader';
    asReader.password = 'r';
    const reader = await open(asReader.href);
    expect(reader.capabilities).toMatchObject({ superuser: false, createsInSchema: false });
    expect(reader.capabilities.tables).toMatchObject({
      execution_traces: { select: true, delete: false, owner: false, filtered: true },
      hook_executions: { select: false, filtered: false },
    });
    await reader.close();
    await admin.close();
    await server.stop();
  });

  it('name a schema that does not exist without failing, so that it can be created', async () => {
    const other = await open(test.url, { schema: 'not there' });
    expect(other.capabilities).toMatchObject({
      schema: 'not there',
      schemaExists: false,
      searchPath: '"not there", "public"',
    });
    await other.close();
  });

  it('tell a standby', async () => {
    const primary = await startPrivateServer();
    const standby = await primary.basebackupStandby();
    const database = await open(standby.url());
    expect(database.capabilities.standby).toBe(true);
    await standby.promote();
    await database.refreshCapabilities();
    expect(database.capabilities.standby).toBe(false);
    await database.close();
    await standby.stop();
    await primary.stop();
  });
});

describe('behind a transaction pooler', () => {
  it('works, leaks no setting into other clients, and refuses what needs a session', async () => {
    const pooler = await startPgbouncer(testServer(), { poolSize: 1 });
    const pooled = await open(pooler.url(test.name));
    expect(pooled.capabilities.pooled).toBe(true);
    await pooled.read('SELECT 1', [], { statementTimeoutMs: 1234 });
    await expect(pooled.read('SELECT 1 / 0')).rejects.toMatchObject({ sqlState: '22012' });
    const other = await open(pooler.url(test.name));
    const rows = await other.transaction({ statementTimeoutMs: 0 }, async (tx) => {
      const { rows } = await tx.query(
        `SELECT name, reset_val FROM pg_settings
         WHERE name IN ('statement_timeout', 'lock_timeout', 'search_path')
           AND source = 'session' AND setting <> reset_val AND name <> 'search_path'`,
      );
      return rows;
    });
    // statement_timeout is this transaction's own 0; lock_timeout its own default.
    expect(rows).toEqual([{ name: 'lock_timeout', reset_val: '0' }]);
    await expect(pooled.connectDirect()).rejects.toMatchObject({
      code: 'pooled_connection',
      exitCode: 4,
    });
    await pooled.close();
    await other.close();
    await pooler.stop();
  });
});
