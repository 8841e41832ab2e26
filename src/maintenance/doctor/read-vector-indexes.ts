import type { Queryable } from '../../db/database.js';
import { builtOnTooFewRows, defaultLists } from '../../shared/vector-lists.js';

export type VectorIndex = {
  index: string;
  table: string;
  lists: number;
  /** Rows with an embedding, estimated. */
  rows: number;
  builtEmpty: boolean;
};

/**
 * The ivfflat indexes of a schema. How many of the rows have an embedding comes from the planner's
 * statistics; for what `ids_since_table` tells see builtOnTooFewRows.
 */
export async function readVectorIndexes(tx: Queryable, schema: string): Promise<VectorIndex[]> {
  const { rows } = await tx.query<{
    index: string;
    table: string;
    lists: number;
    rows: number;
    ids_since_table: number;
  }>(
    `SELECT i.relname::text AS index, t.relname::text AS table,
       COALESCE((SELECT option_value::int FROM pg_options_to_table(i.reloptions)
         WHERE option_name = 'lists' AND option_value ~ '^\\d{1,6}$'), $2) AS lists,
       GREATEST(i.reltuples, t.reltuples, pg_stat_get_live_tuples(t.oid), 0)::float8
         * (1 - COALESCE(s.null_frac, 0))::float8 AS rows,
       i.relfilenode::bigint - t.oid::bigint AS ids_since_table
     FROM pg_index AS x
     JOIN pg_class AS i ON i.oid = x.indexrelid
     JOIN pg_class AS t ON t.oid = x.indrelid
     JOIN pg_am AS am ON am.oid = i.relam AND am.amname = 'ivfflat'
     JOIN pg_namespace AS n ON n.oid = t.relnamespace AND n.nspname = $1
     LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
     LEFT JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname
       AND NOT s.inherited
     WHERE x.indisvalid ORDER BY i.relname`,
    [schema, defaultLists],
  );
  return rows.map(({ ids_since_table: idsSinceTable, ...index }) => ({
    ...index,
    builtEmpty: builtOnTooFewRows({ ...index, idsSinceTable }),
  }));
}
