import fs from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { builtPrograms, launchDaemon } from '../../../src/embedded/daemon/programs.js';
import { engineMajor } from '../../../src/embedded/engine/messages.js';
import { inFolder } from '../../../src/embedded/folder/paths.js';
import {
  embeddedStatus,
  isOlder,
  openEmbedded,
  stopEmbedded,
} from '../../../src/embedded/running.js';
import { testPrograms } from '../programs.js';
import { clientConfig, connect, TestFolder, value } from './folder.js';
import { pathToFileURL } from 'node:url';

let folder: TestFolder;

beforeEach(() => {
  folder = new TestFolder();
});

afterEach(() => folder.remove());

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

test('creates the database with progress, keeps it over a stop, and says what runs', async () => {
  const steps: string[] = [];
  const address = await folder.open({
    onProgress: ({ message, done, total }) => steps.push(`${message} ${done ?? ''}/${total ?? ''}`),
  });
  expect(steps.join('\n')).toMatch(/Creating the embedded database \d+\/\d+/);
  const client = await connect(address);
  await client.query('CREATE TABLE kept AS SELECT 1 AS a');
  const status = await embeddedStatus(address.dataDir);
  expect(status).toMatchObject({ phase: 'ready', clients: 1, engineRestarts: 0 });
  const ended = new Promise((resolve) => client.once('error', resolve));
  expect(await stopEmbedded(address.dataDir)).toBe(true);
  expect(await ended).toMatchObject({ code: '57P01' });
  expect(await embeddedStatus(address.dataDir)).toBeUndefined();
  expect(await stopEmbedded(address.dataDir)).toBe(false);
  expect(fs.existsSync(path.join(address.host, '.s.PGSQL.5432'))).toBe(false);
  const again = await connect(await folder.open());
  expect(await value(again, 'SELECT a FROM kept')).toBe(1);
  expect(await value(again, 'SHOW server_version')).toMatch(new RegExp(`^${engineMajor}\\.`));
  await again.end();
});

test('ends by itself some time after its last client', async () => {
  const address = await folder.open({ idleExitMs: 400 });
  const client = await connect(address);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(await value(client, 'SELECT 1')).toBe(1);
  await client.end();
  await until(async () => (await embeddedStatus(address.dataDir)) === undefined);
  await until(() => folder.log.endsWith('stopped\n'));
  expect(folder.log).toContain('no client for a while');
});

test('makes its socket anew where that was swept away under its clients, as a log-out or a cleaner does', async () => {
  const address = await folder.open();
  const client = await connect(address);
  await client.query('CREATE TABLE swept AS SELECT 7 AS a');
  fs.rmSync(address.host, { recursive: true });
  await until(() => folder.log.includes('the socket was removed, and made anew'));
  const other = await connect(address);
  expect(await value(other, 'SELECT a FROM swept')).toBe(7);
  expect(await value(client, 'SELECT a FROM swept')).toBe(7);
  expect(await embeddedStatus(address.dataDir)).toMatchObject({ clients: 2 });
  await other.end();
  await client.end();
});

test('ends cleanly on SIGTERM', async () => {
  const address = await folder.open();
  const pid = (await embeddedStatus(address.dataDir))?.pid ?? 0;
  process.kill(pid, 'SIGTERM');
  await until(() => !fs.existsSync(path.join(address.dataDir, 'daemon.lock')));
  expect(folder.log).toMatch(/stopping: SIGTERM[^]*stopped\n$/);
});

test('of daemons started at the same instant one serves and the others attach', async () => {
  const programs = await testPrograms();
  fs.mkdirSync(folder.dataDir, { mode: 0o700 });
  const launch = { dataFolder: folder.dataDir, idleExitMs: 60_000 };
  const outcomes = await Promise.all([1, 2, 3].map(() => launchDaemon(programs, launch)));
  expect(outcomes.sort()).toEqual(['held', 'held', 'listening']);
  const addresses = await Promise.all([folder.open(), folder.open(), folder.open()]);
  const clients = await Promise.all(addresses.map((address) => connect(address)));
  await clients[0]?.query('CREATE TABLE shared AS SELECT 7 AS a');
  for (const client of clients) {
    expect(await value(client, 'SELECT a FROM shared')).toBe(7);
    await client.end();
  }
});

