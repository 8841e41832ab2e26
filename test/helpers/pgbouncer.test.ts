import pg from 'pg';
import { expect, test } from 'vitest';
import { createTestDatabase } from './database.js';
import { startPgbouncer } from './pgbouncer.js';
import { testServer } from './server.js';

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

async function backendPid(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid;
}

test('in transaction mode two clients share one server connection, and what one SETs the other sees', async () => {
  const database = await createTestDatabase({ schema: false });
  const pooler = await startPgbouncer(testServer(), { poolSize: 1 });
  const one = await connect(pooler.url(database.name));
  const two = await connect(pooler.url(database.name));
  try {
    expect(await backendPid(one)).toBe(await backendPid(two));
    await one.query(`SET work_mem = '9MB'`);
    expect((await two.query('SHOW work_mem')).rows).toEqual([{ work_mem: '9MB' }]);
  } finally {
    await one.end();
    await two.end();
  }
});

test('in session mode each client keeps a server connection of its own', async () => {
  const database = await createTestDatabase({ schema: false });
  const pooler = await startPgbouncer(testServer(), { poolMode: 'session' });
  const one = await connect(pooler.url(database.name));
  const two = await connect(pooler.url(database.name));
  try {
    expect(await backendPid(one)).not.toBe(await backendPid(two));
  } finally {
    await one.end();
    await two.end();
  }
});

test('inside a transaction a client keeps its server connection and others wait', async () => {
  const database = await createTestDatabase({ schema: false });
  const pooler = await startPgbouncer(testServer(), { poolSize: 1 });
  const holder = await connect(pooler.url(database.name));
  const waiter = await connect(pooler.url(database.name));
  const console_ = await connect(pooler.url('pgbouncer'));
  try {
    await holder.query('BEGIN');
    const held = await backendPid(holder);
    const waiting = backendPid(waiter);
    await expect
      .poll(async () => {
        const { rows } = await console_.query<{ database: string; cl_waiting: string }>(
          'SHOW POOLS',
        );
        return Number(rows.find((row) => row.database === database.name)?.cl_waiting);
      })
      .toBe(1);
    await holder.query('COMMIT');
    expect(await waiting).toBe(held);
  } finally {
    await Promise.all([holder.end(), waiter.end(), console_.end()]);
  }
});
