import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { Database } from '../../../src/db/database.js';
import { openEmbedded, stopEmbedded } from '../../../src/embedded/running.js';
import type { EmbeddedAddress, OpenEmbeddedOptions } from '../../../src/embedded/running.js';
import { testPrograms } from '../programs.js';

/** A data folder of a test; what is left of its daemon is stopped with it. */
export class TestFolder {
  readonly base = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-data-'));
  readonly dataDir = path.join(this.base, 'embedded');

  async open(options: OpenEmbeddedOptions = {}): Promise<EmbeddedAddress> {
    const programs = await testPrograms();
    return openEmbedded({ dataDir: this.dataDir, programs, ...options });
  }

  async remove(): Promise<void> {
    if (fs.existsSync(this.dataDir)) await stopEmbedded(this.dataDir);
    fs.rmSync(this.base, { recursive: true, force: true, maxRetries: 3 });
  }

  get log(): string {
    return fs.readFileSync(path.join(this.dataDir, 'daemon.log'), 'utf8');
  }
}

/** The console's own kind of connection to the database of a folder. */
export function openDatabase(folder: TestFolder, address: EmbeddedAddress): Promise<Database> {
  const { host, port, user, database } = address;
  return Database.open(
    {
      kind: 'server',
      origin: 'embedded',
      ...{ host, port, user, database, password: '', parameters: {} },
      connectTimeoutMs: 10_000,
    },
    { wake: () => folder.open() },
  );
}

export function clientConfig(address: EmbeddedAddress): pg.ClientConfig {
  const { host, port, user, database } = address;
  return { host, port, user, database };
}

export async function connect(
  address: EmbeddedAddress,
  options: pg.ClientConfig = {},
): Promise<pg.Client> {
  const client = new pg.Client({ ...clientConfig(address), ...options });
  // The end of a connection is what some tests are about: it must not end the test run.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** One value of one row. */
export async function value(client: pg.Client | pg.Pool, sql: string): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(sql);
  return Object.values(rows[0] ?? {})[0];
}
