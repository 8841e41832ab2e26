import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const label = 'trace-console-test';

/** Returns the first container engine whose daemon answers; an installed client alone proves nothing. */
export async function findContainerEngine(): Promise<'docker' | 'podman' | undefined> {
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

export type PostgresContainer = { id: string; image: string; port: number; password: string };

/** Starts pgvector's image with its port published on loopback. Resolves before the server accepts connections. */
export async function startContainer(
  engine: string,
  major: number,
  password: string,
): Promise<PostgresContainer> {
  const image = `docker.io/pgvector/pgvector:pg${major}`;
  const { stdout } = await run(
    engine,
    [
      ...['run', '--detach', '--rm', '--label', label, '--publish', '127.0.0.1::5432'],
      ...['--env', `POSTGRES_PASSWORD=${password}`, '--shm-size', '512m', image],
      ...['-c', 'fsync=off', '-c', 'max_connections=200'],
    ],
    { timeout: 600_000 },
  );
  const id = stdout.trim().split('\n').at(-1) ?? '';
  const { stdout: published } = await run(engine, ['port', id, '5432/tcp']);
  const port = Number(/:(\d+)\s*$/m.exec(published)?.[1]);
  if (!port) throw new Error(`${engine} does not say on which port ${id} listens: ${published}`);
  return { id, image, port, password };
}

export async function removeContainer(engine: string, id: string): Promise<void> {
  await run(engine, ['rm', '--force', '--volumes', id]);
}
