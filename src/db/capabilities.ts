import type pg from 'pg';
import { archiveOf, archivedTables, coreTables } from '../core/tables.js';
import { ConsoleError } from './errors.js';
import type { Queryable } from './queryable.js';
import { quoteIdent } from './quote.js';
import { ranOut, translateError, type Where } from './connection/translate-error.js';
import {
  againUnlessBegun,
  beginStatement,
  defaultLimits,
  heeded,
  sendTogether,
  unlimitedTransaction,
} from './transaction.js';

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
   * Where one of vector and uuid-ossp is missing: those that could be installed. A trusted one may be created by any role
   * with CREATE on the database.
   */
  availableExtensions: Partial<Record<string, { version: string; trusted: boolean }>>;
  /** Which of anon, authenticated and service_role exist. */
  supabaseRoles: string[];
  /** A pooler or proxy stands between: sessions may be shared. */
  pooled: boolean;
  /** Our tables and archives that exist in the target schema. */
  tables: Partial<Record<string, TableAccess>>;
  /** Absent: the extension is not there. */
  citus?: Citus;
};

/** A cluster of Citus: the rows of distributed tables lie on workers, and this server has empty shells of them. */
export type Citus = {
  version: string;
  /** Of a team: what is made in the target schema is distributed at once. */
  distributesSchema: boolean;
  /** The distributed tables of the target schema. */
  tables: readonly string[];
};

/** What this server says of sizes, rows and use of our tables is of empty shells. */
export function hasRowsOnWorkers({ citus }: Pick<Capabilities, 'citus'>): boolean {
  return citus !== undefined && citus.tables.length > 0;
}

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
 * the search_path exists and none was named.
 */
export function capabilitiesOf(
  where: Where,
  pool: { causeOf(error: unknown): unknown },
  connects: { connect(): Promise<pg.PoolClient> },
  schema: string | undefined,
): Promise<Capabilities> {
  return againUnlessBegun(async () => {
    const begun = performance.now();
    try {
      return await readCapabilities(connects, { schema });
    } catch (error) {
      const timedOut = ranOut(begun, defaultLimits.statementTimeoutMs);
      throw translateError(pool.causeOf(error), where, { timedOut });
    }
  });
}

async function readCapabilities(
  pool: { connect(): Promise<pg.PoolClient> },
  options: { schema?: string | undefined },
): Promise<Capabilities> {
  const client = await pool.connect();
  let broken = true;
  try {
    sendTogether(client);
    const begun = client.query(limited(beginStatement({ readOnly: true })));
    // By itself: what is longer the administration console of pgbouncer refuses with other words.
    const freed = client.query(limited(unlimitedTransaction));
    const asked = client.query<CapabilitiesRow>(
      limited(capabilitiesQuery, [
        options.schema ?? null,
        [...coreTables, ...archivedTables.map(archiveOf)],
      ]),
    );
    const [, , { rows }] = await Promise.all([begun, freed, asked]);
    const row = rows[0];
    const citus = row?.extensions.citus && (await readCitus(client, row.schema));
    void heeded(client.query(limited('COMMIT')));
    broken = false;
    if (!row) throw new ConsoleError('internal', 'The server told nothing about itself.');
    return { ...fromRow(row, backendPidOf(client)), ...(citus ? { citus } : {}) };
  } finally {
    client.release(broken);
  }
}

/** Catalogues of Citus 12 and newer, which every role may read. */
async function readCitus(client: pg.PoolClient, schema: string | null): Promise<Citus | undefined> {
  const { rows } = await client.query<Citus>(
    limited(
      `SELECT e.extversion AS version,
         EXISTS (
           SELECT FROM pg_catalog.pg_dist_schema AS d JOIN pg_namespace AS n ON n.oid = d.schemaid WHERE n.nspname = $1
         ) AS "distributesSchema",
         ARRAY(
           SELECT c.relname::text
           FROM pg_catalog.pg_dist_partition AS d
           JOIN pg_class AS c ON c.oid = d.logicalrelid
           JOIN pg_namespace AS n ON n.oid = c.relnamespace
           WHERE n.nspname = $1 ORDER BY c.relname
         ) AS tables
       FROM pg_extension AS e
       WHERE e.extname = 'citus' AND EXISTS (
         SELECT FROM pg_class AS c
         WHERE c.relname = 'pg_dist_schema' AND c.relnamespace = 'pg_catalog'::regnamespace
       )`,
      [schema],
    ),
  );
  return rows[0];
}

/** A pooler that has no connection free lets its client wait for minutes. */
function limited(text: string, values?: unknown[]): pg.QueryConfig {
  const config: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: answerLimitMs };
  return values === undefined ? config : { ...config, values };
}

const answerLimitMs = 15_000;

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

/**
 * Whether a session that begins now is read-only by default. One that is open keeps what its role and its database had then.
 * What the connection itself asks for (PGOPTIONS) counts before both.
 */
export const readOnlyByDefault = `(
  current_setting('default_transaction_read_only')::bool OR (
    COALESCE((
      SELECT split_part(setting, '=', 2)::bool
      FROM pg_db_role_setting AS s, unnest(s.setconfig) AS setting
      WHERE setting LIKE 'default_transaction_read_only=%'
        AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
        AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1
    ), false)
    AND (SELECT source <> 'client' FROM pg_settings WHERE name = 'default_transaction_read_only')
  )
)`;

