import type { Database, DirectConnection } from '../db/database.js';
import { quoteIdent } from '../db/quote.js';
import type { ApplyStep } from './apply.js';
import type { Plan } from './plan.js';

/**
 * Builds the missing indexes of a deployed database one by one, CONCURRENTLY, so that its writers go
 * on. Runs outside any transaction on a connection of its own. A build that fails leaves nothing:
 * its invalid index is dropped again.
 *
 * @throws ConsoleError `pooled_connection` behind a pooler.
 */
export async function buildIndexes(
  database: Database,
  indexes: Plan['addIndexes'],
  onProgress?: (step: ApplyStep) => void,
): Promise<{ applied: string[]; failed: { name: string; reason: string }[] }> {
  const applied: string[] = [];
  const failed: { name: string; reason: string }[] = [];
  if (indexes.length === 0) return { applied, failed };
  const { schema } = database.capabilities;
  const connection = await database.connectDirect();
  try {
    // Waiting for a lock for ever would leave the build half-done and every writer behind it.
    await connection.query("SET lock_timeout = '30s'; SET maintenance_work_mem = '256MB'");
    for (const [position, { name, index }] of indexes.entries()) {
      const step = { index: position + 1, total: indexes.length, name };
      try {
        await connection.query(concurrently(index.definition, schema, index.table));
        applied.push(name);
        onProgress?.({ ...step, outcome: 'built' });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        await dropIfInvalid(connection, schema, name);
        failed.push({ name, reason });
        onProgress?.({ ...step, outcome: reason });
      }
    }
  } finally {
    await connection.close();
  }
  return { applied, failed };
}

/** `CREATE INDEX x ON t …` → `CREATE INDEX CONCURRENTLY IF NOT EXISTS x ON "schema"."t" …` */
export function concurrently(definition: string, schema: string, table: string): string {
  return definition
    .replace(/^CREATE (UNIQUE )?INDEX /, 'CREATE $1INDEX CONCURRENTLY IF NOT EXISTS ')
    .replace(` ON ${table} `, ` ON ${quoteIdent(schema, table)} `);
}

async function dropIfInvalid(
  connection: DirectConnection,
  schema: string,
  name: string,
): Promise<void> {
  const { rows } = await connection.query<{ valid: boolean }>(
    `SELECT x.indisvalid AS valid FROM pg_index AS x
     JOIN pg_class AS c ON c.oid = x.indexrelid
     JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  if (rows[0]?.valid === false) {
    await connection.query(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteIdent(schema, name)}`);
  }
}
