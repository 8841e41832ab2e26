import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { PostgresProcess, type Settings } from '../../test/helpers/postgres-process.js';
import { provision } from '../../test/helpers/provision.js';
import {
  currentOwner,
  removeServersOf,
  removeServersOfSync,
} from '../../test/helpers/server-folders.js';
import { startSharedServer } from '../../test/helpers/shared-server.js';
import { databaseUrl, runOnce } from '../../test/helpers/template.js';

export type BenchServer = {
  /** Creates a database, a copy of another when `template` is given, and returns its URI; drops one of the same name. */
  create(database: string, template?: string): Promise<string>;
  drop(database: string): Promise<void>;
  /**
   * A database that `fill` has filled. Of a kept server it stays, and is not filled again: its name must say what is in it.
   * Filled under another name first, so that a run that is broken off leaves nothing half full. With `inParts`, `fill` goes on
   * with what such a run has left.
   */
  filled(
    database: string,
    fill: (url: string) => Promise<void>,
    inParts?: boolean,
  ): Promise<string>;
  /** Of a superuser. */
  adminUrl: string;
  description: string;
};

/** Flags of a benchmark that takes long to fill: `--data FOLDER` keeps its server there, `--fill` only fills. */
export const keptFlags = {
  data: { type: 'string' },
  fill: { type: 'boolean', default: false },
} as const;

/**
 * Runs a benchmark on the server that the tests would use: TEST_DATABASE_URL, a container, or Debian's packages
 * (fsync off). Compare ratios within one run, not milliseconds between machines.
 *
 * @param settings those that the benchmark depends on: then it gets a server of its own, of Debian's packages
 * @param folder where that server is kept, with what was filled
 */
export async function withBenchServer(
  run: (server: BenchServer) => Promise<void>,
  settings?: Settings,
  folder?: string,
): Promise<void> {
  const { server, stop, stopSync } =
    folder !== undefined
      ? await startKeptServer(folder, settings ?? {})
      : settings
        ? await startOwnServer(settings)
        : await startSharedServer(currentOwner());
  const onSignal = () => {
    stopSync();
    process.exit(130);
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const drop = async (database: string): Promise<void> => {
    await runOnce(server.adminUrl, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  };
  const create = async (database: string, template?: string): Promise<string> => {
    await drop(database);
    const from = template === undefined ? 'template0' : `${template} STRATEGY file_copy`;
    await runOnce(server.adminUrl, `CREATE DATABASE ${database} TEMPLATE ${from}`);
    // Copying leaves dirty pages: they must not be written while the clock runs.
    await runOnce(server.adminUrl, 'CHECKPOINT');
    return databaseUrl(server.adminUrl, database);
  };
  try {
    await run({
      create,
      drop,
      filled: async (database, fill, inParts = false) => {
        const url = databaseUrl(server.adminUrl, database);
        const filling = `${database}_filling`;
        const found = await runOnce<{ datname: string }>(
          server.adminUrl,
          'SELECT datname FROM pg_database WHERE datname = ANY ($1)',
          [[database, filling]],
        );
        const isThere = (name: string) =>
          folder !== undefined && found.some(({ datname }) => datname === name);
        if (isThere(database)) return url;
        const began = performance.now();
        const goesOn = inParts && isThere(filling);
        await fill(goesOn ? databaseUrl(server.adminUrl, filling) : await create(filling));
        await runOnce(server.adminUrl, 'CHECKPOINT');
        await drop(database);
        await runOnce(server.adminUrl, `ALTER DATABASE ${filling} RENAME TO ${database}`);
        const [size] = await runOnce<{ bytes: number }>(
          server.adminUrl,
          'SELECT pg_database_size($1)::float8 AS bytes',
          [database],
        );
        console.log(
          `${database}: filled in ${Math.round((performance.now() - began) / 1_000)} s, ` +
            `${((size?.bytes ?? 0) / 1e9).toFixed(1)} GB`,
        );
        return url;
      },
      adminUrl: server.adminUrl,
      description: `PostgreSQL ${server.version}, ${server.description}`,
    });
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await stop();
  }
}

async function startOwnServer(settings: Settings) {
  const owner = currentOwner();
  const process = await PostgresProcess.create({ binaries: await provision(), owner, settings });
  return {
    server: await started(process, settings),
    stop: () => removeServersOf(owner),
    stopSync: () => removeServersOfSync(owner),
  };
}

async function started(process: PostgresProcess, settings: Settings) {
  await process.start();
  const [row] = await runOnce(process.url(), 'SHOW server_version');
  return {
    adminUrl: process.url(),
    version: String(row?.server_version).split(' ')[0] ?? '',
    description: Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  };
}

/** Stopped, never removed, when the benchmark ends. */
async function startKeptServer(folder: string, settings: Settings) {
  const home = path.resolve(folder);
  mkdirSync(home, { recursive: true });
  // The user that the server runs as passes through.
  chmodSync(home, 0o711);
  const server = await PostgresProcess.create({
    binaries: await provision(),
    owner: currentOwner(),
    settings,
    superuserPassword: 'bench',
    folder: home,
  });
  return {
    server: await started(server, settings),
    stop: () => server.stop(),
    stopSync: () => {
      if (server.pid !== undefined) process.kill(server.pid, 'SIGINT');
    },
  };
}

/** A connection for the duration of `use`. */
export async function connected<Result>(
  url: string,
  body: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

type Asking = { query(sql: string): Promise<{ rows: unknown[] }> };

/**
 * Processor time that the open connections of a database have used on the server, milliseconds;
 * undefined where its processes cannot be seen (another machine, a container).
 */
export async function serverCpuMs(connection: Asking, which = 'true'): Promise<number | undefined> {
  const { rows } = await connection.query(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND ${which}`,
  );
  try {
    return (rows as { pid: number }[]).reduce((sum, { pid }) => sum + cpuMsOf(pid), 0);
  } catch {
    return undefined;
  }
}

/** utime and stime stand behind the name in parentheses, in hundredths of a second. */
function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  if (!/postgres|ld-linux/.test(stat)) throw new Error('not a process of the server');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}
