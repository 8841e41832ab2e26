import type { Queryable } from '../db/database.js';

/** Of the file system with the data, bytes. */
export type DiskSpace = { free_bytes: number; total_bytes: number };

/**
 * How much room the server's disk has. PostgreSQL itself does not know; the extension system_stats does. Undefined
 * where it is not there, or not for this role.
 */
export async function freeSpace(tx: Queryable): Promise<DiskSpace | undefined> {
  const extension = await tx.query<{ function: string | null }>(
    `SELECT to_regprocedure(quote_ident(n.nspname) || '.pg_sys_disk_info()')::regproc::text AS function
     FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
     WHERE e.extname = 'system_stats'
       AND has_function_privilege(to_regprocedure(quote_ident(n.nspname) || '.pg_sys_disk_info()'), 'EXECUTE')`,
  );
  const name = extension.rows[0]?.function;
  if (!name) return undefined;
  // The file system with the data is the one whose mount point is the longest beginning of its path.
  const { rows } = await tx.query<DiskSpace>(
    `SELECT d.free_space AS free_bytes, d.total_space AS total_bytes
     FROM ${name}() AS d, pg_settings AS s
     WHERE s.name = 'data_directory' AND starts_with(s.setting || '/', rtrim(d.mount_point, '/') || '/')
     ORDER BY length(d.mount_point) DESC LIMIT 1`,
  );
  return rows[0];
}
