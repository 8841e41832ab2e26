import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createFolder } from '../../core/create-folder.js';
import { consoleFolder, fileSystemReason, isNoSpace, readTextFile } from '../../core/folders.js';
import { ConsoleError, type ErrorCode } from '../../db/errors.js';
import { engineMajor } from '../engine/messages.js';

/** The port in the name of the socket; nothing listens on the network. */
export const embeddedPort = 5432;

/** sun_path holds 108 bytes on Linux and 104 on macOS, and Node 20 cuts longer ones in silence. */
const longestSocketPath = 103;

/** The data folder in the user's XDG data home; undefined for a user without a home folder. */
export function dataFolder(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const folder = consoleFolder('data', environment);
  return folder === undefined ? undefined : path.join(folder, 'embedded');
}

/**
 * The data folder that `--data-dir` names, or the user's own.
 *
 * @throws ConsoleError `embedded_unavailable` for a user without a home folder
 */
export function resolveDataFolder(given?: string, environment?: NodeJS.ProcessEnv): string {
  const folder = given === undefined ? dataFolder(environment) : path.resolve(given);
  if (folder !== undefined) return folder;
  throw new ConsoleError('embedded_unavailable', 'This user has no home folder for a database.', {
    hint: 'Set HOME or XDG_DATA_HOME, name a folder with --data-dir, or a server with --url.',
  });
}

/** What lies in a data folder. */
export const inFolder = {
  /** PostgreSQL's files. */
  postgres: (folder: string) => path.join(folder, 'postgres'),
  log: (folder: string) => path.join(folder, 'daemon.log'),
};

/** Where a new folder of PostgreSQL's files is made: it is renamed when it is whole. */
export const draftOf = (postgres: string): string => `${postgres}.new`;

export const socketFile = (socketFolder: string): string =>
  path.join(socketFolder, `.s.PGSQL.${embeddedPort}`);

/**
 * The folder of the daemon's socket: short, and the same for one data folder however it is spelt.
 * In XDG_RUNTIME_DIR, which is private and goes with the log-in, else in the temporary folder.
 */
export function chooseSocketFolder(
  dataFolder: string,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const hash = createHash('sha256').update(fs.realpathSync(dataFolder)).digest('hex').slice(0, 12);
  const uid = process.getuid?.() ?? 0;
  const runtime = environment.XDG_RUNTIME_DIR;
  const candidates = [
    ...(runtime !== undefined && path.isAbsolute(runtime) && isWritable(runtime)
      ? [path.join(runtime, `trace-console-${hash}`)]
      : []),
    path.join(os.tmpdir(), `trace-console-${uid}-${hash}`),
    path.join('/tmp', `trace-console-${uid}-${hash}`),
  ];
  const short = candidates.find(
    (folder) => Buffer.byteLength(socketFile(folder)) <= longestSocketPath,
  );
  if (short !== undefined) return short;
  throw new ConsoleError('embedded_unavailable', 'No folder short enough for a socket was found.', {
    hint: 'Set XDG_RUNTIME_DIR or TMPDIR to a folder with a shorter name.',
  });
}

function isWritable(folder: string): boolean {
  try {
    fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** How a failure of a folder is told apart, and what names another one. */
export type FolderUse = {
  readonly code: ErrorCode;
  readonly setting: string;
  /** What else can be done, behind the setting. */
  readonly or?: string;
};

const forData: FolderUse = {
  code: 'embedded_unavailable',
  setting: '--data-dir or XDG_DATA_HOME',
  or: ', or name a server with --url',
};
export const forSocket: FolderUse = {
  code: 'embedded_unavailable',
  setting: 'XDG_RUNTIME_DIR or TMPDIR',
};

/**
 * Creates a folder that only its owner can enter, or checks that an existing one is.
 * A link, another owner or access for others is refused: it could be somebody else's trap.
 */
export function ensurePrivateFolder(folder: string, use: FolderUse = forData): void {
  try {
    createFolder(folder);
  } catch (cause) {
    throw folderFailure(folder, cause, use);
  }
  const stat = fs.lstatSync(folder);
  const uid = process.getuid?.() ?? stat.uid;
  const problem = !stat.isDirectory()
    ? 'is no folder'
    : stat.uid !== uid
      ? `belongs to another user (uid ${stat.uid})`
      : (stat.mode & 0o077) !== 0
        ? `can be entered by others (mode ${(stat.mode & 0o777).toString(8)})`
        : undefined;
  if (problem === undefined) return;
  const { code, setting } = use;
  throw new ConsoleError(code, `The folder ${folder} ${problem}.`, {
    hint: stat.isDirectory()
      ? `Make it yours alone (chmod 700 ${folder}), or choose another with ${setting}.`
      : `Choose another with ${setting}.`,
  });
}

/** What the file system says about a folder, as an error of the console; others as they are. */
export function folderFailure(folder: string, cause: unknown, use: FolderUse = forData): unknown {
  const reason = fileSystemReason(cause);
  if (reason === undefined) return cause;
  const { code, setting, or = '' } = use;
  const first = isNoSpace(cause)
    ? `Make room on its disk${or === '' ? ' or' : ','} choose`
    : 'Choose';
  return new ConsoleError(code, `The folder ${folder} cannot be used: ${reason}.`, {
    hint: `${first} another folder with ${setting}${or}.`,
    cause,
  });
}

/** Whether a database has been made in the folder; a folder of another version is refused. */
export function databaseExists(folder: string): boolean {
  if (!fs.existsSync(folder)) return false;
  const file = path.join(folder, 'PG_VERSION');
  if (!fs.existsSync(file)) {
    throw new ConsoleError('embedded_unavailable', `The folder ${folder} holds no database.`, {
      hint: 'Move it away, or choose another folder with --data-dir.',
    });
  }
  const major = readTextFile(file).trim();
  if (major === engineMajor) return true;
  throw new ConsoleError(
    'embedded_unavailable',
    `The database in ${folder} was made by PostgreSQL ${major}; this console's engine is PostgreSQL ${engineMajor}.`,
    {
      hint: 'Export it with the version of trace-console that made it, or choose another folder with --data-dir.',
    },
  );
}
