import type { Database } from '../../db/database.js';
import { coreTables } from '../../shared/tables.js';
import { defaultLists, builtOnTooFewRows } from '../../shared/vector-lists.js';

/** Which indexes an action is about: these, all of a table, or every vector index of our tables. */
export type ReindexTarget = {
  indexes?: readonly string[];
  table?: string;
  vectors?: boolean;
};

/** What a vector index is made of; what a replacement of it needs. */
export type VectorIndex = {
  method: 'ivfflat' | 'hnsw';
  /** Null: hnsw. */
  lists: number | null;
  column: string;
  /** Dimensions; null when the column has none of its own. */
  dimensions: number | null;
  /** Schema and name: `vector_cosine_ops`. */
  operatorClass: [schema: string, name: string];
  predicate: string | null;
  tablespace: string | null;
  comment: string | null;
  /** Built on an almost empty table. */
  builtEmpty: boolean;
};

/** What must be known of an index before it is rebuilt. */
export type IndexState = {
  index: string;
  oid: number;
  schema: string;
  table: string;
  bytes: number;
  valid: boolean;
  owned: boolean;
  /** An exclusion constraint's index cannot be rebuilt CONCURRENTLY. */
  exclusion: boolean;
  method: string;
  /** Rows that the index has to hold, estimated. */
  rows: number;
  vector: VectorIndex | null;
};

type Row = Omit<IndexState, 'vector'> & {
  lists: number | null;
  column: string | null;
  dimensions: number | null;
  opclassSchema: string;
  opclass: string;
  predicate: string | null;
  tablespace: string | null;
  comment: string | null;
  idsSinceTable: number;
};

/**
 * The states of the indexes, by size, the smallest first: the quick ones are done when a large one
 * fails. `$2`: names; `$3`: a table; `$4`: all vector indexes of the tables `$5`.
 */
const statement = `
SELECT i.relname::text AS index, i.oid::bigint AS oid, n.nspname::text AS schema, t.relname::text AS table,
  pg_relation_size(i.oid) AS bytes, x.indisvalid AND x.indisready AS valid,
  pg_has_role(current_user, i.relowner, 'USAGE') AS owned, x.indisexclusion AS exclusion,
  am.amname::text AS method,
  round(GREATEST(i.reltuples, t.reltuples, pg_stat_get_live_tuples(t.oid), 0)
    * (1 - COALESCE(s.null_frac, 0)))::bigint AS rows,
  (SELECT option_value::int FROM pg_options_to_table(i.reloptions)
   WHERE option_name = 'lists' AND option_value ~ '^\\d{1,6}$') AS lists,
  a.attname::text AS column, NULLIF(a.atttypmod, -1) AS dimensions,
  ocn.nspname::text AS "opclassSchema", oc.opcname::text AS opclass,
  pg_get_expr(x.indpred, x.indrelid) AS predicate, ts.spcname::text AS tablespace,
  obj_description(i.oid, 'pg_class') AS comment,
  i.relfilenode::bigint - t.oid::bigint AS "idsSinceTable"
FROM pg_class AS i
JOIN pg_index AS x ON x.indexrelid = i.oid
JOIN pg_class AS t ON t.oid = x.indrelid
JOIN pg_am AS am ON am.oid = i.relam
JOIN pg_namespace AS n ON n.oid = i.relnamespace
JOIN pg_opclass AS oc ON oc.oid = x.indclass[0]
JOIN pg_namespace AS ocn ON ocn.oid = oc.opcnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = x.indkey[0] AND a.attnum > 0
LEFT JOIN pg_tablespace AS ts ON ts.oid = i.reltablespace
LEFT JOIN pg_stats AS s ON am.amname IN ('ivfflat', 'hnsw')
  AND s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname
WHERE n.nspname = $1 AND i.relkind = 'i' AND (i.relname = ANY ($2) OR t.relname = $3
  OR ($4 AND am.amname IN ('ivfflat', 'hnsw') AND t.relname = ANY ($5)))
ORDER BY bytes, index`;

/** The states of the indexes of the target schema that are meant; a name that is unknown is absent. */
export async function readIndexStates(
  database: Database,
  { indexes = [], table, vectors = false }: ReindexTarget,
): Promise<IndexState[]> {
  const { schema } = database.capabilities;
  const values = [schema, [...indexes], table ?? null, vectors, [...coreTables]];
  return (await database.read<Row>(statement, values)).map(stateOf);
}

function stateOf(row: Row): IndexState {
  const { index, oid, schema, table, bytes, valid, owned, exclusion, method, rows } = row;
  return {
    ...{ index, oid, schema, table, bytes, valid, owned, exclusion, method, rows },
    vector: vectorOf(row),
  };
}

function vectorOf(row: Row): VectorIndex | null {
  const { method, rows, column, dimensions, predicate, tablespace, comment, idsSinceTable } = row;
  if ((method !== 'ivfflat' && method !== 'hnsw') || column === null) return null;
  // pgvector's own default, where an index was made without the option, is the schema's.
  const lists = method === 'ivfflat' ? (row.lists ?? defaultLists) : null;
  return {
    ...{ method, lists, column, dimensions, predicate, tablespace, comment },
    operatorClass: [row.opclassSchema, row.opclass],
    builtEmpty: lists !== null && builtOnTooFewRows({ rows, lists, idsSinceTable }),
  };
}

/** A transaction that a concurrent build has to wait for. */
export type LongTransaction = { pid: number; user: string; seconds: number; query: string };

/** Transactions older than a minute, oldest first. Queries of others need pg_read_all_stats. */
export function readLongTransactions(database: Database): Promise<LongTransaction[]> {
  return database.read<LongTransaction>(
    `SELECT pid, usename::text AS user, extract(epoch FROM now() - xact_start)::bigint AS seconds,
       left(query, 200) AS query
     FROM pg_stat_activity
     WHERE datname = current_database() AND xact_start < now() - interval '1 minute'
       AND pid <> pg_backend_pid()
     ORDER BY xact_start LIMIT 3`,
  );
}
