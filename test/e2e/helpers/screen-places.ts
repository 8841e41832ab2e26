import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { ScreenPlace } from './screens.js';
import { spawn, type TerminalDriver } from './terminal.js';

const alertRule = `[alerts.rules.failures]
pane = "recent-traces"
when = "status:failed share>1%"
`;

/** Opens consoles on everything that a screen can be of: a database, a recording, a server that goes away. */
export class ScreenPlaces {
  readonly #program: string;
  readonly #url: string;
  readonly #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-screens-'));
  readonly #drivers = new Set<TerminalDriver>();
  #isWatched = false;
  readonly #ends: (() => Promise<void> | void)[] = [];

  /** @param url of a database whose user may create others on its server */
  constructor(program: string, url: string) {
    this.#program = program;
    this.#url = url;
  }

  /** A console as a newcomer finds it, with every pane read. */
  async open(place: ScreenPlace, size: { cols: number; rows: number }): Promise<TerminalDriver> {
    switch (place) {
      case 'database':
        await this.#idle();
        return this.#filled(this.#start(['--url', this.#url], size));
      case 'alerts': {
        const file = path.join(this.#folder, 'alerts.toml');
        fs.writeFileSync(file, alertRule);
        return this.#filled(this.#start(['--url', this.#url, '--config', file], size));
      }
      case 'firstRun':
        return this.#start(['--url', await this.#foreignDatabase()], size);
      case 'otherTables': {
        const url = await this.#foreignDatabase();
        await query(url, 'CREATE TABLE execution_traces (id int)');
        return this.#start(['--url', url], size);
      }
      case 'replay':
        return this.#start(['replay', await this.#recording(size)], size);
      case 'lost': {
        const proxy = await startProxy(this.#url);
        this.#ends.push(() => proxy.cut());
        const driver = await this.#filled(this.#start(['--url', proxy.url], size));
        proxy.cut();
        await driver.waitFor(/no connection for \d+s/);
        return driver;
      }
    }
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#drivers].map((driver) => driver.dispose()));
    for (const end of this.#ends) await end();
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(args: readonly string[], size: { cols: number; rows: number }): TerminalDriver {
    const state = fs.mkdtempSync(path.join(this.#folder, 'state-'));
    const driver = spawn(process.execPath, [this.#program, ...args], {
      ...size,
      env: {
        XDG_STATE_HOME: state,
        XDG_CONFIG_HOME: state,
        TRACE_CONSOLE_EXPORT_FOLDER: this.#folder,
      },
    });
    this.#drivers.add(driver);
    return driver;
  }

  async #filled(driver: TerminalDriver): Promise<TerminalDriver> {
    await driver.waitFor((lines) => {
      const text = lines.join('\n');
      return /tps \d/.test(text) && !text.includes('asking …') && !text.includes('fetching');
    }, 60_000);
    return driver;
  }

  /** Somebody to be seen among the sessions. */
  async #idle(): Promise<void> {
    if (this.#isWatched) return;
    this.#isWatched = true;
    const client = new pg.Client({ connectionString: this.#url });
    this.#ends.push(() => client.end());
    await client.connect();
    await client.query('BEGIN; SELECT 1');
  }

  async #recording(size: { cols: number; rows: number }): Promise<string> {
    const file = path.join(this.#folder, 'incident.jsonl');
    const driver = await this.#filled(this.#start(['--url', this.#url, '--record', file], size));
    // What is shown is written within half a second; a recording has a beginning and an end.
    const written = () => (fs.existsSync(file) ? fs.statSync(file).size : 0);
    for (let before = 0; written() === 0 || written() === before; before = written()) {
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      driver.press('\x12');
    }
    driver.press('q');
    await driver.waitForExit();
    return file;
  }

  /** A database in which others have a table, so that the console asks before it creates anything. */
  async #foreignDatabase(): Promise<string> {
    const url = new URL(this.#url);
    const name = `${url.pathname.slice(1)}_foreign`;
    await this.#admin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await this.#admin(`CREATE DATABASE ${name} TEMPLATE template0`);
    this.#ends.push(() => this.#admin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    url.pathname = `/${name}`;
    await query(url.href, 'CREATE TABLE invoices (id int)');
    return url.href;
  }

  #admin(sql: string): Promise<void> {
    return query(this.#url, sql);
  }
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

type Proxy = { url: string; cut(): void };

/** A way to the server that can be cut. */
async function startProxy(to: string): Promise<Proxy> {
  const url = new URL(to);
  const target = { host: url.hostname, port: Number(url.port) };
  const sockets = new Set<net.Socket>();
  const proxy = net.createServer((near) => {
    const far = net.connect(target);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  url.port = String(address !== null && typeof address === 'object' ? address.port : 0);
  url.hostname = '127.0.0.1';
  return {
    url: url.href,
    cut() {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
