import fs from 'node:fs';
import path from 'node:path';
import { ConsoleError } from '../../errors.js';
import { engineMajor } from '../engine/identity.js';

/** Whether a database has been made in the folder; a folder of another version is refused. */
export function databaseExists(folder: string): boolean {
  if (!fs.existsSync(folder)) return false;
  const file = path.join(folder, 'PG_VERSION');
  if (!fs.existsSync(file)) {
    throw new ConsoleError('embedded_unavailable', `The folder ${folder} holds no database.`, {
      hint: 'Move it away, or choose another folder with --data-dir.',
    });
  }
  const major = fs.readFileSync(file, 'utf8').trim();
  if (major === engineMajor) return true;
  throw new ConsoleError(
    'embedded_unavailable',
    `The database in ${folder} was made by PostgreSQL ${major}; this console's engine is PostgreSQL ${engineMajor}.`,
    {
      hint: 'Export it with the version of trace-console that made it, or choose another folder with --data-dir.',
    },
  );
}
