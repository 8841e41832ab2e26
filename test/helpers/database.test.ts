import pg from 'pg';
import { expect, test } from 'vitest';
import { createTestDatabase } from './database.js';
import { testServer } from './server.js';
import { runOnce } from './template.js';

test('each database is its own', async () => {
  const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  await one.query('CREATE TABLE only_here (n int)');
  const { rows } = await two.query<{ found: string | null }>(
    `SELECT to_regclass('only_here') AS found`,
  );
  expect(rows).toEqual([{ found: null }]);
});

test('an empty database has no relations and no extensions unless asked for', async () => {
  const empty = await createTestDatabase({ schema: false });
  const extended = await createTestDatabase({ schema: false, extensions: true });
  const sql = `SELECT extname FROM pg_extension ORDER BY extname`;
  expect((await empty.query(sql)).rows).toEqual([{ extname: 'plpgsql' }]);
  expect((await extended.query(sql)).rows).toEqual([
    { extname: 'plpgsql' },
    { extname: 'uuid-ossp' },
    { extname: 'vector' },
  ]);
});

test('a connection that is left open makes the drop fail and says whose it is', async () => {
  const database = await createTestDatabase({ schema: false });
  const leaked = new pg.Client({ connectionString: database.url, application_name: 'forgetful' });
  leaked.on('error', () => undefined);
  await leaked.connect();
  await leaked.query('SELECT 1 AS one');
  await expect(database.drop()).rejects.toThrow(
    /connections leaked[^]*forgetful idle: SELECT 1 AS one/,
  );
  await leaked.end().catch(() => undefined);
});

test('the database is gone after the drop, leaked connections or not', async () => {
  const database = await createTestDatabase({ schema: false });
  const leaked = new pg.Client({ connectionString: database.url });
  leaked.on('error', () => undefined);
  await leaked.connect();
  await database.drop().catch(() => undefined);
  const rows = await runOnce(
    testServer().adminUrl,
    'SELECT datname FROM pg_database WHERE datname = $1',
    [database.name],
  );
  expect(rows).toEqual([]);
});

test('a pool whose connections were all returned is no leak', async () => {
  const database = await createTestDatabase();
  await Promise.all(Array.from({ length: 5 }, () => database.query('SELECT pg_sleep(0.05)')));
  await expect(database.drop()).resolves.toBeUndefined();
});
