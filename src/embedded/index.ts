import { resolveSource, type SourceOrigin } from '../db/connection/source.js';
import { Database, type DatabaseOptions } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';

/** The door of the embedded database: nothing else of this folder is imported from outside. */

export {
  dataFolder,
  ensurePrivateFolder,
  folderFailure,
  resolveDataFolder,
  type FolderUse,
} from './folder/paths.js';

/** Asks and stops the one that runs. Loaded where it is needed: a console on a server does without. */
export const loadRunning = () => import('./running.js');

export type OpenOptions = DatabaseOptions & {
  url?: string | undefined;
  /** Who names the url; default `--url`. */
  origin?: SourceOrigin;
  envFile?: string | undefined;
  /** Folder of the embedded database, which is used then whatever the environment names. */
  dataDir?: string | undefined;
  /** A server that does not answer within so many ms is given up, whatever its URL says. */
  answersWithinMs?: number | undefined;
  /** A line while the embedded database starts. */
  onProgress?: (line: string) => void;
};

/**
 * Opens the database that the options and the environment name, the embedded one when they name
 * none. Both are reached through the same pool.
 *
 * @throws ConsoleError
 */
export async function openDatabase(options: OpenOptions): Promise<Database> {
  const server = options.url === undefined ? options.envFile && '--env-file' : '--url';
  if (server !== undefined && options.dataDir !== undefined) {
    throw new ConsoleError('usage', `${server} and --data-dir name two databases.`, {
      hint: `Give one: ${server} for a server, --data-dir for the embedded database.`,
    });
  }
  // A folder named on the command line wins over a server that happens to be set.
  if (options.dataDir !== undefined) return openEmbeddedDatabase(options);
  const source = resolveSource(options);
  if (source.kind !== 'server') return openEmbeddedDatabase(options);
  const { answersWithinMs = Infinity } = options;
  const connectTimeoutMs = Math.min(source.connectTimeoutMs, answersWithinMs);
  return Database.open({ ...source, connectTimeoutMs }, options);
}

/**
 * Opens the embedded database, whatever the environment names.
 *
 * @throws ConsoleError
 */
export async function openEmbeddedDatabase(options: OpenOptions): Promise<Database> {
  const { embeddedStatus, openEmbedded } = await loadRunning();
  let last = '';
  const folder = options.dataDir === undefined ? {} : { dataDir: options.dataDir };
  const address = await openEmbedded({
    ...folder,
    onProgress({ message }) {
      if (message !== last) options.onProgress?.(message);
      last = message;
    },
  });
  return Database.open(
    {
      kind: 'server',
      origin: 'embedded',
      host: address.host,
      port: address.port,
      user: address.user,
      database: address.database,
      password: '',
      connectTimeoutMs: 10_000,
      parameters: {},
    },
    {
      ...options,
      wake: () => openEmbedded(folder),
      answers: () => embeddedStatus(address.dataDir),
    },
  );
}
