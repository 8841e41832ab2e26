import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { quoteIdent } from '../../db/quote.js';
import { archiveOf, type ArchivedTable } from '../../shared/tables.js';

export type ArchiveColumn = { name: string; json: boolean; inLive: boolean };

/** The columns of an archive table; `inLive`: the live table has it, and it can be written there. */
export async function archiveColumns(
  tx: Queryable,
  schema: string,
  table: ArchivedTable,
): Promise<ArchiveColumn[]> {
  const { rows } = await tx.query<ArchiveColumn>(
    `SELECT a.attname::text AS name, a.atttypid = 'jsonb'::regtype AS json, live.attname IS NOT NULL AS "inLive"
     FROM pg_attribute AS a
     LEFT JOIN pg_attribute AS live ON live.attrelid = to_regclass($2) AND live.attname = a.attname
       AND NOT live.attisdropped AND live.attgenerated = ''
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [quoteIdent(schema, archiveOf(table)), quoteIdent(schema, table)],
  );
  return rows;
}

export type ColumnsByTable = Record<ArchivedTable, ArchiveColumn[]>;

export async function columnsByTable(database: Database): Promise<ColumnsByTable> {
  const { schema } = database.capabilities;
  return database.transaction({ readOnly: true }, async (tx) => ({
    execution_traces: await archiveColumns(tx, schema, 'execution_traces'),
    agent_routing_decisions: await archiveColumns(tx, schema, 'agent_routing_decisions'),
    hook_executions: await archiveColumns(tx, schema, 'hook_executions'),
    endpoint_calls: await archiveColumns(tx, schema, 'endpoint_calls'),
  }));
}

/** What links a row to its trace. */
export function traceKey(table: ArchivedTable): string {
  return table === 'execution_traces' ? 'id' : 'trace_id';
}
