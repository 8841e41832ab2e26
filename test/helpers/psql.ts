import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { provision } from './provision.js';
import { testServer } from './server.js';

const run = promisify(execFile);

export type PsqlInput = {
  /** Run in order, each as `-f FILE`. */
  files?: string[];
  /** Run in order after the files, each as `-c COMMAND`: SQL or one backslash command. */
  commands?: string[];
  /** Further options, such as `-1` or `-v name=value`. */
  options?: string[];
};

export type PsqlResult = { stdout: string; stderr: string; exitCode: number };

let found: Promise<string> | undefined;

/** The psql of the server's own packages, else the one on PATH, else that of Debian's packages. */
export function psqlProgram(): Promise<string> {
  found ??= find();
  return found;
}

async function find(): Promise<string> {
  const { binDir } = testServer();
  if (binDir !== undefined) return join(binDir, 'psql');
  try {
    await run('psql', ['--version']);
    return 'psql';
  } catch {
    return join((await provision()).binDir, 'psql');
  }
}

/**
 * Runs psql, without the user's psqlrc, stopping at the first error. Output is unaligned, rows only (`-At`). A failure is
 * a result (psql ends with 3 after an error in a file, 1 after one in a command), not an exception.
 */
export async function psql(url: string, input: PsqlInput): Promise<PsqlResult> {
  const { files = [], commands = [], options = [] } = input;
  // The process list shows arguments to everybody, so the password goes another way.
  const target = new URL(url);
  const password = decodeURIComponent(target.password);
  target.password = '';
  const args = [
    ...['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', target.href, ...options],
    ...files.flatMap((file) => ['-f', file]),
    ...commands.flatMap((command) => ['-c', command]),
  ];
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', PGPASSWORD: password };
  try {
    const { stdout, stderr } = await run(await psqlProgram(), args, {
      env,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { stdout, stderr, exitCode: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: unknown };
    if (typeof code !== 'number') throw error;
    return { stdout, stderr, exitCode: code };
  }
}
