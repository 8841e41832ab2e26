import pgpass from 'pgpass';
import type { ServerSource } from './source.js';

/**
 * The password of a source: the given one, else the password file's (`PGPASSFILE`, `~/.pgpass`).
 * Handed to pg as a function, so that it stands in no object that might be printed.
 */
export function passwordOf(source: ServerSource): () => Promise<string> {
  return async () => source.password ?? (await fromPasswordFile(source)) ?? '';
}

function fromPasswordFile(source: ServerSource): Promise<string | undefined> {
  const { host, port, user, database, parameters } = source;
  // The library reads the file's name from the environment only.
  if (parameters.passfile) process.env.PGPASSFILE = parameters.passfile;
  return new Promise((resolve) => {
    pgpass({ host, port, user, database }, resolve);
  });
}
