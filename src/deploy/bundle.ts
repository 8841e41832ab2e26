import { consoleVersion } from '../shared/version.js';
import { schemaFiles } from './schema-files.js';

/** All schema files as one migration, in their order, each under a line with its name. */
export function bundleSchema(): string {
  const head = `-- The schema of trace-console ${consoleVersion()}, files 001 to 013 in their order.
-- Run it with: psql -v ON_ERROR_STOP=1 --single-transaction -f FILE "$DATABASE_URL"
-- It may run again: what is there stays as it is.
`;
  const files = schemaFiles.map(({ name, sql }) => `\n-- ${name}\n\n${sql.trim()}\n`);
  return [head, ...files].join('');
}
