import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { keptSeeds, seeded } from '../../helpers/seeds.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EmbeddedAddress } from '../../../src/embedded/running.js';
import { embeddedStatus } from '../../../src/embedded/running.js';
import { socketFile } from '../../../src/embedded/folder/paths.js';
import { psql } from '../../helpers/psql.js';
import { clientConfig, connect, TestFolder, value } from './folder.js';

const folder = new TestFolder();
let address: EmbeddedAddress;
let pool: pg.Pool;

beforeAll(async () => {
  address = await folder.open({ limits: { unreadAnswerMs: 3_000 } });
  pool = new pg.Pool({ ...clientConfig(address), max: 4 });
});

afterAll(async () => {
  await pool.end();
  await folder.remove();
});

test('serves an ordinary pool: types, vectors, cursors, errors', async () => {
  await pool.query('CREATE TABLE items (id int, embedding vector(3), data jsonb)');
  await pool.query('INSERT INTO items SELECT n, $1, $2 FROM generate_series(1, 50) n', [
    '[1,2,3]',
    { a: [1] },
  ]);
  const { rows } = await pool.query(
    'SELECT id, embedding::text, data FROM items ORDER BY id LIMIT 1',
  );
  expect(rows).toEqual([{ id: 1, embedding: '[1,2,3]', data: { a: [1] } }]);
  await expect(pool.query('SELECT nothing')).rejects.toMatchObject({ code: '42703' });
  const client = await connect(address);
  const cursor = client.query(new Cursor<{ id: number }>('SELECT id FROM items ORDER BY id'));
  expect((await cursor.read(20)).map(({ id }) => id)).toEqual(
    Array.from({ length: 20 }, (_, n) => n + 1),
  );
  expect(await cursor.read(100)).toHaveLength(30);
  await cursor.close();
  await client.end();
});

test('connects psql by the address it prints', async () => {
  const url = `postgresql://${address.user}@localhost/${address.database}?host=${address.host}&port=${address.port}`;
  const result = await psql(url, { commands: ['SELECT 6 * 7', '\\dx'] });
  expect(result.stderr).toBe('');
  expect(result.stdout).toContain('42\n');
  expect(result.stdout).toContain('vector|');
});

test('carries messages of 2 MB from several clients at once, each to its own row', async () => {
  await pool.query('CREATE TABLE large (client int, body text)');
  const bodies = Array.from({ length: 6 }, () => randomBytes(1024 * 1024).toString('hex'));
  await Promise.all(
    bodies.map(async (body, index) => {
      const client = await connect(address);
      await client.query('INSERT INTO large VALUES ($1, $2)', [index, body]);
      const { rows } = await client.query<{ body: string }>(
        'SELECT body FROM large WHERE client = $1',
        [index],
      );
      expect(rows[0]?.body === body, `the body of client ${index}`).toBe(true);
      await client.end();
    }),
  );
});

test('streams a large result to one client while others are served in between', async () => {
  const stream = pool.query("SELECT n, repeat('x', 200) FROM generate_series(1, 50000) n");
  const others = Promise.all(Array.from({ length: 20 }, (_, n) => value(pool, `SELECT ${n}`)));
  expect(await others).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect((await stream).rows).toHaveLength(50_000);
});

test('does not let a client that reads nothing hold up the others for long', async () => {
  const client = await connect(address);
  const { stream } = (client as unknown as { connection: { stream: net.Socket } }).connection;
  const failed = client
    .query("SELECT repeat('x', 1000) FROM generate_series(1, 200000)")
    .catch((error: unknown) => error);
  stream.pause();
  expect(await value(pool, 'SELECT 1')).toBe(1);
  stream.resume();
  expect(await failed).toBeInstanceOf(Error);
});