/**
 * One statement for everything that the console must know of a server before it draws or changes
 * anything. `$1`: the target schema or NULL for the first of search_path that exists; `$2`: names of
 * the tables to look at. It reads catalogues only, takes no lock on the tables, and works for a role
 * without any privilege on them.
 */
const capabilitiesQuery = `
WITH target AS (
  SELECT given.name, n.oid
  FROM (SELECT COALESCE($1::text, current_schema()::text) AS name) AS given
  LEFT JOIN pg_namespace AS n ON n.nspname = given.name
)
SELECT
  current_setting('server_version_num')::int AS server_version,
  current_setting('server_version') AS server_version_text,
  version() LIKE '%(PGlite %' AS embedded,
  -- to_regclass fails for a role that may not use the schema.
  EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'trace_console' AND c.relname = 'table_counters'
  ) AS keeps_counters,
  current_database()::text AS database,
  current_user::text AS "user",
  pg_backend_pid() AS backend_pid,
  pg_is_in_recovery() AS standby,
  ${readOnlyByDefault} AS read_only_by_default,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
  pg_has_role(current_user, 'pg_read_all_stats', 'MEMBER') AS reads_all_stats,
  (SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database
   WHERE datname = current_database()) AS owns_database,
  has_database_privilege(current_database(), 'CREATE') AS creates_schemas,
  target.name AS schema,
  target.oid IS NOT NULL AS schema_exists,
  COALESCE(has_schema_privilege(target.oid, 'USAGE'), false) AS uses_schema,
  COALESCE(has_schema_privilege(target.oid, 'CREATE'), false) AS creates_in_schema,
  COALESCE((
    SELECT json_object_agg(e.extname, json_build_object('version', e.extversion, 'schema', n.nspname))
    FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
  ), '{}') AS extensions,
  -- The server reads every control file for it: 8 ms, which nobody needs where both are there.
  CASE WHEN (SELECT count(*) FROM pg_extension WHERE extname IN ('vector', 'uuid-ossp')) = 2 THEN '{}'
  ELSE COALESCE((
    SELECT json_object_agg(a.name, json_build_object('version', a.default_version, 'trusted', v.trusted))
    FROM pg_available_extensions AS a
    JOIN pg_available_extension_versions AS v ON v.name = a.name AND v.version = a.default_version
    WHERE a.name IN ('vector', 'uuid-ossp')
  ), '{}') END AS available_extensions,
  ARRAY(
    SELECT rolname::text FROM pg_roles
    WHERE rolname IN ('service_role', 'authenticated', 'anon') ORDER BY rolname
  ) AS supabase_roles,
  COALESCE((
    SELECT json_object_agg(c.relname, json_build_object(
      'kind', c.relkind,
      'owner', pg_has_role(current_user, c.relowner, 'USAGE'),
      'maintain', CASE WHEN current_setting('server_version_num')::int < 170000
        THEN pg_has_role(current_user, c.relowner, 'USAGE')
        ELSE has_table_privilege(c.oid, 'MAINTAIN') END,
      'select', has_table_privilege(c.oid, 'SELECT'),
      'insert', has_table_privilege(c.oid, 'INSERT'),
      'update', has_table_privilege(c.oid, 'UPDATE'),
      'delete', has_table_privilege(c.oid, 'DELETE'),
      'rowSecurity', c.relrowsecurity,
      'filtered', row_security_active(c.oid)
    ))
    FROM pg_class AS c
    WHERE c.relnamespace = target.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY ($2)
  ), '{}') AS tables
FROM target`;

/**
 * Those of the tables on which ON CONFLICT with just this column fails: a unique key of a partitioned table must hold the
 * column that it is partitioned by, so who partitions one by hand gives up such keys. Views are left to their tables.
 *
 * @param keys columns by table
 */
export async function tablesWithoutKey<Table extends string>(
  tx: Queryable,
  keys: Readonly<Partial<Record<Table, string>>>,
): Promise<Set<Table>> {
  const { rows } = await tx.query<{ table: Table }>(
    `SELECT k.name AS table
     FROM unnest($1::text[], $2::text[]) AS k (name, key)
       JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(k.name)) AND c.relkind IN ('r', 'p')
     WHERE NOT EXISTS (
       SELECT FROM pg_index AS x JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
       WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indnkeyatts = 1
         AND x.indpred IS NULL AND a.attname = k.key
     )`,
    [Object.keys(keys), Object.values(keys)],
  );
  return new Set(rows.map(({ table }) => table));
}

/** @throws ConsoleError `schema_incompatible` when a table has no unique key of just that column */
export async function needKeys(
  tx: Queryable,
  what: string,
  keys: Readonly<Record<string, string>>,
): Promise<void> {
  const without = await tablesWithoutKey(tx, keys);
  const [table, key] = Object.entries(keys).find(([name]) => without.has(name)) ?? [];
  if (table === undefined) return;
  throw new ConsoleError(
    'schema_incompatible',
    `${what}: refused, ${table} has no unique key of just ${key}, by which its rows are told apart.`,
    {
      hint: `A table that is partitioned has none: leave ${table} in one piece. "trace-console schema verify" names what differs.`,
    },
  );
}
