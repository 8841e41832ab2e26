import type pg from 'pg';
import { resolveSource, type ServerSource } from '../../src/db/connection/source.js';
import { Database, type DatabaseOptions } from '../../src/db/database.js';

/** Opens the console's own connection to a test database. */
export function openConsole(url: string, options?: DatabaseOptions): Promise<Database> {
  return Database.open(resolveSource({ url, environment: {} }) as ServerSource, options);
}

type Query = { query(sql: string): Promise<pg.QueryResult> };

/** Every object of a schema and its definition, as text: equal before and after means untouched. */
export async function fingerprint(connection: Query, schema = 'public'): Promise<string[]> {
  const { rows } = await connection.query(`
    SELECT c.relkind::text || ' ' || c.relname || ' ' || COALESCE((
      SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
      FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ), '') || ' ' || c.relfilenode::text || ' ' || c.relrowsecurity::text AS object
    FROM pg_class AS c WHERE c.relnamespace = '${schema}'::regnamespace
    UNION ALL
    SELECT 'f ' || oid::regprocedure::text || ' ' || md5(prosrc) || COALESCE(proacl::text, '')
    FROM pg_proc AS p WHERE pronamespace = '${schema}'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
    UNION ALL
    SELECT 't ' || tgname || ' ' || pg_get_triggerdef(t.oid)
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = '${schema}'::regnamespace AND NOT tgisinternal
    ORDER BY 1`);
  return rows.map((row: { object: string }) => row.object);
}
