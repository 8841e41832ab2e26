import type { Database } from '../../db/database.js';
import { archiveOf, archivedTables } from '../../shared/tables.js';

/** Bytes of the archive tables with their indexes; undefined where one is locked. */
export async function archiveBytes(database: Database): Promise<number | undefined> {
  try {
    const [row] = await database.read<{ bytes: number }>(
      `SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0) AS bytes
       FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = ANY ($2)`,
      [database.capabilities.schema, archivedTables.map(archiveOf)],
    );
    return row?.bytes;
  } catch {
    return undefined;
  }
}
