import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = join(import.meta.dirname, '../../scripts/provision-postgres.sh');

/** The programs of one PostgreSQL major version, unpacked from Debian's packages. */
export type Binaries = {
  major: number;
  root: string;
  /** The folder with postgres, initdb, psql, pg_dump, pg_basebackup, … */
  binDir: string;
  pgbouncer: string;
  openssl: string;
};

/** The major version to test on: TRACE_CONSOLE_TEST_PG, else 17. */
export function wantedMajor(env: NodeJS.ProcessEnv = process.env): number {
  const value = env.TRACE_CONSOLE_TEST_PG ?? '';
  if (value === '') return 17;
  if (!/^1[5678]$/.test(value)) {
    throw new Error(`TRACE_CONSOLE_TEST_PG is '${value}'; give 15, 16, 17 or 18`);
  }
  return Number(value);
}

/**
 * Provides the server's programs; the first call for a version downloads about 55 MB.
 *
 * @throws Error with the script's own explanation and hint when Debian's packages cannot be had here.
 */
export async function provision(major = wantedMajor()): Promise<Binaries> {
  const { stdout } = await run(script, [String(major)], { maxBuffer: 16 * 1024 * 1024 }).catch(
    (error: unknown) => {
      const stderr = (error as { stderr?: string }).stderr ?? '';
      throw new Error(stderr.trim() || 'scripts/provision-postgres.sh failed', { cause: error });
    },
  );
  const root = stdout.trim();
  return {
    major,
    root,
    binDir: join(root, 'usr/lib/postgresql', String(major), 'bin'),
    pgbouncer: join(root, 'usr/sbin/pgbouncer'),
    openssl: join(root, 'usr/bin/openssl'),
  };
}
