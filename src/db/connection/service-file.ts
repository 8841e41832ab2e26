import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ConsoleError } from '../errors.js';
import type { ConnectionParameters } from './conninfo.js';
import type { Environment } from './environment.js';

/**
 * The parameters of a libpq service: `PGSERVICEFILE` or `~/.pg_service.conf`, then the system's
 * file under `PGSYSCONFDIR`.
 * Source: https://www.postgresql.org/docs/current/libpq-pgservice.html
 *
 * @throws ConsoleError `connection_source_invalid` when no file defines the service.
 */
export function readService(name: string, environment: Environment): ConnectionParameters {
  const files = [
    environment.PGSERVICEFILE ?? path.join(os.homedir(), '.pg_service.conf'),
    path.join(environment.PGSYSCONFDIR ?? '/etc/postgresql-common', 'pg_service.conf'),
  ];
  for (const file of files) {
    if (!fs.existsSync(file)) continue;
    const section = parseSections(fs.readFileSync(file, 'utf8')).get(name);
    if (section) return section;
  }
  throw new ConsoleError('connection_source_invalid', `The service "${name}" is not defined.`, {
    hint: `Looked into ${files.join(' and ')}. PGSERVICEFILE names another file.`,
  });
}

function parseSections(text: string): Map<string, ConnectionParameters> {
  const sections = new Map<string, ConnectionParameters>();
  let current: ConnectionParameters | undefined;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(.+)\]$/.exec(line);
    if (header?.[1]) {
      current = {};
      // libpq takes the first section of a name.
      if (!sections.has(header[1])) sections.set(header[1], current);
      continue;
    }
    const [key, value] = line.split(/=(.*)/s);
    if (current && key && value !== undefined) current[key.trim()] = value.trim();
  }
  return sections;
}
