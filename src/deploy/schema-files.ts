import { createHash } from 'node:crypto';
import { embeddedFiles } from '../sql/files.generated.js';

/** One file of schema/: its name, its text, and the SHA-256 of the text. */
export type SchemaFile = { name: string; sql: string; checksum: string };

/** The schema's files in their order, as psql would run them. */
export const schemaFiles: readonly SchemaFile[] = embeddedFiles.map(({ name, sql }) => ({
  name,
  sql,
  checksum: createHash('sha256').update(sql).digest('hex'),
}));

/** The file of row-level security, which an adopted database gets only when asked. */
export const rowSecurityFile = '012_rls_policies.sql';

/** The file of the indexes, which an adopted database gets CONCURRENTLY, one by one. */
export const indexFile = '009_indexes.sql';
