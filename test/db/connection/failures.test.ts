import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  answersAsPostgres,
  establish as establishWith,
} from '../../../src/db/connection/establish.js';
import { ServerPool } from '../../../src/db/server-pool.js';
import { resolveSource, type ServerSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { freePort } from '../../helpers/postgres-process.js';
import { startPrivateServer } from '../../helpers/private-server.js';
import { testServer } from '../../helpers/server.js';

function sourceOf(url: string | URL): ServerSource {
  return resolveSource({ url: String(url), environment: {} }) as ServerSource;
}

function changed(change: (url: URL) => void): URL {
  const url = new URL(testServer().adminUrl);
  change(url);
  return url;
}

let listener: Server | undefined;
afterEach(() => {
  listener?.close();
  listener = undefined;
});

async function listen(onConnect: (socket: import('node:net').Socket) => void): Promise<number> {
  const port = await freePort();
  listener = createServer(onConnect);
  await new Promise<void>((resolve) => listener?.listen(port, '127.0.0.1', resolve));
  return port;
}

const establish = (source: ServerSource) =>
  establishWith(source, (at, tls) => new ServerPool(at, tls, 1));

describe('a connection that cannot be had', () => {
  it('says that nothing listens, and how to get a server', async () => {
    const port = await freePort();
    await expect(establish(sourceOf(`postgresql://u@127.0.0.1:${port}/d`))).rejects.toMatchObject({
      code: 'connection_refused',
      exitCode: 3,
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
      hint: expect.stringContaining('docker compose up') as string,
    });
  });

  it('gives up a server that never answers after the connect time-out', async () => {
    const port = await listen(() => undefined);
    const url = `postgresql://u@127.0.0.1:${port}/d?connect_timeout=1&sslmode=disable`;
    await expect(establish(sourceOf(url))).rejects.toMatchObject({
      code: 'connection_timeout',
      hint: expect.stringContaining('connect_timeout') as string,
    });
  });

  it('waits once, whatever else the TLS mode would try', async () => {
    let connections = 0;
    const port = await listen(() => (connections += 1));
    const url = `postgresql://u@127.0.0.1:${port}/d?connect_timeout=1&sslmode=prefer`;
    await expect(establish(sourceOf(url))).rejects.toMatchObject({ code: 'connection_timeout' });
    expect(connections).toBe(1);
  });

  it('explains a container name used from outside its network', async () => {
    await expect(
      establish(sourceOf('postgresql://u@omninode-bridge-postgres/d')),
    ).rejects.toMatchObject({
      code: 'connection_refused',
      hint: expect.stringContaining('localhost:5436') as string,
    });
  });

  it('says that a socket is missing, by its path', async () => {
    await expect(establish(sourceOf('host=/nowhere user=u dbname=d'))).rejects.toMatchObject({
      code: 'connection_refused',
      message: expect.stringContaining('/nowhere/.s.PGSQL.5432') as string,
    });
  });

  it('names a database that does not exist', async () => {
    const url = changed((u) => (u.pathname = '/no_such_database'));
    await expect(establish(sourceOf(url))).rejects.toMatchObject({
      code: 'database_missing',
      exitCode: 3,
      hint: expect.stringContaining('createdb') as string,
    });
  });

  it('tells a wrong password from a missing one, and shows neither', async () => {
    const server = await startPrivateServer({ superuserPassword: 'right' });
    const wrong = new URL(server.url());
    wrong.password = 'wrong-password';
    const refused = await establish(sourceOf(wrong)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'authentication_failed' });
    expect(String(refused)).not.toContain('wrong-password');
    const none = new URL(server.url());
    none.password = '';
    await expect(establish(sourceOf(none))).rejects.toMatchObject({
      code: 'authentication_failed',
      message: expect.stringContaining('none was given') as string,
      hint: expect.stringContaining('pgpass') as string,
    });
    await server.stop();
  });
});

describe('the local container', () => {
  it('is recognised on its port, and nothing else is taken for it', async () => {
    const { port } = new URL(testServer().adminUrl);
    expect(await answersAsPostgres('127.0.0.1', Number(port))).toBe(true);
    const other = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await answersAsPostgres('127.0.0.1', other)).toBe(false);
    expect(await answersAsPostgres('127.0.0.1', await freePort())).toBe(false);
  });

  it('is pointed out when 5432 refuses and 5436 answers', async () => {
    // An address of the loopback range that nothing else on this machine listens on.
    const host = '127.0.54.36';
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('N'));
    });
    await new Promise<void>((resolve) => server.listen(5436, host, resolve));
    try {
      await expect(establish(sourceOf(`postgresql://u@${host}/d`))).rejects.toMatchObject({
        code: 'connection_refused',
        hint: expect.stringContaining('answers on port 5436') as string,
      });
    } finally {
      server.close();
    }
  });
});

describe('passwords', () => {
  it('stand in no printed form of the database', async () => {
    const server = await startPrivateServer({ superuserPassword: 'tell-nobody' });
    const database = await Database.open(sourceOf(server.url()));
    expect(JSON.stringify(database)).not.toContain('tell-nobody');
    const { inspect } = await import('node:util');
    expect(inspect(database, { depth: 10, showHidden: true })).not.toContain('tell-nobody');
    await database.close();
    await server.stop();
  });
});
