import { resolveSource } from './connection/source.js';
import { Database, type DatabaseOptions } from './database.js';

export type OpenOptions = DatabaseOptions & {
  url?: string | undefined;
  envFile?: string | undefined;
  /** Folder of the embedded database. */
  dataDir?: string | undefined;
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
  const source = resolveSource(options);
  if (source.kind === 'server') return Database.open(source, options);
  return openEmbeddedDatabase(options);
}

/**
 * Opens the embedded database, whatever the environment names.
 *
 * @throws ConsoleError
 */
export async function openEmbeddedDatabase(options: OpenOptions): Promise<Database> {
  const { openEmbedded } = await import('./embedded/index.js');
  let last = '';
  const address = await openEmbedded({
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
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
    options,
  );
}
