import type { Database, DirectConnection } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { leftoverPattern } from './index-state.js';

/**
 * Drops the leftovers of a concurrent rebuild: only an index that is named like one, is invalid,
 * belongs to the given table and is not being built by anybody. The name alone proves nothing, and a
 * healthy index is never touched. DROP INDEX CONCURRENTLY, without a lock time-out: timed out it
 * would mark an index invalid.
 *
 * @returns the names of the indexes that were dropped
 */
export async function dropLeftovers(
  database: Database,
  connection: DirectConnection,
  table: string,
  names: readonly string[],
): Promise<string[]> {
  const { schema } = database.capabilities;
  const dropped: string[] = [];
  for (const name of names) {
    const { rows } = await connection.query(
      `SELECT 1 FROM pg_index AS x
       JOIN pg_class AS i ON i.oid = x.indexrelid
       JOIN pg_class AS t ON t.oid = x.indrelid
       JOIN pg_namespace AS n ON n.oid = i.relnamespace
       WHERE n.nspname = $1 AND i.relname = $2 AND t.relname = $3
         AND NOT x.indisvalid AND i.relname ~ $4
         AND NOT EXISTS (
           SELECT FROM pg_stat_progress_create_index AS p
           WHERE p.relid = t.oid AND p.datname = current_database()
         )`,
      [schema, name, table, leftoverPattern],
    );
    if (rows.length === 0) continue;
    await connection.query('SET lock_timeout = 0');
    await connection.query(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteIdent(schema, name)}`);
    dropped.push(name);
  }
  return dropped;
}
