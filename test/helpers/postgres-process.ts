import { spawn, execFile, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Binaries } from './provision.js';
import { makeServerFolder, unmountDisk, type Owner } from './server-folders.js';
import { giveToServer, serverUser } from './server-user.js';

const run = promisify(execFile);
const startTimeout = 60_000;
const stopTimeout = 60_000;

/** Server settings as they stand in postgresql.conf. */
export type Settings = Record<string, string | number | boolean>;

export type StopMode = 'smart' | 'fast' | 'immediate';
const stopSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/**
 * What holds for every test server.
 * - jit: the folder has no LLVM.
 * - mmap: containers give /dev/shm 64 MB, less than a parallel index build wants.
 * - fsync: a killed process loses nothing that it wrote, only a killed machine would.
 */
const commonSettings: Settings = {
  jit: 'off',
  dynamic_shared_memory_type: 'mmap',
  fsync: 'off',
  max_connections: 200,
  shared_buffers: '128MB',
  max_wal_size: '2GB',
};

/** A busy server writes on while its disk is measured. */
const slackBytes = 4 * 1024 * 1024;

/** The environment of the server and its tools: nothing of ours may change what they do. */
const serverEnvironment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** Locales of `lc_messages` for which the server's messages are there. */
const anyLocale = '/usr/lib/locale/C.utf8';
const messageLocales = ['de_DE.UTF-8', 'fr_FR.UTF-8'];

/** A free port outside the range from which the system serves outgoing connections, so that it stays ours after a stop. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    try {
      probe.listen(port, '127.0.0.1');
      await once(probe, 'listening');
      return port;
    } catch {
      continue;
    } finally {
      probe.close();
    }
  }
}

export type PostgresProcessOptions = {
  binaries: Binaries;
  owner: Owner;
  settings?: Settings;
  /** Default: a free one. */
  port?: number;
  /** Default: a random one. Connections by TCP need it, those by the unix socket do not. */
  superuserPassword?: string;
  /** Megabytes: the data lies on a disk of its own of that size. Needs root. */
  diskMb?: number;
  /** A folder that outlives the run: a cluster that is there is used again, with its password. Default: one of the owner's. */
  folder?: string;
};

/** One PostgreSQL server in a folder of its own, started without pg_ctl so that its process is ours to kill. */
export class PostgresProcess {
  readonly host = '127.0.0.1';
  readonly user = 'postgres';
  readonly dataFolder: string;
  /** The host of a connection by unix socket; open to the server's user (and root) only. */
  readonly socketFolder: string;
  readonly logFile: string;
  #child: ChildProcess | undefined;

  private constructor(
    readonly binaries: Binaries,
    readonly folder: string,
    readonly port: number,
    readonly password: string,
    readonly settings: Settings,
  ) {
    this.dataFolder = join(folder, 'data');
    this.socketFolder = join(folder, 'socket');
    this.logFile = join(folder, 'server.log');
  }

