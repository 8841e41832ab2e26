import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { provision } from '../helpers/provision.js';
import { testServer } from '../helpers/server.js';

const run = promisify(execFile);

/** The definition of everything in a database, as `pg_dump --schema-only` writes it. */
export async function dumpSchema(url: string): Promise<string> {
  // Newer versions frame the dump with \restrict and a random key.
  return (await dumpOf(url, ['--schema-only'])).replaceAll(/^\\(un)?restrict .*$/gm, '');
}

/** Everything in a database, as SQL for psql. */
export async function dumpOf(url: string, options: readonly string[] = []): Promise<string> {
  const folder = testServer().binDir ?? (await provision()).binDir;
  const target = new URL(url);
  const password = decodeURIComponent(target.password);
  target.password = '';
  const { stdout } = await run(join(folder, 'pg_dump'), [...options, '--dbname', target.href], {
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', PGPASSWORD: password },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** The same URL whose sessions start with these settings. */
export function withSettings(url: string, settings: Record<string, string>): string {
  const target = new URL(url);
  const options = Object.entries(settings).map(
    ([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`,
  );
  // libpq does not read "+" as a space.
  target.search = `options=${encodeURIComponent(options.join(' '))}`;
  return target.href;
}
