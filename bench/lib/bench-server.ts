import { readFileSync } from 'node:fs';
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
  description: string;
};

/**
 * Runs a benchmark on the server that the tests would use: TEST_DATABASE_URL, a container, or Debian's packages
 * (fsync off). Compare ratios within one run, not milliseconds between machines.
 *
 * @param settings those that the benchmark depends on: then it gets a server of its own, of Debian's packages
 */
export async function withBenchServer(
  run: (server: BenchServer) => Promise<void>,
  settings?: Settings,
): Promise<void> {
  const { server, stop, stopSync } = settings
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
  try {
    await run({
      create: async (database, template) => {
        await drop(database);
        const from = template === undefined ? 'template0' : `${template} STRATEGY file_copy`;
        await runOnce(server.adminUrl, `CREATE DATABASE ${database} TEMPLATE ${from}`);
        // Copying leaves dirty pages: they must not be written while the clock runs.
        await runOnce(server.adminUrl, 'CHECKPOINT');
        return databaseUrl(server.adminUrl, database);
      },
      drop,
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
  await process.start();
  const [row] = await runOnce(process.url(), 'SHOW server_version');
  const told = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return {
    server: {
      adminUrl: process.url(),
      version: String(row?.server_version).split(' ')[0],
      description: told.join(', '),
    },
    stop: () => removeServersOf(owner),
    stopSync: () => removeServersOfSync(owner),
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
export async function serverCpuMs(connection: Asking): Promise<number | undefined> {
  const { rows } = await connection.query(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'`,
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
