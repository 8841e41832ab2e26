import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';

/** PostgreSQL's major version from `server_version_num`: 170012 → 17. */
function majorOf(serverVersion: number): number {
  return Math.floor(serverVersion / 10_000);
}

/**
 * Checks, before any DDL, what the schema's files will need of the server and the role.
 *
 * @throws ConsoleError `standby`, `read_only`, `extension_missing` or `privilege_missing`, with what
 * would help.
 */
export function checkPrerequisites(database: Database): void {
  const { capabilities } = database;
  if (database.readOnly) {
    throw new ConsoleError('read_only', 'The schema is not changed with --read-only.', {
      hint: 'Leave --read-only out to apply the schema.',
    });
  }
  if (capabilities.standby) {
    throw new ConsoleError(
      'standby',
      'This server is a standby; a schema is applied to its primary.',
      {
        hint: 'Connect to the primary.',
      },
    );
  }
  for (const name of ['vector', 'uuid-ossp']) {
    if (capabilities.extensions[name]) continue;
    const available = capabilities.availableExtensions[name];
    if (!available) throw extensionMissing(name, capabilities.serverVersion);
    // Whether pgvector is trusted depends on who packaged it: Debian's 0.8.0 is not.
    const creates = available.trusted && capabilities.createsSchemas;
    if (!capabilities.superuser && !creates) {
      throw new ConsoleError(
        'privilege_missing',
        `The role "${capabilities.user}" may not create the extension "${name}".`,
        { hint: `Let an administrator run: CREATE EXTENSION IF NOT EXISTS "${name}";` },
      );
    }
  }
  if (capabilities.schemaExists && !capabilities.createsInSchema) {
    throw new ConsoleError(
      'privilege_missing',
      `The role "${capabilities.user}" may not create anything in the schema "${capabilities.schema}".`,
      {
        hint: `Let its owner run: GRANT USAGE, CREATE ON SCHEMA "${capabilities.schema}" TO "${capabilities.user}"; or name another schema with --schema.`,
      },
    );
  }
  if (!capabilities.schemaExists && !capabilities.createsSchemas) {
    throw new ConsoleError(
      'schema_missing',
      `The schema "${capabilities.schema}" does not exist.`,
      {
        hint: `The role "${capabilities.user}" may not create it either: CREATE needs a grant on the database.`,
      },
    );
  }
}

function extensionMissing(name: string, serverVersion: number): ConsoleError {
  const major = majorOf(serverVersion);
  const advice =
    name === 'vector'
      ? `Install pgvector on the server: "apt install postgresql-${major}-pgvector" (Debian, Ubuntu), "dnf install pgvector_${major}" (Red Hat), or use the image pgvector/pgvector:pg${major} (docker-compose.yml has it). Nothing was changed.`
      : `Install the server's contrib modules: "apt install postgresql-${major}" (Debian, Ubuntu) or "dnf install postgresql${major}-contrib" (Red Hat). Nothing was changed.`;
  return new ConsoleError(
    'extension_missing',
    `The server has no extension "${name}"${name === 'vector' ? ' (pgvector)' : ''}.`,
    { hint: advice },
  );
}
