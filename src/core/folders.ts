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
  }),
);

/** What the file system refuses, in words; undefined for anything else, a fault of a program among them. */
export const fileSystemReason = (error: unknown): string | undefined =>
  reasons.get((error as NodeJS.ErrnoException | null)?.code ?? '');

/** More than any file with settings or certificates has. */
const usualBytes = 16_000_000;

/**
 * The text of a file that somebody has named: a device that never ends must not fill the memory.
 *
 * @throws the error of the file system; EFBIG where it holds more bytes than `most`
 */
export function readTextFile(file: string, most = usualBytes): string {
  const descriptor = fs.openSync(file, 'r');
  try {
    const pieces: Buffer[] = [];
    for (let left = most; ;) {
      const piece = Buffer.allocUnsafe(Math.min(1_000_000, left + 1));
      const read = fs.readSync(descriptor, piece);
      if (read === 0) return Buffer.concat(pieces).toString('utf8');
      left -= read;
      if (left < 0) {
        const error = new Error(`EFBIG: file too large, read '${file}'`);
        throw Object.assign(error, { code: 'EFBIG', syscall: 'read', path: file });
      }
      pieces.push(piece.subarray(0, read));
    }
  } finally {
    fs.closeSync(descriptor);
  }
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
