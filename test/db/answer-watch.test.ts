import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveSource, type ServerSource } from '../../src/db/connection/source.js';
import { Database } from '../../src/db/database.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { Proxy } from '../helpers/proxy.js';
import { testServer } from '../helpers/server.js';

const pace = {
  lookEveryMs: 200,
  unreachableMs: 1_500,
  hurriedLookEveryMs: 100,
  hurriedUnreachableMs: 500,
};

let test: TestDatabase;
let proxy: Proxy;
let database: Database;

beforeEach(async () => {
  test = await createTestDatabase();
  const { hostname, port } = new URL(testServer().adminUrl);
  proxy = await Proxy.start({ host: hostname, port: Number(port) });
  const url = `${proxy.through(test.url)}?sslmode=disable&connect_timeout=2`;
  const source = resolveSource({ url, environment: {} }) as ServerSource;
  database = await Database.open(source, { answerPace: pace });
});

afterEach(async () => {
  await proxy.stop();
  await database.close();
  // The server does not learn of a silent end.
  await test.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()`,
  );
});

/** Resolves once the server runs a statement with this text. */
async function begun(text: string): Promise<void> {
  await expect
    .poll(async () => {
      const { rows } = await test.query(
        `SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()`,
        [`%${text}%`],
      );
      return rows.length;
    })
    .toBe(1);
}

describe('an answer that never comes, because the connection went silent', () => {
  it('is given up once the server is done with the statement', async () => {
    const connection = await database.connectDirect();
    const running = connection.query(
      `DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'silence_is_over') LOOP PERFORM pg_sleep(0.05); END LOOP; END $$`,
    );
    const failed = expect(running).rejects.toMatchObject({
      code: 'connection_lost',
      message: expect.stringContaining('not at the statement any more') as string,
    });
    await begun('silence_is_over');
    proxy.silenceNewest();
    await test.query('CREATE TABLE silence_is_over ()');
    await failed;
    await connection.close();
  });

  it('is given up once the server has ended the session', async () => {
    const connection = await database.connectDirect();
    const failed = expect(
      connection.query('SELECT pg_sleep(600) /* ended */'),
    ).rejects.toMatchObject({
      code: 'connection_lost',
      message: expect.stringContaining('ended the session') as string,
    });
    await begun('ended');
    proxy.silenceNewest();
    await test.query('SELECT pg_terminate_backend($1)', [connection.cancelKey.processId]);
    await failed;
    await connection.close();
  });

  it('is given up when the server cannot be reached otherwise either', async () => {
    const connection = await database.connectDirect();
    const failed = expect(connection.query('SELECT pg_sleep(600) /* cut */')).rejects.toMatchObject(
      {
        code: 'connection_lost',
        message: expect.stringContaining('cannot be reached otherwise') as string,
      },
    );
    await begun('cut');
    proxy.swallowing = true;
    proxy.silence();
    await failed;
    await connection.close();
  });

  it('is given up in a transaction without a time limit, too', async () => {
    const failed = expect(
      database.transaction({ statementTimeoutMs: 0 }, (tx) =>
        tx.query('SELECT pg_sleep(1.5) /* transaction */'),
      ),
    ).rejects.toMatchObject({ code: 'connection_lost' });
    await begun('transaction');
    proxy.silenceNewest();
    await failed;
  });
});

it('waits for a statement that the server is at, however many looks it takes', async () => {
  const connection = await database.connectDirect();
  const { rows } = await connection.query('SELECT 1 AS one FROM pg_sleep(1.5)');
  expect(rows).toEqual([{ one: 1 }]);
  await connection.close();
});

it('waits for a long answer over a slow network, although the server is done', async () => {
  const connection = await database.connectDirect();
  proxy.bytesPerSecond = 1_000_000;
  const { rows } = await connection.query<{ text: string }>(`SELECT repeat('x', 3000000) AS text`);
  expect(rows[0]?.text).toHaveLength(3_000_000);
  await connection.close();
});

describe('a cancel', () => {
  it('of a statement whose connection went silent ends the wait', async () => {
    const connection = await database.connectDirect();
    const failed = expect(
      connection.query('SELECT pg_sleep(600) /* cancelled */'),
    ).rejects.toMatchObject({ code: 'connection_lost' });
    await begun('cancelled');
    proxy.silenceNewest();
    await database.cancel(connection);
    await failed;
    await connection.close();
  });

  it('ends the wait although the whole network is gone, and says what is not known', async () => {
    const connection = await database.connectDirect();
    const failed = expect(
      connection.query('SELECT pg_sleep(600) /* unreachable */'),
    ).rejects.toMatchObject({
      code: 'interrupted',
      hint: expect.stringContaining('may still be at it') as string,
    });
    await begun('unreachable');
    proxy.swallowing = true;
    proxy.silence();
    await database.cancel(connection);
    await failed;
    await connection.close();
  });
});
