import { execFile } from 'node:child_process';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { isAlive, type Owner } from './server-folders.js';

const run = promisify(execFile);

export type ContainerEngine = 'docker' | 'podman';

/** Returns the first container engine whose daemon answers; an installed client alone proves nothing. */
export async function findContainerEngine(): Promise<ContainerEngine | undefined> {
  for (const engine of ['docker', 'podman'] as const) {
    try {
      // `info` speaks with the daemon and fails without it. Podman has none and answers by itself.
      await run(engine, ['info'], { timeout: 10_000, maxBuffer: 16 * 1024 * 1024 });
      return engine;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** A container's name carries its owner, as a server folder's does; and the host, since a daemon may serve several. */
const namePrefix = `trace-console-test-${hostname()}-`;

function containerName(owner: Owner): string {
  return `${namePrefix}${owner.pid}-${owner.startTime}`;
}

export type PostgresContainer = { name: string; image: string; port: number };

/** Starts pgvector's image with its port published on loopback. Resolves before the server accepts connections. */
export async function startContainer(
  engine: ContainerEngine,
  major: number,
  password: string,
  owner: Owner,
): Promise<PostgresContainer> {
  await removeStaleContainers(engine);
  const image = `docker.io/pgvector/pgvector:pg${major}`;
  const name = containerName(owner);
  await run(
    engine,
    [
      ...['run', '--detach', '--rm', '--name', name, '--publish', '127.0.0.1::5432'],
      ...['--env', `POSTGRES_PASSWORD=${password}`, '--shm-size', '512m', image],
      ...['-c', 'fsync=off', '-c', 'max_connections=200'],
    ],
    { timeout: 600_000, maxBuffer: 16 * 1024 * 1024 },
  );
  const { stdout } = await run(engine, ['port', name, '5432/tcp']);
  const port = Number(/:(\d+)\s*$/m.exec(stdout)?.[1]);
  if (!port) throw new Error(`${engine} does not say on which port ${name} listens: ${stdout}`);
  return { name, image, port };
}

/** Removes the containers of killed runs of this machine. */
async function removeStaleContainers(engine: ContainerEngine): Promise<void> {
  const list = ['ps', '--all', '--filter', `name=${namePrefix}`, '--format', '{{.Names}}'];
  const { stdout } = await run(engine, list);
  for (const name of stdout.split('\n').filter((line) => line.startsWith(namePrefix))) {
    const [pid, startTime] = name.slice(namePrefix.length).split('-');
    if (pid && startTime && !isAlive({ pid: Number(pid), startTime })) {
      await removeContainer(engine, name);
    }
  }
}

export async function removeContainer(engine: ContainerEngine, name: string): Promise<void> {
  await run(engine, ['rm', '--force', '--volumes', name]);
}
