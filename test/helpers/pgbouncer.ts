import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterFile } from './end-of-file.js';
import { freePort } from './postgres-process.js';
import { provision, wantedMajor } from './provision.js';
import { testServer } from './server.js';
import { makeServerFolder } from './server-folders.js';
import { giveToServer, serverUser } from './server-user.js';
import { databaseUrl } from './template.js';

export type PgbouncerOptions = {
  /** Default `transaction`, the mode that hosted PostgreSQL offers and that forbids session state. */
  poolMode?: 'session' | 'transaction' | 'statement';
  /** Connections to the server for each database and user. Default 5. */
  poolSize?: number;
  /** Further lines for the section [pgbouncer], such as `server_lifetime`. */
  settings?: Record<string, string | number>;
};

export type Pgbouncer = {
  port: number;
  /** The URI of a database through the pooler. The database `pgbouncer` is its console (SHOW POOLS, PAUSE, …). */
  url(database: string): string;
  log(): string;
  /** Ends it with this signal; its clients' connections break. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

const running = new Set<Pgbouncer>();

/** Starts a pooler in front of a server, the shared one or a private one. Stopped by itself at the end of the test file. */
export async function startPgbouncer(
  server: { adminUrl: string },
  options: PgbouncerOptions = {},
): Promise<Pgbouncer> {
  const { poolMode = 'transaction', poolSize = 5, settings = {} } = options;
  const binaries = await provision(wantedMajor());
  const folder = makeServerFolder(testServer().owner);
  const port = await freePort();
  const upstream = new URL(server.adminUrl);
  const user = decodeURIComponent(upstream.username);
  const password = decodeURIComponent(upstream.password);
  const file = (name: string) => join(folder, name);
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  write(file('users.txt'), `${quoted(user)} ${quoted(password)}\n`);
  write(
    file('pgbouncer.ini'),
    [
      '[databases]',
      `* = host=${decodeURIComponent(upstream.hostname)} port=${upstream.port || 5432}`,
      '[pgbouncer]',
      `listen_addr = 127.0.0.1`,
      `listen_port = ${port}`,
      'unix_socket_dir =',
      `auth_type = scram-sha-256`,
      `auth_file = ${file('users.txt')}`,
      `admin_users = ${user}`,
      `pool_mode = ${poolMode}`,
      `default_pool_size = ${poolSize}`,
      ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n'),
  );

  let child: ChildProcess | undefined;
  const start = async () => {
    const log = openSync(file('pgbouncer.log'), 'a');
    child = spawn(binaries.pgbouncer, [file('pgbouncer.ini')], {
      ...serverUser(),
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    child.unref();
    // Written here, since pgbouncer itself could not create a file in this folder: for the clean-up after a kill.
    writeFileSync(file('pgbouncer.pid'), `${child.pid ?? ''}\n`);
    await answers(port, child).catch((error: unknown) => {
      throw new Error(`pgbouncer did not start:\n${pooler.log()}`, { cause: error });
    });
  };

  const pooler: Pgbouncer = {
    port,
    url: (database) => {
      const url = new URL(databaseUrl(server.adminUrl, database));
      url.hostname = '127.0.0.1';
      url.port = String(port);
      return url.href;
    },
    log: () => readFileSync(file('pgbouncer.log'), 'utf8'),
    start,
    async end(signal) {
      if (child) await end(child, signal);
    },
    async stop() {
      running.delete(pooler);
      if (child) await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  running.add(pooler);
  await start();
  return pooler;
}

/** Stops the poolers that the test file left running. */
async function stopAllPgbouncers(): Promise<void> {
  await Promise.all([...running].map((pooler) => pooler.stop()));
}
afterFile('poolers', stopAllPgbouncers);

function write(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600 });
  giveToServer(path);
}

async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(late);
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(20);
    } finally {
      socket.destroy();
    }
  }
  throw new Error('it does not listen');
}
