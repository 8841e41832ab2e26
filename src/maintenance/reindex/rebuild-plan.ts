import { ConsoleError } from '../../db/errors.js';
import { boundedText, quoteIdent } from '../../db/quote.js';
import { recommendedLists, defaultLists, builtOnTooFewRows } from '../../core/vector-lists.js';
import type { Database } from '../../db/database.js';
import { coreTables } from '../../core/tables.js';

export type RebuildWishes = {
  /** ivfflat: a number, those that fit the rows (the default), or as they are. */
  lists?: number | 'fit' | 'keep';
  /** Of a vector index; default: the method it has. */
  method?: 'ivfflat' | 'hnsw';
};

/** What becomes of a vector index. */
export type WantedVector = {
  method: 'ivfflat' | 'hnsw';
  /** Null: hnsw. */
  lists: number | null;
  /** Memory that the build needs; the session's maintenance_work_mem is raised to it. */
  memoryBytes: number;
};

export type RebuildPlan = {
  state: IndexState;
  /** `reindex`: the same anew. `replace`: another one is built beside it and takes its name. */
  way: 'reindex' | 'replace';
  /** Null: no vector index. */
  wanted: WantedVector | null;
};

/** Dimensions of the schema's embeddings; what a column without dimensions of its own probably holds. */
const usualDimensions = 1536;

/** pgvector's bound. */
const mostLists = 32_768;

/** The hnsw graph may take this much of the server's memory; beyond it the build is slower, not refused. */
const mostGraphBytes = 1024 ** 3;

/** REINDEX keeps lists and method, so another number or method asks for another index. */
export function planRebuild(state: IndexState, wishes: RebuildWishes): RebuildPlan {
  const { vector, index } = state;
  if (typeof wishes.lists === 'number' && !isListCount(wishes.lists)) {
    throw new ConsoleError('usage', `An index has 1 to ${mostLists} lists.`);
  }
  if (!vector) {
    if (wishes.method === undefined && typeof wishes.lists !== 'number') {
      return { state, way: 'reindex', wanted: null };
    }
    throw new ConsoleError(
      'usage',
      `${index} is no vector index: it has neither lists nor method.`,
    );
  }
  const dimensions = vector.dimensions ?? usualDimensions;
  const method = wishes.method ?? vector.method;
  const lists = method === 'hnsw' ? null : listsFor(state, vector, wishes.lists ?? 'fit');
  const memoryBytes =
    lists === null
      ? Math.min(hnswBuildBytes(state.rows, dimensions), mostGraphBytes)
      : ivfflatBuildBytes(lists, dimensions);
  const same = method === vector.method && lists === vector.lists;
  return { state, way: same ? 'reindex' : 'replace', wanted: { method, lists, memoryBytes } };
}

function isListCount(lists: number): boolean {
  return Number.isInteger(lists) && lists >= 1 && lists <= mostLists;
}

/** A quarter more or less is no reason for another index, nor is a table that is still empty. */
function listsFor(
  { rows }: IndexState,
  { lists: now }: VectorIndex,
  wish: number | 'fit' | 'keep',
): number {
  if (typeof wish === 'number') return wish;
  const fitted = recommendedLists(rows);
  if (now === null) return fitted;
  const isNear = fitted > now * 0.75 && fitted < now * 1.25;
  return wish === 'keep' || isNear || rows === 0 ? now : fitted;
}

export function reindexStatement({ schema, index }: IndexState): string {
  return `REINDEX INDEX CONCURRENTLY ${quoteIdent(schema, index)}`;
}

/** The index that is to take the place of another, under the name it has until then. */
export function createStatement(state: IndexState, wanted: WantedVector, name: string): string {
  const { schema, table, vector } = state;
  if (!vector) throw new ConsoleError('internal', `${state.index} is no vector index.`);
  const { column, operatorClass, predicate, tablespace } = vector;
  return [
    `CREATE INDEX CONCURRENTLY ${quoteIdent(name)} ON ${quoteIdent(schema, table)}`,
    `USING ${wanted.method} (${quoteIdent(column)} ${quoteIdent(...operatorClass)})`,
    ...(wanted.lists === null ? [] : [`WITH (lists = ${wanted.lists})`]),
    ...(tablespace === null ? [] : [`TABLESPACE ${quoteIdent(tablespace)}`]),
    ...(predicate === null ? [] : [`WHERE ${predicate}`]),
  ].join(' ');
}

