import { randomBytes } from 'node:crypto';
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import {
  findContainerEngine,
  removeContainer,
  startContainer,
  type ContainerEngine,
} from './container.js';
import { PostgresProcess } from './postgres-process.js';
import { provision, wantedMajor } from './provision.js';
import {
  memoryFolder,
  type Owner,
  removeServersOf,
  removeServersOfSync,
} from './server-folders.js';

const run = promisify(execFile);

/** Where the server of a test run comes from. */
export type ServerSource =
  | { kind: 'url'; url: string }
  | { kind: 'container'; engine: ContainerEngine }
  | { kind: 'packages' };

/** TEST_DATABASE_URL, else a container engine that answers, else Debian's packages. An empty variable counts as unset. */
export async function resolveServerSource(
  env: NodeJS.ProcessEnv = process.env,
  findEngine = findContainerEngine,
): Promise<ServerSource> {
  if (env.TEST_DATABASE_URL) return { kind: 'url', url: env.TEST_DATABASE_URL };
  const engine = await findEngine();
  return engine ? { kind: 'container', engine } : { kind: 'packages' };
}

/** The server that all test files of a run share. Serialisable: it is handed to the workers. */
export type SharedServer = {
  /** A superuser's connection to the database `postgres`, or what TEST_DATABASE_URL says. */
  adminUrl: string;
  host: string;
  port: number;
  /** As `server_version` says it, "17.11". */
  version: string;
  major: number;
  /** "Debian packages in /var/…", for people. */
  description: string;
  /** The folder with psql, pg_dump, …; only with Debian's packages. */
  binDir?: string;
  /** A new cluster of this version, which private servers are copied from; only where files lie in memory. */
  cluster?: { folder: string; password: string };
};

export type RunningServer = {
  server: SharedServer;
  stop: () => Promise<void>;
  /** For signal handlers. */
  stopSync: () => void;
};

type Started = Pick<SharedServer, 'adminUrl' | 'description' | 'binDir' | 'cluster'> & {
  stop: () => Promise<void>;
  stopSync: () => void;
};

/** Starts or finds the server, and checks that it is one that the tests can use. */
export async function startSharedServer(
  owner: Owner,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RunningServer> {
  const source = await resolveServerSource(env);
  const started = await start(source, owner, wantedMajor(env));
  try {
    const { version, major } = await inspect(started.adminUrl, source, env);
    const { hostname, port } = new URL(started.adminUrl);
    const server: SharedServer = {
      adminUrl: started.adminUrl,
      host: decodeURIComponent(hostname),
      port: Number(port || 5432),
      version,
      major,
      description: started.description,
      ...(started.binDir === undefined ? {} : { binDir: started.binDir }),
      ...(started.cluster === undefined ? {} : { cluster: started.cluster }),
    };
    return { server, stop: started.stop, stopSync: started.stopSync };
  } catch (error) {
    await started.stop();
    throw error;
  }
}

async function start(source: ServerSource, owner: Owner, major: number): Promise<Started> {
  switch (source.kind) {
    case 'url':
      return {
        adminUrl: source.url,
        description: 'TEST_DATABASE_URL',
        stop: () => Promise.resolve(),
        stopSync: () => undefined,
      };
    case 'container':
      return startInContainer(source.engine, major, owner);
    case 'packages':
      return startFromPackages(owner, major);
  }
}

async function startInContainer(
  engine: ContainerEngine,
  major: number,
  owner: Owner,
): Promise<Started> {
  const password = randomBytes(12).toString('hex');
  const container = await startContainer(engine, major, password, owner);
  return {
    adminUrl: `postgres://postgres:${password}@127.0.0.1:${container.port}/postgres`,
    description: `${engine}, image ${container.image}`,
    stop: () => removeContainer(engine, container.name),
    stopSync: () => execFileSync(engine, ['kill', container.name], { stdio: 'ignore' }),
  };
}

async function startFromPackages(owner: Owner, major: number): Promise<Started> {
  const binaries = await provision(major);
  const server = await PostgresProcess.create({
    binaries,
    owner,
    settings: { synchronous_commit: 'off', full_page_writes: 'off' },
  });
  const cluster = { folder: join(server.folder, 'cluster'), password: server.password };
  // A fifth of the time of initdb; on a disk it would take longer.
  const isQuick = server.folder.startsWith(memoryFolder);
  if (isQuick) await run('cp', ['-a', server.dataFolder, cluster.folder]);
  await server.start();
  return {
    ...(isQuick ? { cluster } : {}),
    adminUrl: server.url(),
    description: `Debian packages in ${binaries.root}`,
    binDir: binaries.binDir,
    stop: () => removeServersOf(owner),
    stopSync: () => removeServersOfSync(owner),
  };
}

/** A container's first start restarts the server once; any other server must answer at the first attempt. */
async function connect(url: string, patience: number): Promise<pg.Client> {
  const deadline = Date.now() + patience;
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

async function inspect(
  url: string,
  source: ServerSource,
  env: NodeJS.ProcessEnv,
): Promise<{ version: string; major: number }> {
  const client = await connect(url, source.kind === 'container' ? 60_000 : 0).catch(
    (error: unknown) => {
      const hint = source.kind === 'url' ? '; hint: check TEST_DATABASE_URL' : '';
      throw new Error(`the test server does not answer${hint}`, { cause: error });
    },
  );
  try {
    const { rows } = await client.query<{
      version: string;
      major: number;
      may_create: boolean;
      extensions: string[];
    }>(
      `SELECT current_setting('server_version') AS version,
              current_setting('server_version_num')::int / 10000 AS major,
              rolsuper AS may_create,
              ARRAY(SELECT name::text FROM pg_available_extensions
                     WHERE name IN ('vector', 'uuid-ossp')) AS extensions
         FROM pg_roles WHERE rolname = current_user`,
    );
    const found = rows[0];
    if (!found) throw new Error('the test server does not know its own role');
    const missing = ['vector', 'uuid-ossp'].filter((name) => !found.extensions.includes(name));
    if (missing.length > 0) {
      throw new Error(
        `the test server lacks the extension ${missing.join(', ')}; ` +
          `hint: install postgresql-${found.major}-pgvector and the contrib package, or unset TEST_DATABASE_URL`,
      );
    }
    if (!found.may_create) {
      throw new Error('the role of TEST_DATABASE_URL must be a superuser; hint: use postgres');
    }
    if (env.TRACE_CONSOLE_TEST_PG && found.major !== wantedMajor(env)) {
      throw new Error(
        `TRACE_CONSOLE_TEST_PG asks for PostgreSQL ${env.TRACE_CONSOLE_TEST_PG}, the server is ${found.version}`,
      );
    }
    return { version: found.version.split(' ')[0] ?? found.version, major: found.major };
  } finally {
    await client.end();
  }
}
