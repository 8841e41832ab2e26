import { createHash } from 'node:crypto';
import { embeddedConsoleFiles, embeddedFiles } from './files.generated.js';
import { consoleVersion } from '../core/version.js';

/** One file of schema/: its name, its text, and the SHA-256 of the text. */
export type SchemaFile = { name: string; sql: string; checksum: string };

/** The schema's files in their order, as psql would run them. */
export const schemaFiles: readonly SchemaFile[] = embeddedFiles.map(withChecksum);

/** The files of the console's own schema, in their order: see schema/trace_console/README.md. */
export const consoleFiles: readonly SchemaFile[] = embeddedConsoleFiles.map(withChecksum);

/** The file of row-level security, which an adopted database gets only when asked. */
export const rowSecurityFile = '012_rls_policies.sql';

/** The file of the indexes, which an adopted database gets CONCURRENTLY, one by one. */
export const indexFile = '009_indexes.sql';

function withChecksum({ name, sql }: { name: string; sql: string }): SchemaFile {
  return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
}

/** All schema files as one migration, in their order, each under a line with its name. */
export function bundleSchema(): string {
  const head = `-- The schema of trace-console ${consoleVersion()}, files 001 to ${schemaFiles.at(-1)?.name.slice(0, 3)} in their order.
-- Run it with: psql -v ON_ERROR_STOP=1 --single-transaction -f FILE "$DATABASE_URL"
-- It may run again: what is there stays as it is.
`;
  const files = schemaFiles.map(({ name, sql }) => `\n-- ${name}\n\n${sql.trim()}\n`);
  return [head, ...files].join('');
}