test('cancels as psql and pg do, with a request on another connection', async () => {
  const client = await connect(address);
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const running = client.query('SELECT pg_sleep(60)').catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const request = Buffer.alloc(16);
  [16, 80_877_102, processID, secretKey].forEach((word, index) =>
    request.writeInt32BE(word, index * 4),
  );
  const socket = net.connect(socketFile(address.host));
  socket.end(request);
  expect(await running).toMatchObject({ code: '57014' });
  expect(await value(client, 'SELECT 2')).toBe(2);
  await client.end();
});

test('keeps every row of many short-lived processes that write at once', async () => {
  const processes = Number(process.env.EMBEDDED_TEST_PROCESSES ?? 20);
  const clientsEach = 10;
  await pool.query('CREATE TABLE writes (process int, client int, child int)');
  const program = path.join(import.meta.dirname, 'short-lived-writer.mjs');
  const run = promisify(execFile);
  const started = Array.from({ length: processes }, (_, index) =>
    run(process.execPath, [
      program,
      JSON.stringify(clientConfig(address)),
      String(index),
      String(clientsEach),
    ]),
  );
  const finished = Promise.all(started);
  while ((await Promise.race([finished, value(pool, 'SELECT 1')])) === 1);
  await finished;
  const { rows } = await pool.query<{ rows: number; distinct: number }>(
    'SELECT count(*)::int AS rows, count(DISTINCT (process, client, child))::int AS distinct FROM writes',
  );
  const expected = processes * clientsEach * 4;
  expect(rows).toEqual([{ rows: expected, distinct: expected }]);
}, 120_000);

test.runIf(process.getuid?.() === 0)(
  'cannot be reached by another user of the machine',
  async () => {
    expect(fs.statSync(address.host).mode & 0o777).toBe(0o700);
    expect(fs.statSync(socketFile(address.host)).mode & 0o077).toBe(0);
    const program = `
    process.setgid(65534); process.setuid(65534);
    require('net').connect(process.argv[1]).on('connect', () => { console.log('connected'); process.exit(); })
      .on('error', (error) => console.log(error.code));`;
    const { stdout } = await promisify(execFile)(process.execPath, [
      '-e',
      program,
      socketFile(address.host),
    ]);
    expect(stdout.trim()).toBe('EACCES');
  },
);

test.each(keptSeeds)(
  'bears any bytes on its socket (seed %i)',
  async (seed) => {
    const random = seeded(seed);
    const upTo = (most: number) => Math.floor(random() * most);
    const bytes = (count: number) => Buffer.from(Array.from({ length: count }, () => upTo(256)));
    const startup = Buffer.from(
      '\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0',
      'latin1',
    );
    const types = 'QPBDECSHFXdcfp!\0';
    const randomFrame = (): Buffer => {
      const body = bytes(upTo(40));
      const header = Buffer.alloc(5);
      header.write(types[upTo(types.length)] ?? 'Q', 'latin1');
      header.writeInt32BE(random() < 0.9 ? body.length + 4 : bytes(4).readInt32BE(0), 1);
      return Buffer.concat([header, body]);
    };
    for (let round = 0; round < 12; round += 1) {
      const sockets = Array.from({ length: 10 }, async () => {
        // What each sends is settled before any of them waits.
        const parts = Array.from({ length: 20 }, () =>
          random() < 0.7 ? randomFrame() : bytes(30),
        );
        if (random() < 0.8) parts.unshift(startup);
        const socket = net.connect(socketFile(address.host));
        socket.on('error', () => undefined);
        socket.on('data', () => undefined);
        for (const part of parts) {
          if (!socket.writable) break;
          socket.write(part);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        socket.destroy();
      });
      await Promise.all(sockets);
      expect(await value(pool, 'SELECT 1')).toBe(1);
    }
    const status = await embeddedStatus(address.dataDir);
    expect(status?.phase).toBe('ready');
  },
  300_000,
);

test('writes a log without any statement or value in it', () => {
  expect(folder.log).toContain('ready after');
  expect(folder.log).not.toMatch(/SELECT|INSERT|pg_sleep/);
});
