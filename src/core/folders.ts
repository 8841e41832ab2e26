import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The user's home folder, always absolute; undefined when neither HOME nor the system names one. An
 * empty or relative HOME counts as not set, as for libpq: os.homedir() would give it back as it is, and a
 * database would be made in the current folder.
 */
export function homeFolder(environment: Environment = process.env): string | undefined {
  const named = process.platform === 'win32' ? environment.USERPROFILE : environment.HOME;
  if (named !== undefined && path.isAbsolute(named)) return named;
  try {
    const { homedir } = os.userInfo();
    return path.isAbsolute(homedir) ? homedir : undefined;
  } catch {
    // A user id without an entry, as containers have them.
    return undefined;
  }
}

const baseFolders = {
  config: { variable: 'XDG_CONFIG_HOME', below: ['.config'] },
  data: { variable: 'XDG_DATA_HOME', below: ['.local', 'share'] },
  state: { variable: 'XDG_STATE_HOME', below: ['.local', 'state'] },
} as const;

/**
 * The console's folder for one kind of file by the XDG specification, which ignores relative paths:
 * `$XDG_DATA_HOME/trace-console`, else `~/.local/share/trace-console`; undefined without a home folder.
 * The packages for it (xdg-basedir, env-paths) take an empty HOME and relative paths as they are.
 */
export function consoleFolder(
  kind: keyof typeof baseFolders,
  environment: Environment = process.env,
): string | undefined {
  const { variable, below } = baseFolders[kind];
  const named = environment[variable];
  if (named !== undefined && path.isAbsolute(named)) return path.join(named, 'trace-console');
  const home = homeFolder(environment);
  return home === undefined ? undefined : path.join(home, ...below, 'trace-console');
}

/** The disk, or what this user may have of it, is full. */
export const isNoSpace = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException | null)?.code ?? '');

const reasons = new Map(
  Object.entries({
    EACCES: 'this user may not write there',
    EPERM: 'this user may not write there',
    EROFS: 'the file system is read-only',
    ENOTDIR: 'something on the way is a file, not a folder',
    EEXIST: 'something on the way is a file, not a folder',
    ENOENT: 'nothing can be created there',
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    ENAMETOOLONG: 'the name is too long',
    ELOOP: 'its links lead in a circle',
    EISDIR: 'it is a folder, not a file',
    EFBIG: 'it is too large',
    ENXIO: 'it is a socket, not a file',
    ETIMEDOUT: 'it is a pipe or device from which nothing comes',
  }),
);

/** What the file system refuses, in words; undefined for anything else, a fault of a program among them. */
export const fileSystemReason = (error: unknown): string | undefined =>
  reasons.get((error as NodeJS.ErrnoException | null)?.code ?? '');

const readingReasons = new Map([
  ['EACCES', 'this user may not read it'],
  ['EPERM', 'this user may not read it'],
  ['ENOENT', 'it is not there'],
]);

/** Why a file could not be read, to stand behind its name: ` (it is a folder, not a file)`; empty for anything else. */
export function whyUnreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  const reason = readingReasons.get(code) ?? reasons.get(code);
  return reason === undefined ? '' : ` (${reason})`;
}

/** More than any file with settings or certificates has. */
const usualBytes = 16_000_000;

/** So long (ms) a pipe may be silent: without anybody who writes into it, and with somebody, who may have to ask for a password first. */
const silentMs = { alone: 250, open: 10_000 };
/** It is looked at so often (ms). */
const lookEveryMs = 20;

/**
 * A file that somebody has named. A device that never ends must not fill the memory, and a pipe into which nobody writes not be waited for;
 * one that a shell has made (`<(…)`) is read to its end, also where it is empty.
 *
 * @throws the error of the file system; EFBIG where it holds more bytes than `most`, ETIMEDOUT where nothing comes
 */
export function readBytes(file: string, most = usualBytes): Buffer {
  // Opening a pipe without a writer would wait for one.
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const isPipe = fs.fstatSync(descriptor).isFIFO();
    const pieces: Buffer[] = [];
    const piece = Buffer.allocUnsafe(Math.min(1_000_000, most + 1));
    // Of an open descriptor (`/dev/fd/63`) somebody has had the other end.
    let wasOpen = /^\/(dev|proc\/self)\/(fd\/\d+|stdin)$/.test(file);
    let left = most;
    for (let silentSince = performance.now(); ;) {
      const read = readOnce(descriptor, piece);
      // A pipe is at its end before somebody has opened it to write.
      const isEnd = read === 0 && (!isPipe || wasOpen);
      if (isEnd) return Buffer.concat(pieces);
      wasOpen ||= read !== 0;
      if (read === undefined || read === 0) {
        const patienceMs = silentMs[read === undefined ? 'open' : 'alone'];
        if (performance.now() - silentSince > patienceMs) throw fileError('ETIMEDOUT', file);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lookEveryMs);
        continue;
      }
      silentSince = performance.now();
      left -= read;
      if (left < 0) throw fileError('EFBIG', file);
      pieces.push(Buffer.from(piece.subarray(0, read)));
    }
  } catch (error) {
    // That of a reading names no file.
    throw Object.assign(error as Error, { path: file });
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Why a file cannot be read piece by piece, and again: undefined where it can, or is missing. */
export function isNoFile(file: string): string | undefined {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined || stat.isFile()) return undefined;
  return stat.isDirectory() ? 'it is a folder, not a file' : 'it is a pipe or device, not a file';
}

export const readTextFile = (file: string, most?: number): string =>
  readBytes(file, most).toString('utf8');

/** Undefined: nothing has come yet. 0: nobody writes, or any more. */
function readOnce(descriptor: number, piece: Buffer): number | undefined {
  try {
    return fs.readSync(descriptor, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

function fileError(code: string, file: string): Error {
  const error = new Error(`${code}: ${reasons.get(code)}, read '${file}'`);
  return Object.assign(error, { code, syscall: 'read', path: file });
}

/**
 * Where the config file is, and whether somebody named it: then it must be there.
 * `--config`, `TRACE_CONSOLE_CONFIG`, `$XDG_CONFIG_HOME/trace-console/config.toml`, else below `~/.config`.
 * Undefined for a user without a home folder.
 */
export function configLocation(
  flag: string | undefined,
  environment: Environment = process.env,
): { file: string; named: boolean } | undefined {
  const { TRACE_CONSOLE_CONFIG: variable } = environment;
  const named = flag ?? (variable === '' ? undefined : variable);
  if (named !== undefined) return { file: path.resolve(named), named: true };
  const folder = consoleFolder('config', environment);
  return folder === undefined
    ? undefined
    : { file: path.join(folder, 'config.toml'), named: false };
}
