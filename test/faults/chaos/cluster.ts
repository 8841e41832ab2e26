import pg from 'pg';
import { startPgbouncer, type Pgbouncer } from '../../helpers/pgbouncer.js';
import { startPrivateServer, type PrivateServer } from '../../helpers/private-server.js';
import { Proxy } from '../../helpers/proxy.js';

const diskMb = 6_000;

/**
 * A primary with a disk of its own and a standby that has confirmed what is committed; a pooler, whose server is
 * wherever the primary is; and a line of their own to it for consoles and for traffic.
 */
export class Cluster {
  #leader: PrivateServer;

  private constructor(
    readonly primary: PrivateServer,
    readonly standby: PrivateServer,
    readonly pooler: Pgbouncer,
    readonly consoleLine: Proxy,
    readonly trafficLine: Proxy,
    readonly address: Proxy,
  ) {
    this.#leader = primary;
  }

  static async start(): Promise<Cluster> {
    const primary = await startPrivateServer({
      diskMb,
      // What the standby lacks is kept for it, and fits on the disk.
      settings: { max_wal_size: '512MB', wal_keep_size: '1GB' },
    });
    await primary.createDatabase('traces');
    const standby = await primary.basebackupStandby();
    await commit(primary.adminUrl, [
      `ALTER SYSTEM SET synchronous_standby_names = '*'`,
      'SELECT pg_reload_conf()',
    ]);
    const address = await Proxy.start(primary);
    const pooler = await startPgbouncer(
      { adminUrl: address.through(primary.adminUrl) },
      // A pooler in front of servers that fail over tries again soon; its default are 15 s.
      { poolSize: 15, settings: { server_login_retry: 2 } },
    );
    const behind = { host: '127.0.0.1', port: pooler.port };
    const lines = await Promise.all([Proxy.start(behind), Proxy.start(behind)]);
    return new Cluster(primary, standby, pooler, ...lines, address);
  }

  /** The server that takes writes. */
  get leader(): PrivateServer {
    return this.#leader;
  }

  /** By the names of both servers, past the pooler. */
  get hostsUrl(): string {
    const hosts = [this.standby, this.primary].map(({ host, port }) => `${host}:${port}`).join(',');
    const url = this.primary.url('traces').replace(/@[^/]*\//, `@${hosts}/`);
    return `${url}?target_session_attrs=read-write`;
  }

  pooledUrl(line: Proxy): string {
    return line.through(this.pooler.url('traces'));
  }

  async fillDisk(): Promise<void> {
    await this.primary.resizeDisk('full');
  }

  /** Gives it room again; a server whose log had none has ended. */
  async freeDisk(): Promise<void> {
    await this.primary.resizeDisk(diskMb);
    if (!this.primary.running) await this.primary.start();
  }

  /** The primary is lost, the standby takes over, and its address with it. */
  async failOver(): Promise<void> {
    await this.primary.kill9();
    await this.standby.promote();
    this.address.target = this.standby;
    this.#leader = this.standby;
  }

  async stop(): Promise<void> {
    await Promise.all([this.consoleLine.stop(), this.trafficLine.stop()]);
    await this.pooler.stop();
    await this.address.stop();
    await Promise.all([this.primary.remove(), this.standby.remove()]);
  }
}

async function commit(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
