import { spawn } from 'node:child_process';
import { ConsoleError } from '../errors.js';
import type { Announcement, DaemonArguments } from './daemon/main.js';
import type { Programs } from './daemon/programs.js';

/** A daemon that says nothing for this long (ms) has failed to start. */
const launchLimitMs = 60_000;

/**
 * Starts a daemon that outlives this process.
 * @returns whether it listens, or found that another one has the folder.
 */
export function launchDaemon(
  programs: Programs,
  options: DaemonArguments,
): Promise<'listening' | 'held'> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, hint = 'Its log is daemon.log in the data folder.'): void => {
      reject(new ConsoleError('embedded_unavailable', message, { hint }));
    };
    const args = [...programs.execArgv, programs.daemon, JSON.stringify(options)];
    const child = spawn(process.execPath, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      env: daemonEnvironment(),
    });
    let output = '';
    let complaint = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail('The embedded database did not start in time.');
    }, launchLimitMs);
    const settled = (): void => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
    };
    child.on('error', (error) => {
      settled();
      fail(`The embedded database could not be started: ${error.message}`);
    });
    child.on('exit', () => {
      settled();
      const reason = complaint.trim().split('\n').at(-1) ?? '';
      fail(`The embedded database ended while it started${reason === '' ? '' : `: ${reason}`}`);
    });
    child.stderr.on('data', (piece: Buffer) => {
      complaint = (complaint + piece.toString('utf8')).slice(-4_000);
    });
    child.stdout.on('data', (piece: Buffer) => {
      output += piece.toString('utf8');
      const end = output.indexOf('\n');
      if (end < 0) return;
      settled();
      const announcement = JSON.parse(output.slice(0, end)) as Announcement;
      if (announcement.kind === 'failed') fail(announcement.message, announcement.hint);
      else resolve(announcement.kind);
    });
  });
}

/** The daemon serves every later console: what this one was told must not colour it. */
function daemonEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TMPDIR', 'XDG_RUNTIME_DIR'];
  return Object.fromEntries(
    kept.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
