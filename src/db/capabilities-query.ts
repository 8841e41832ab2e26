/**
 * One statement for everything that the console must know of a server before it draws or changes
 * anything. `$1`: the target schema or NULL for the first of search_path that exists; `$2`: names of
 * the tables to look at. It reads catalogues only, takes no lock on the tables, and works for a role
 * without any privilege on them.
 */
export const capabilitiesQuery = `
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
  current_setting('default_transaction_read_only')::bool AS read_only_by_default,
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
  COALESCE((
    SELECT json_object_agg(a.name, json_build_object('version', a.default_version, 'trusted', v.trusted))
    FROM pg_available_extensions AS a
    JOIN pg_available_extension_versions AS v ON v.name = a.name AND v.version = a.default_version
    WHERE a.name IN ('vector', 'uuid-ossp', 'pg_cron', 'pg_stat_statements')
  ), '{}') AS available_extensions,
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