  /** Makes the folders and, unless `fill` brings the data from elsewhere, a new cluster. Does not start the server. */
  static async create(
    options: PostgresProcessOptions,
    fill: (server: PostgresProcess) => Promise<void> = (server) => server.#initdb(),
  ): Promise<PostgresProcess> {
    const server = new PostgresProcess(
      options.binaries,
      options.folder ?? makeServerFolder(options.owner),
      options.port ?? (await freePort()),
      options.superuserPassword ?? randomBytes(12).toString('hex'),
      { ...commonSettings, ...options.settings },
    );
    if (existsSync(join(server.dataFolder, 'PG_VERSION'))) return server;
    for (const path of [server.dataFolder, server.socketFolder]) {
      mkdirSync(path, { mode: 0o700, recursive: true });
      giveToServer(path);
    }
    // The names are all that the server's translations need: the locales themselves are C's.
    for (const name of existsSync(anyLocale) ? messageLocales : []) {
      cpSync(anyLocale, join(server.folder, 'locales', name), { recursive: true });
    }
    if (options.diskMb !== undefined) {
      const size = `size=${options.diskMb}m,mode=700`;
      await run('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', server.dataFolder]);
      giveToServer(server.dataFolder);
    }
    await fill(server);
    return server;
  }

  /** The connection URI of a database by TCP, password included. */
  url(database = 'postgres'): string {
    return `postgres://${this.user}:${encodeURIComponent(this.password)}@${this.host}:${this.port}/${encodeURIComponent(database)}`;
  }

  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined;
  }

  get running(): boolean {
    const child = this.#child;
    return child?.exitCode === null && child.signalCode === null;
  }

  /** The server's log since it was created. */
  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** Runs one of the server's own programs as the server's user. */
  async tool(name: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { stdout } = await run(join(this.binaries.binDir, name), args, {
      ...serverUser(),
      cwd: '/',
      env: { ...serverEnvironment, ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  }

  async #initdb(): Promise<void> {
    const passwordFile = join(this.folder, 'password');
    writeFileSync(passwordFile, `${this.password}\n`, { mode: 0o600 });
    giveToServer(passwordFile);
    try {
      await this.tool('initdb', [
        `--pgdata=${this.dataFolder}`,
        `--username=${this.user}`,
        `--pwfile=${passwordFile}`,
        '--auth-local=trust',
        '--auth-host=scram-sha-256',
        '--encoding=UTF8',
        ...(this.binaries.major < 17
          ? ['--locale=C.UTF-8']
          : ['--locale-provider=builtin', '--builtin-locale=C.UTF-8']),
        '--no-sync',
        '--no-instructions',
        // The default of 4096 rounds costs every connection some milliseconds, for a password that lives minutes.
        ...(this.binaries.major < 16 ? [] : ['--set=scram_iterations=1']),
      ]);
    } finally {
      rmSync(passwordFile);
    }
  }

  /** From the next start on, connections by TCP must use TLS. */
  requireTls(): void {
    const file = join(this.dataFolder, 'pg_hba.conf');
    const rules = readFileSync(file, 'utf8');
    writeFileSync(file, rules.replaceAll(/^host(?=\s)/gm, 'hostssl'));
  }

  /** `full`: its disk, made by `diskMb`, is hardly larger now than what is on it. Megabytes: it has that size again. */
  async resizeDisk(to: 'full' | number): Promise<void> {
    const { bsize, blocks, bfree } = statfsSync(this.dataFolder);
    const size = to === 'full' ? String(bsize * (blocks - bfree) + slackBytes) : `${to}m`;
    await run('mount', ['-o', `remount,size=${size}`, this.dataFolder]);
  }

  /** Starts the server, or starts it again on the same port and data; resolves when it accepts connections. */
  async start(): Promise<void> {
    if (this.running) throw new Error('the server runs already');
    const deadline = Date.now() + startTimeout;
    for (;;) {
      const logged = this.#logSize();
      this.#spawn();
      if (await this.#becomesReady(deadline)) return;
      const message = this.log().slice(logged);
      // The processes of a killed server take a moment to notice, and until then hold its memory.
      const lingering = /pre-existing shared memory block|is another postmaster/.test(message);
      if (!lingering || Date.now() > deadline) {
        throw new Error(`PostgreSQL did not start in ${this.folder}:\n${message}`);
      }
      await sleep(100);
    }
  }

  #logSize(): number {
    try {
      return this.log().length;
    } catch {
      return 0;
    }
  }

  #spawn(): void {
    const settings = {
      ...this.settings,
      port: this.port,
      listen_addresses: this.host,
      unix_socket_directories: this.socketFolder,
    };
    const log = openSync(this.logFile, 'a');
    try {
      this.#child = spawn(
        join(this.binaries.binDir, 'postgres'),
        [
          '-D',
          this.dataFolder,
          ...Object.entries(settings).flatMap(([name, value]) => [
            '-c',
            `${name}=${String(value)}`,
          ]),
        ],
        {
          ...serverUser(),
          cwd: '/',
          env: { ...serverEnvironment, LOCPATH: join(this.folder, 'locales') },
          stdio: ['ignore', log, log],
          // In a group of its own, or a Ctrl-C at the runner would stop it before we do.
          detached: true,
        },
      );
    } finally {
      closeSync(log);
    }
    this.#child.unref();
  }

  async #becomesReady(deadline: number): Promise<boolean> {
    const pidFile = join(this.dataFolder, 'postmaster.pid');
    while (this.running && Date.now() < deadline) {
      const [pid, , , , , , , status] = this.#readLines(pidFile);
      if (Number(pid) === this.#child?.pid && status?.trim() === 'ready') return true;
      await sleep(10);
    }
    return false;
  }

  #readLines(file: string): string[] {
    try {
      return readFileSync(file, 'utf8').split('\n');
    } catch {
      return [];
    }
  }

  /** Stops the server as `pg_ctl stop -m` does; does nothing when it is stopped. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.#end(stopSignals[mode]);
  }

  /** Kills the postmaster as the kernel would: nothing is written, the next start recovers from the log. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || !this.running) return;
    const exited = once(child, 'exit', { signal: AbortSignal.timeout(stopTimeout) });
    child.kill(signal);
    await exited.catch((error: unknown) => {
      throw new Error(`PostgreSQL did not stop on ${signal}; see ${this.logFile}`, {
        cause: error,
      });
    });
  }

  /** Stops the server and removes its folder. */
  async remove(): Promise<void> {
    await this.stop('immediate');
    unmountDisk(this.dataFolder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}