test('makes room for another build when nobody uses it, and serves on when somebody does', async () => {
  const programs = await testPrograms();
  const copy = path.join(folder.base, 'other-build');
  fs.cpSync(path.dirname(programs.daemon), copy, { recursive: true });
  // Packages are found from where the programs lie.
  fs.symlinkSync(
    path.resolve(import.meta.dirname, '../../../node_modules'),
    path.join(folder.base, 'node_modules'),
  );
  const other = builtPrograms(pathToFileURL(`${copy}/`));
  if (other === undefined) throw new Error('no copy');
  const address = await folder.open();
  const first = (await embeddedStatus(address.dataDir))?.pid;
  const client = await connect(address);
  await openEmbedded({ dataDir: address.dataDir, programs: other });
  expect((await embeddedStatus(address.dataDir))?.pid).toBe(first);
  await client.end();
  await until(async () => (await embeddedStatus(address.dataDir))?.clients === 0);
  await openEmbedded({ dataDir: address.dataDir, programs: other });
  const second = await embeddedStatus(address.dataDir);
  expect(second?.pid).not.toBe(first);
  expect(second?.phase).toBe('ready');
});

test('makes room only for a newer console', () => {
  expect(isOlder('1.2.3+a', '1.2.3+a')).toBe(false);
  expect(isOlder('1.2.3+a', '1.2.3+b')).toBe(true);
  expect(isOlder('1.2.3+a', '1.10.0+b')).toBe(true);
  expect(isOlder('1.10.0+a', '1.2.3+b')).toBe(false);
  expect(isOlder('2.0.0+a', '1.9.9+b')).toBe(false);
});

test('refuses a folder of another PostgreSQL version and leaves it alone', async () => {
  const postgres = inFolder.postgres(folder.dataDir);
  fs.mkdirSync(postgres, { recursive: true });
  fs.chmodSync(folder.dataDir, 0o700);
  fs.writeFileSync(path.join(postgres, 'PG_VERSION'), '16\n');
  await expect(folder.open()).rejects.toMatchObject({
    code: 'embedded_unavailable',
    message: expect.stringContaining('made by PostgreSQL 16') as unknown,
  });
  expect(fs.readdirSync(postgres)).toEqual(['PG_VERSION']);
});

const rounds = Number(process.env.EMBEDDED_KILL_ROUNDS ?? 6);

test(
  'loses no acknowledged row to kill -9 in mid-write, and leaves the tables sound',
  async () => {
    await folder.open();
    const setup = await connect(await folder.open());
    await setup.query('CREATE TABLE acknowledged (n int PRIMARY KEY, body text)');
    await setup.query('CREATE INDEX ON acknowledged (body)');
    await setup.end();
    const acknowledged: number[] = [];
    let next = 0;
    for (let round = 0; round < rounds; round += 1) {
      const address = await folder.open();
      const pool = new pg.Pool({ ...clientConfig(address), max: 4 });
      pool.on('error', () => undefined);
      const pid = (await embeddedStatus(address.dataDir))?.pid;
      if (pid === undefined) throw new Error('no daemon');
      const kill = new AbortController();
      const isKilled = (): boolean => kill.signal.aborted;
      const writers = Array.from({ length: 4 }, async () => {
        while (!isKilled()) {
          const n = (next += 1);
          try {
            await pool.query('INSERT INTO acknowledged VALUES ($1, repeat(md5($2), 20))', [
              n,
              String(n),
            ]);
            acknowledged.push(n);
          } catch (error) {
            if (!isKilled()) throw error;
            return;
          }
        }
      });
      const enough = acknowledged.length + 20 + Math.random() * 60;
      await Promise.race([Promise.all(writers), until(() => acknowledged.length > enough)]);
      kill.abort();
      process.kill(pid, 'SIGKILL');
      await Promise.all(writers);
      await pool.end();
    }
    const client = await connect(await folder.open());
    const { rows } = await client.query<{ n: number }>('SELECT n FROM acknowledged');
    const present = new Set(rows.map(({ n }) => n));
    expect(acknowledged.filter((n) => !present.has(n))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThanOrEqual(rounds * 20);
    await client.query('CREATE EXTENSION amcheck');
    await client.query(`SELECT bt_index_check(oid, true) FROM pg_class
    WHERE relkind = 'i' AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')`);
    const damaged = await client.query("SELECT * FROM verify_heapam('acknowledged')");
    expect(damaged.rows).toEqual([]);
    await client.end();
  },
  60_000 + rounds * 15_000,
);
