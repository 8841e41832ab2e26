import { byOwnKey } from '../core/values.js';
import type { Database, Queryable } from '../db/database.js';
import { ConsoleError, readOnlyError } from '../db/errors.js';
import { archiveOf, archivedTables, coreTables } from '../core/tables.js';
import { quoteIdent, quoteLiteral } from '../db/quote.js';
import { manifest } from './catalogue.js';

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
  if (database.readOnly) throw readOnlyError('The schema', database);
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
    if (byOwnKey(capabilities.extensions, name)) continue;
    const available = byOwnKey(capabilities.availableExtensions, name);
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
        hint: `Let its owner run: GRANT USAGE, CREATE ON SCHEMA ${quoteIdent(capabilities.schema)} TO ${quoteIdent(capabilities.user)}; or name another schema with --schema.`,
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

/** Supabase's roles: API requests without and with a signed-in user, and the trusted back end. */
export const supabaseRoles = ['anon', 'authenticated', 'service_role'] as const;

/**
 * Creates those of Supabase's roles that are missing, NOLOGIN. `service_role` bypasses row-level
 * security where the connected role may grant that (a superuser, or BYPASSRLS itself); its policies
 * allow it everything in any case.
 *
 * @throws ConsoleError `privilege_missing` without CREATEROLE.
 */
export async function createSupabaseRoles(transaction: Queryable): Promise<void> {
  await transaction.query(`
    DO $roles$
    DECLARE
      bypasses boolean := (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user);
    BEGIN
      IF to_regrole('anon') IS NULL THEN CREATE ROLE anon NOLOGIN; END IF;
      IF to_regrole('authenticated') IS NULL THEN CREATE ROLE authenticated NOLOGIN; END IF;
      IF to_regrole('service_role') IS NULL THEN
        IF bypasses THEN CREATE ROLE service_role NOLOGIN BYPASSRLS;
        ELSE CREATE ROLE service_role NOLOGIN;
        END IF;
      END IF;
    END
    $roles$`);
}

/** Roles for people and programs to be members of, each with the least rights that its work needs. */
export const consoleRoles = [
  'trace_console_reader',
  'trace_console_writer',
  'trace_console_maintainer',
] as const;

/**
 * Creates the three roles where they are missing, NOLOGIN, and grants each what it needs of the target schema, in
 * the current search_path, and of trace_console. Run again it grants what is new.
 *
 * - reader: sees everything, the archive and the journal included; changes nothing;
 * - writer: adds events and ends them, logs uses of patterns; deletes nothing and sees no archive;
 * - maintainer: reads, archives, restores, prunes, closes stuck traces, and from PostgreSQL 17 on reindexes, vacuums
 *   and analyses, with a journal; alters and drops nothing.
 *
 * Row-level security filters all three, as everybody but the owner and service_role.
 *
 * @throws ConsoleError `privilege_missing` without CREATEROLE, or for another than the owner of the tables
 */
export async function createConsoleRoles(transaction: Queryable): Promise<void> {
  await transaction.query(`
    DO $roles$
    DECLARE
      role text;
      tables text := (SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
        WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relname = ANY (ARRAY[${listOf(coreTables)}]));
      archives text := (SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
        WHERE relnamespace = quote_ident(current_schema())::regnamespace
          AND relname = ANY (ARRAY[${listOf(archivedTables.map(archiveOf))}]));
      views text := (SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
        WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind = 'v'
          AND relname = ANY (ARRAY[${listOf(Object.keys(manifest.views))}]));
      routine record;
      copy record;
    BEGIN
      FOREACH role IN ARRAY ARRAY[${listOf(consoleRoles)}] LOOP
        IF to_regrole(role) IS NULL THEN EXECUTE format('CREATE ROLE %I NOLOGIN', role); END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
      END LOOP;
      EXECUTE format('GRANT SELECT ON %s TO trace_console_reader, trace_console_maintainer',
                     concat_ws(', ', tables, archives, views));
      EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %s TO trace_console_writer', tables);
      EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO trace_console_maintainer', concat_ws(', ', tables, archives));
      IF current_setting('server_version_num')::integer >= 170000 THEN
        EXECUTE format('GRANT MAINTAIN ON %s TO trace_console_maintainer', concat_ws(', ', tables, archives));
      END IF;
      FOR routine IN
        SELECT oid::regprocedure AS signature, proname FROM pg_proc
        WHERE pronamespace = quote_ident(current_schema())::regnamespace
          AND proname IN ('find_similar_patterns', 'get_trace_timeline', 'record_pattern_usage', 'archive_traces',
                          'prune_patterns')
      LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', routine.signature, CASE
          WHEN routine.proname = 'find_similar_patterns' THEN 'trace_console_reader, trace_console_writer, trace_console_maintainer'
          WHEN routine.proname = 'get_trace_timeline' THEN 'trace_console_reader, trace_console_maintainer'
          WHEN routine.proname = 'record_pattern_usage' THEN 'trace_console_writer'
          ELSE 'trace_console_maintainer' END);
      END LOOP;
      IF to_regnamespace('trace_console') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA trace_console TO trace_console_reader, trace_console_maintainer;
        GRANT SELECT ON ALL TABLES IN SCHEMA trace_console TO trace_console_reader, trace_console_maintainer;
        GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA trace_console TO trace_console_maintainer;
        -- A materialized view shows what its owner sees: where policies filter, it is for nobody else.
        FOR copy IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'trace_console'::regnamespace AND relkind = 'm'
        LOOP
          IF current_setting('server_version_num')::integer >= 170000 THEN
            EXECUTE format('GRANT MAINTAIN ON %s TO trace_console_maintainer', copy.name);
          END IF;
          IF EXISTS (SELECT FROM pg_class WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relrowsecurity) THEN
            EXECUTE format('REVOKE SELECT ON %s FROM trace_console_reader, trace_console_maintainer', copy.name);
          END IF;
        END LOOP;
      END IF;
    END
    $roles$`);
}

function listOf(names: readonly string[]): string {
  return names.map(quoteLiteral).join(', ');
}
