import type { Queryable } from '../db/queryable.js';

/** A table of the console's own schema, made when it is first needed. */
export type ConsoleTable = {
  /** Its name within `trace_console`. */
  name: string;
  /** The statements that create it. */
  ddl: string;
};

/**
 * Creates a table of the console where it is missing. False for a role that may not write it, or not
 * create it beside what another role has in the console's schema: that role goes without.
 */
export async function openConsoleTable(
  transaction: Queryable,
  { name, ddl }: ConsoleTable,
): Promise<boolean> {
  const { rows } = await transaction.query<{
    exists: boolean;
    schema_exists: boolean;
    allowed: boolean;
  }>(
    `SELECT c.oid IS NOT NULL AS exists, n.oid IS NOT NULL AS schema_exists,
       CASE
         WHEN c.oid IS NOT NULL THEN has_schema_privilege(n.oid, 'USAGE') AND (
           SELECT bool_and(has_table_privilege(c.oid, privilege))
           FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS privilege)
         WHEN n.oid IS NOT NULL THEN has_schema_privilege(n.oid, 'USAGE')
                                     AND has_schema_privilege(n.oid, 'CREATE')
         ELSE has_database_privilege(current_database(), 'CREATE')
       END AS allowed
     FROM (SELECT) AS one
     LEFT JOIN pg_namespace AS n ON n.nspname = 'trace_console'
     LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = $1`,
    [name],
  );
  const [found] = rows;
  if (!found?.allowed) return false;
  // IF NOT EXISTS would ask for the right to create schemas all the same.
  if (!found.schema_exists) await transaction.query('CREATE SCHEMA trace_console');
  if (!found.exists) await transaction.query(ddl);
  return true;
}

/** Whether a table of the console exists and may be read. */
export async function hasConsoleTable(transaction: Queryable, name: string): Promise<boolean> {
  const { rows } = await transaction.query<{ readable: boolean }>(
    `SELECT COALESCE(
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), false
     ) AS readable
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'trace_console' AND c.relname = $1`,
    [name],
  );
  return rows[0]?.readable ?? false;
}
