import { spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder with the bundled programs of this run. */
    programs: string;
  }
}

export type CliResult = {
  stdout: string;
  stderr: string;
  exitCode: number | null;
  /** The signal that ended it, when one did. */
  signalled: NodeJS.Signals | null;
};

export type CliOptions = {
  /** On top of PATH and HOME; nothing of the test run's own environment names a database. */
  env?: Record<string, string>;
  /** Called with the running process, to send it a signal. */
  onStart?: (child: ChildProcess) => void;
  /** Default: the folder for temporary files. */
  cwd?: string;
  /** No file may grow beyond so many blocks of 512 bytes: for whoever writes, a full disk. */
  fileSizeLimit?: number;
};

/** The config of whoever runs the tests must not have a part in them. */
export const noConfigFile = { XDG_CONFIG_HOME: join(tmpdir(), 'trace-console-test-no-config') };

/** Runs `trace-console` as it is shipped, without a terminal, as a script would. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const { fileSizeLimit = 'unlimited' } = options;
    const program = [process.execPath, join(inject('programs'), 'main.js'), ...args];
    const child = spawn('sh', ['-c', `ulimit -f ${fileSizeLimit}; exec "$0" "$@"`, ...program], {
      cwd: options.cwd ?? tmpdir(),
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...noConfigFile, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (exitCode, signalled) => resolve({ stdout, stderr, exitCode, signalled }));
    options.onStart?.(child);
  });
}