/**
 * A name of at most 63 bytes that says whose replacement it is: `idx_pattern_embedding_tcnew`. Cut as
 * PostgreSQL cuts names, never within a character.
 */
export function nameBeside(
  index: string,
  suffix: 'tcnew' | 'tcold',
  taken: readonly string[],
): string {
  for (let number = 0; ; number += 1) {
    const ending = `_${suffix}${number === 0 ? '' : number}`;
    let base = index;
    while (Buffer.byteLength(base + ending) > 63) base = Array.from(base).slice(0, -1).join('');
    if (!taken.includes(base + ending)) return base + ending;
  }
}

/** Bytes of one stored vector: pgvector's header and single-precision numbers. */
function vectorBytes(dimensions: number): number {
  return 8 + 4 * dimensions;
}

/**
 * Bytes of memory that pgvector asks for to find the centres of an ivfflat index; it refuses the build when
 * maintenance_work_mem is less. The sum of ivfkmeans.c: 50 samples a list (10,000 at least), the centres
 * twice, sums, and the distance bounds of k-means. It is allocated for an empty table as well.
 */
function ivfflatBuildBytes(lists: number, dimensions: number): number {
  const vector = vectorBytes(dimensions);
  const samples = Math.max(50 * lists, 10_000);
  return (
    samples * vector +
    2 * lists * vector +
    4 * lists * dimensions +
    4 * samples * lists +
    4 * lists * lists +
    8 * samples +
    12 * lists
  );
}

/** Bytes that hold the graph of an hnsw index while it is built; with less it is built far slower. */
function hnswBuildBytes(rows: number, dimensions: number): number {
  // Besides the vector about 2 × m = 32 neighbours in the lowest layer, m = 16 above.
  return Math.round(rows * (vectorBytes(dimensions) + 1_000));
}

const pageBytes = 8_192;

/** Bytes on disk, roughly: pages hold whole vectors only, at 1536 dimensions one each. */
export function vectorIndexBytes(rows: number, dimensions: number): number {
  const perPage = Math.max(1, Math.floor((pageBytes - 40) / (vectorBytes(dimensions) + 16)));
  return Math.ceil(rows / perPage) * pageBytes;
}

/** Which indexes an action is about: these, all of a table, or every vector index of our tables. */
export type ReindexTarget = {
  indexes?: readonly string[];
  table?: string;
  vectors?: boolean;
};

/** What a vector index is made of; what a replacement of it needs. */
type VectorIndex = {
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
  /** The indexes of partitioned tables that it is attached to. */
  partOf: string[];
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
  i.relfilenode::bigint - t.oid::bigint AS "idsSinceTable",
  ARRAY(SELECT whole.relname::text FROM pg_partition_ancestors(i.oid) AS one
    JOIN pg_class AS whole ON whole.oid = one.relid AND whole.oid <> i.oid) AS "partOf"
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
WHERE i.relkind = 'i' AND (
  n.nspname = $1 AND (i.relname = ANY ($2) OR t.relname = $3
    OR ($4 AND am.amname IN ('ivfflat', 'hnsw') AND t.relname = ANY ($5)))
  -- Of a partitioned table, and of its index: the indexes of the partitions.
  OR EXISTS (
    SELECT FROM pg_class AS whole, pg_partition_tree(whole.oid) AS part
    WHERE whole.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND part.isleaf
      AND (whole.relkind = 'I' AND whole.relname = ANY ($2) AND part.relid = i.oid
        OR whole.relkind = 'p' AND whole.relname = $3 AND part.relid = t.oid)
  )
)
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
  const { index, oid, schema, table, bytes, valid, owned, exclusion, partOf, method, rows } = row;
  return {
    ...{ index, oid, schema, table, bytes, valid, owned, exclusion, partOf, method, rows },
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
       ${boundedText('query', 200)} AS query
     FROM pg_stat_activity
     WHERE datname = current_database() AND xact_start < now() - interval '1 minute'
       AND pid <> pg_backend_pid()
     ORDER BY xact_start LIMIT 3`,
  );
}
