import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { byOwnKey } from '../../core/values.js';
import { consoleVersion } from '../../core/version.js';
import { spawn } from 'node:child_process';
import { ConsoleError } from '../../db/errors.js';
import type { Limits } from '../mux/limits.js';

/** The programs of the embedded database, built or as source. */
export type Programs = {
  daemon: string;
  /** Flags for Node, without which TypeScript files do not run. */
  execArgv: string[];
  worker: URL;
  /** The template data folder; undefined when it was not built: then initdb runs, for seconds. */
  template: string | undefined;
};

const existing = (url: URL): string | undefined => {
  const file = fileURLToPath(url);
  return fs.existsSync(file) ? file : undefined;
};

/** The built programs in a folder; undefined when they are not there. */
export function builtPrograms(folder: URL): Programs | undefined {
  const daemon = existing(new URL('embedded-daemon.js', folder));
  if (daemon === undefined) return undefined;
  return {
    daemon,
    execArgv: [],
    worker: new URL('embedded-worker.js', folder),
    template: existing(new URL('embedded-template.tar.gz', folder)),
  };
}

/** The programs that belong to this file: beside it (or its chunk) when built, else the source. */
export function locatePrograms(): Programs {
  const here = new URL('./', import.meta.url);
  const built = builtPrograms(here) ?? builtPrograms(new URL('../', here));
  if (built) return built;
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return {
    daemon: fileURLToPath(new URL('main.ts', here)),
    execArgv: ['--import', loader],
    worker: typescriptWorker(
      new URL('../engine/worker.ts', here).href,
      new URL('esm/api/index.mjs', loader).href,
    ),
    template: existing(new URL('../../../dist/embedded-template.tar.gz', here)),
  };
}

/** A thread does not inherit the loader for TypeScript: it has to register one itself. */
function typescriptWorker(file: string, loader: string): URL {
  const program = `import { register } from '${loader}'; register(); await import('${file}');`;
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`);
}

/** Tells one build of the same version from another, as they follow each other in development. */
export function buildOf(programs: Programs): string {
  const worker = programs.worker.protocol === 'file:' ? [fileURLToPath(programs.worker)] : [];
  const stamps = [programs.daemon, ...worker].map((file) => {
    const { mtimeMs, size } = fs.statSync(file);
    return `${file} ${mtimeMs} ${size}`;
  });
  const hash = createHash('sha256').update(stamps.join('\n')).digest('hex').slice(0, 12);
  return `${consoleVersion()}+${hash}`;
}

export type DaemonArguments = { dataFolder: string; idleExitMs: number; limits?: Partial<Limits> };

/** What the daemon says on standard output when it has started, or will not. */
export type Announcement =
  | { kind: 'listening' }
  /** Another daemon has the folder. */
  | { kind: 'held' }
  | { kind: 'failed'; message: string; hint?: string };

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
      const value = byOwnKey(process.env, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
