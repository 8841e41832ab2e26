import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ConsoleError } from '../../errors.js';

/** The port in the name of the socket; nothing listens on the network. */
export const embeddedPort = 5432;

/** sun_path holds 108 bytes on Linux and 104 on macOS, and Node 20 cuts longer ones in silence. */
const longestSocketPath = 103;

/** The data folder: `--data-dir`, or one in the user's XDG data home. */
export function resolveDataFolder(
  given?: string,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  if (given !== undefined) return path.resolve(given);
  const dataHome = environment.XDG_DATA_HOME;
  const base =
    dataHome !== undefined && path.isAbsolute(dataHome)
      ? dataHome
      : path.join(os.homedir(), '.local', 'share');
  return path.join(base, 'trace-console', 'embedded');
}

/** What lies in a data folder. */
export const inFolder = {
  /** PostgreSQL's files. */
  postgres: (folder: string) => path.join(folder, 'postgres'),
  log: (folder: string) => path.join(folder, 'daemon.log'),
};

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
