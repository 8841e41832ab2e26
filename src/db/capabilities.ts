import type pg from 'pg';
import { archiveOf, archivedTables, coreTables } from '../shared/tables.js';
import { capabilitiesQuery } from './capabilities-query.js';
import { ConsoleError } from './errors.js';
import { quoteIdent } from './quote.js';
import { beginStatement } from './transaction-settings.js';

/** What the connected role may do with one table. */
export type TableAccess = {
  /** `r` table, `p` partitioned, `v` view, `m` materialized view, `f` foreign table */
  kind: string;
  owner: boolean;
  /** May REINDEX, VACUUM and ANALYZE it: as the owner; from PostgreSQL 17 on also by MAINTAIN. */
  maintain: boolean;
  select: boolean;
  insert: boolean;
  update: boolean;
  delete: boolean;
  /** Row-level security is enabled on the table. */
  rowSecurity: boolean;
  /** Policies filter what this role sees: a maintenance action would silently do too little. */
  filtered: boolean;
};

/** What this server, role and schema allow. Read once at connect, again after a reconnect. */
export type Capabilities = {
  /** `server_version_num`, for example 170012 */
  serverVersion: number;
  serverVersionText: string;
  database: string;
  user: string;
  /**
   * The embedded database, however it was addressed: one session, no statement time-out of its own,
   * no progress views.
   */
  embedded: boolean;
  /** The embedded database's daemon keeps the counters that its engine forgets. */
  keepsCounters: boolean;
  standby: boolean;
  readOnlyByDefault: boolean;
  superuser: boolean;
  /** Sees other roles' queries and the progress views. */
  readsAllStats: boolean;
  /** Who owns the database may VACUUM and ANALYZE every table of it. */
  ownsDatabase: boolean;
  createsSchemas: boolean;
  /** Target schema: `--schema`, else the first of search_path that exists. */
  schema: string;
  schemaExists: boolean;
  usesSchema: boolean;
  createsInSchema: boolean;
  /** A ready, quoted list: the target schema, then where `vector` and `uuid-ossp` live. */
  searchPath: string;
  /** Installed extensions by name. */
  extensions: Partial<Record<string, { version: string; schema: string }>>;
  /**
   * Those of vector, uuid-ossp, pg_cron and pg_stat_statements that could be installed. A trusted
   * one may be created by any role with CREATE on the database.
   */
  availableExtensions: Partial<Record<string, { version: string; trusted: boolean }>>;
  /** Which of anon, authenticated and service_role exist. */
  supabaseRoles: string[];
  /** A pooler or proxy stands between: sessions may be shared. */
  pooled: boolean;
  /** Our tables and archives that exist in the target schema. */
  tables: Partial<Record<string, TableAccess>>;
};

type CapabilitiesRow = {
  server_version: number;
  server_version_text: string;
  embedded: boolean;
  keeps_counters: boolean;
  database: string;
  user: string;
  backend_pid: number;
  standby: boolean;
  read_only_by_default: boolean;
  superuser: boolean;
  reads_all_stats: boolean;
  owns_database: boolean;
  creates_schemas: boolean;
  schema: string | null;
  schema_exists: boolean;
  uses_schema: boolean;
  creates_in_schema: boolean;
  extensions: Capabilities['extensions'];
  available_extensions: Capabilities['availableExtensions'];
  supabase_roles: string[];
  tables: Capabilities['tables'];
};

const lowestServerVersion = 150_000;

/**
 * Reads the capabilities in one read-only transaction.
 *
 * @throws ConsoleError `server_unsupported` below PostgreSQL 15, `schema_missing` when no schema of
 * the search_path exists and none was named; errors of pg as they are.
 */
export async function readCapabilities(
  pool: pg.Pool,
  options: { schema?: string | undefined },
): Promise<Capabilities> {
  const client = await pool.connect();
  let broken = true;
  try {
    await client.query(beginStatement({ readOnly: true }));
    const { rows } = await client.query<CapabilitiesRow>(capabilitiesQuery, [
      options.schema ?? null,
      [...coreTables, ...archivedTables.map(archiveOf)],
    ]);
    await client.query('COMMIT');
    broken = false;
    const row = rows[0];
    if (!row) throw new ConsoleError('internal', 'The server told nothing about itself.');
    return fromRow(row, backendPidOf(client));
  } finally {
    client.release(broken);
  }
}

function fromRow(row: CapabilitiesRow, announcedPid: number | null): Capabilities {
  if (row.server_version < lowestServerVersion) {
    throw new ConsoleError(
      'server_unsupported',
      `PostgreSQL ${row.server_version_text} is too old; trace-console needs 15 or newer.`,
      { hint: 'Upgrade the server, or use the image of docker-compose.yml.' },
    );
  }
  if (row.schema === null) {
    throw new ConsoleError('schema_missing', "No schema of the role's search_path exists.", {
      hint: 'Name the schema with --schema NAME.',
    });
  }
  return {
    serverVersion: row.server_version,
    serverVersionText: row.server_version_text,
    database: row.database,
    user: row.user,
    embedded: row.embedded,
    // Elsewhere such views are somebody else's.
    keepsCounters: row.embedded && row.keeps_counters,
    standby: row.standby,
    readOnlyByDefault: row.read_only_by_default,
    superuser: row.superuser,
    readsAllStats: row.reads_all_stats,
    ownsDatabase: row.owns_database,
    createsSchemas: row.creates_schemas,
    schema: row.schema,
    schemaExists: row.schema_exists,
    usesSchema: row.uses_schema,
    createsInSchema: row.creates_in_schema,
    searchPath: searchPathOf(row.schema, row.extensions),
    extensions: row.extensions,
    availableExtensions: row.available_extensions,
    supabaseRoles: row.supabase_roles,
    // A pooler (pgbouncer, Supavisor) makes up the key it announces to its client; the server's own
    // key holds the backend's pid. It shows no pool mode, so a session pooler counts as well.
    pooled: !row.embedded && announcedPid !== null && announcedPid !== row.backend_pid,
    tables: row.tables,
  };
}

/** The quoted search_path of every statement: the target schema, then the extensions' schemas. */
export function searchPathOf(schema: string, extensions: Capabilities['extensions']): string {
  const schemas = [schema, extensions.vector?.schema, extensions['uuid-ossp']?.schema];
  const known = schemas.filter((name): name is string => name !== undefined);
  return [...new Set(known)].map((name) => quoteIdent(name)).join(', ');
}

/** The pid of the BackendKeyData message; pg keeps it on the client without a declared type. */
function backendPidOf(client: pg.PoolClient): number | null {
  const { processID } = client as unknown as { processID?: number | null };
  return processID ?? null;
}
