import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createCertificates, type Certificates } from './certificates.js';
import { afterFile } from './end-of-file.js';
import { PostgresProcess, freePort, type Settings, type StopMode } from './postgres-process.js';
import { provision, wantedMajor, type Binaries } from './provision.js';
import { testServer } from './server.js';
import { applySchemaFiles, runOnce } from './template.js';

export type TlsOptions = {
  /** The names in the server's certificate. Default: localhost and 127.0.0.1. */
  names?: string[];
  /** True: connections by TCP without TLS are refused. */
  required?: boolean;
};

export type PrivateServerOptions = {
  /** Default: the run's major version. */
  major?: number;
  settings?: Settings;
  /** Default: a free one. */
  port?: number;
  /** Default: a random one. */
  superuserPassword?: string;
  /** Megabytes: the data lies on a disk of its own of that size, which {@link PrivateServer.resizeDisk} makes full. Needs root. */
  diskMb?: number;
  /** True: TLS with a certificate for localhost and 127.0.0.1. */
  tls?: boolean | TlsOptions;
};

const run = promisify(execFile);
const running = new Set<PrivateServer>();

/**
 * A server of one test file's own, for what must not happen to others: stops, kills, failover, roles, settings. Needs
 * Debian's packages wherever the shared server comes from. Removed by itself at the end of the test file.
 */
export class PrivateServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The superuser's connection to the database `postgres`. */
  readonly adminUrl: string;
  /** The host of a connection by unix socket, which needs no password but root or the server's user. */
  readonly socketFolder: string;
  readonly dataFolder: string;
  readonly binaries: Binaries;

  constructor(
    readonly process: PostgresProcess,
    readonly certificates?: Certificates,
  ) {
    this.host = process.host;
    this.port = process.port;
    this.user = process.user;
    this.password = process.password;
    this.adminUrl = process.url();
    this.socketFolder = process.socketFolder;
    this.dataFolder = process.dataFolder;
    this.binaries = process.binaries;
    running.add(this);
  }

  /** The superuser's connection URI to a database. */
  url(database = 'postgres'): string {
    return this.process.url(database);
  }

  get running(): boolean {
    return this.process.running;
  }

  /** The postmaster's process id while it runs. */
  get pid(): number | undefined {
    return this.process.pid;
  }

  log(): string {
    return this.process.log();
  }

  /** Creates a database, empty or with the schema files applied, and returns its URI. */
  async createDatabase(name: string, options: { schema?: boolean } = {}): Promise<string> {
    await runOnce(this.adminUrl, `CREATE DATABASE "${name}" TEMPLATE template0`);
    if (options.schema ?? true) await applySchemaFiles(this.url(name));
    return this.url(name);
  }

  /** Starts the stopped or killed server again, on the same port and data. */
  async start(): Promise<void> {
    await this.process.start();
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.process.stop(mode);
  }

  async resizeDisk(to: 'full' | number): Promise<void> {
    await this.process.resizeDisk(to);
  }

  async kill9(): Promise<void> {
    await this.process.kill9();
  }

  /** Copies the running server and starts the copy as its hot standby (streaming, asynchronous) on a port of its own. */
  async basebackupStandby(
    options: { settings?: Settings; port?: number } = {},
  ): Promise<PrivateServer> {
    const standby = await PostgresProcess.create(
      {
        binaries: this.binaries,
        owner: testServer().owner,
        port: options.port ?? (await freePort()),
        settings: { ...this.process.settings, ...options.settings },
        superuserPassword: this.password,
      },
      async (target) => {
        await target.tool('pg_basebackup', [
          `--pgdata=${target.dataFolder}`,
          `--host=${this.socketFolder}`,
          `--port=${this.port}`,
          `--username=${this.user}`,
          ...['--write-recovery-conf', '--wal-method=stream', '--checkpoint=fast', '--no-sync'],
        ]);
      },
    );
    const server = new PrivateServer(standby, this.certificates);
    await server.start();
    return server;
  }

  /** Makes a standby the primary; resolves when it accepts writes. */
  async promote(): Promise<void> {
    const [row] = await runOnce<{ promoted: boolean }>(
      this.adminUrl,
      'SELECT pg_promote(true, 60) AS promoted',
    );
    if (!row?.promoted) throw new Error(`the standby was not promoted:\n${this.log()}`);
  }

  /** Stops the server and removes its data. */
  async remove(): Promise<void> {
    running.delete(this);
    await this.process.remove();
  }
}

/** Makes and starts a server; takes about a second. */
export async function startPrivateServer(
  options: PrivateServerOptions = {},
): Promise<PrivateServer> {
  const { major = wantedMajor(), settings = {}, port, superuserPassword, diskMb } = options;
  const { tls = false } = options;
  const binaries = await provision(major);
  let certificates: Certificates | undefined;
  const shared = testServer();
  // Its password is in it.
  const cluster =
    superuserPassword === undefined && shared.major === major ? shared.cluster : undefined;
  const password = superuserPassword ?? cluster?.password;
  const postgres = await PostgresProcess.create(
    {
      binaries,
      owner: shared.owner,
      settings,
      ...(port === undefined ? {} : { port }),
      ...(password === undefined ? {} : { superuserPassword: password }),
      ...(diskMb === undefined ? {} : { diskMb }),
    },
    cluster &&
      (async (target) => {
        await run('cp', ['-a', `${cluster.folder}/.`, target.dataFolder]);
      }),
  );
  if (tls !== false) {
    const { names, required = false } = tls === true ? {} : tls;
    certificates = await createCertificates(join(postgres.folder, 'tls'), binaries, names);
    postgres.settings.ssl = 'on';
    postgres.settings.ssl_cert_file = certificates.serverCertificate;
    postgres.settings.ssl_key_file = certificates.serverKey;
    if (required) postgres.requireTls();
  }
  const server = new PrivateServer(postgres, certificates);
  await server.start();
  return server;
}

/** Removes what the test file left running. */
async function removeAllPrivateServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.remove()));
}
afterFile('servers', removeAllPrivateServers);
