import type { Database, Queryable } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { probesFor } from '../../core/vector-lists.js';
import type { IndexState } from './rebuild-plan.js';

/** A sample of query vectors with their true neighbours, to hold an index against. */
export type RecallSample = {
  queries: { vector: string; own: string | null; nearest: ReadonlySet<string> }[];
  /** Whose vectors they are. */
  from: string;
};

export type Recall = {
  /** Share of the true neighbours that the index finds, 0..1. */
  recall: number;
  queries: number;
  /** Milliseconds of one question, the median. */
  milliseconds: number;
};

const neighbours = 10;
const mostQueries = 40;

/** The exact answers read the whole table: they take no longer than this altogether, milliseconds. */
const exactBudgetMs = 10_000;

/** Below this many nobody can tell a recall. */
const fewestQueries = 3;

const operators: Partial<Record<string, string>> = {
  vector_cosine_ops: '<=>',
  vector_l2_ops: '<->',
  vector_ip_ops: '<#>',
  vector_l1_ops: '<+>',
};

/**
 * Query vectors with their exact nearest neighbours, found without any index: embeddings of prompts that
 * were routed where there are some, since those are what is asked, else the table's own. Of 100 k vectors one
 * exact answer takes about 0.3 s, so there are as many as the budget allows.
 *
 * Undefined when nothing can be measured: no vectors, too slow, an operator class that is not known.
 */
export async function sampleQueries(
  database: Database,
  state: IndexState,
  signal: AbortSignal,
): Promise<RecallSample | undefined> {
  const operator = operators[state.vector?.operatorClass[1] ?? ''];
  if (!operator || !state.vector || state.rows <= neighbours) return undefined;
  const { vectors, from } = await chooseVectors(database, state);
  const queries: RecallSample['queries'] = [];
  const started = performance.now();
  for (const query of vectors) {
    if (signal.aborted || performance.now() - started > exactBudgetMs) break;
    const nearest = await database
      .transaction(
        {
          readOnly: true,
          statementTimeoutMs: exactBudgetMs,
          settings: { enable_indexscan: 'off' },
        },
        (tx) => ask(tx, state, operator, query),
      )
      .catch(() => undefined);
    if (!nearest) break;
    queries.push({ ...query, nearest: new Set(nearest) });
  }
  return queries.length < fewestQueries ? undefined : { queries, from };
}

/**
 * The recall@10 of the index as the schema's functions ask it: ivfflat with the square root of its lists as
 * probes, hnsw with an ef_search of 100.
 */
export async function measureRecall(
  database: Database,
  state: IndexState,
  { queries }: RecallSample,
): Promise<Recall | undefined> {
  const operator = operators[state.vector?.operatorClass[1] ?? ''];
  if (!operator || !state.vector || !state.valid) return undefined;
  const { method, lists } = state.vector;
  const setting =
    method === 'hnsw' ? 'hnsw.ef_search = 100' : `ivfflat.probes = ${probesFor(lists ?? 1)}`;
  // Only the index can give this order without a sort, and no other way is as cheap then.
  const settings = { enable_seqscan: 'off', enable_sort: 'off', enable_bitmapscan: 'off' };
  return database.transaction({ readOnly: true, settings }, async (tx) => {
    // Loads the library, which knows the settings.
    await tx.query(`SELECT '[1]'::vector; SET LOCAL ${setting}`);
    let found = 0;
    let wanted = 0;
    const times: number[] = [];
    for (const { nearest, ...query } of queries) {
      const begun = performance.now();
      const ids = await ask(tx, state, operator, query);
      times.push(performance.now() - begun);
      found += ids.filter((id) => nearest.has(id)).length;
      wanted += nearest.size;
    }
    times.sort((a, b) => a - b);
    const milliseconds = times[Math.floor(times.length / 2)] ?? 0;
    return { recall: wanted === 0 ? 1 : found / wanted, queries: queries.length, milliseconds };
  });
}

/** A vector to ask for, and the row it was taken from, which is no neighbour of itself. */
type Query = { vector: string; own: string | null };

/** The ids of the nearest rows. All tables of the schema have an id; where there is none nothing is measured. */
async function ask(
  tx: Queryable,
  { schema, table, vector }: IndexState,
  operator: string,
  query: Query,
): Promise<string[]> {
  const column = quoteIdent(vector?.column ?? '');
  const where = vector?.predicate ? `${vector.predicate} AND ` : '';
  const { rows } = await tx.query<{ id: string }>(
    `SELECT id::text AS id FROM ${quoteIdent(schema, table)}
     WHERE ${where}${column} IS NOT NULL
     ORDER BY ${column} ${operator} $1::vector LIMIT ${neighbours + (query.own === null ? 0 : 1)}`,
    [query.vector],
  );
  return rows.map(({ id }) => id).filter((id) => id !== query.own);
}

async function chooseVectors(
  database: Database,
  { schema, table, vector }: IndexState,
): Promise<{ vectors: Query[]; from: string }> {
  if (table === 'success_patterns') {
    const asked = await readSample(database, schema, 'agent_routing_decisions', 'query_embedding');
    if (asked.length >= mostQueries) {
      return { vectors: asked.map((query) => ({ ...query, own: null })), from: 'routed prompts' };
    }
  }
  const own = await readSample(database, schema, table, vector?.column ?? '');
  return { vectors: own, from: 'its own rows' };
}

/** Rows of pages from all over the table; a small one is read whole. */
async function readSample(
  database: Database,
  schema: string,
  table: string,
  column: string,
): Promise<Query[]> {
  const name = quoteIdent(schema, table);
  const vector = quoteIdent(column);
  const [size] = await database.read<{ rows: number }>(
    'SELECT reltuples AS rows FROM pg_class WHERE oid = to_regclass($1)',
    [name],
  );
  const percent = Math.min(100, (100 * 4_000) / Math.max(1, size?.rows ?? 1));
  return database
    .read<Query>(
      `SELECT ${vector}::text AS vector, id::text AS own FROM ${name} TABLESAMPLE SYSTEM (${percent})
       WHERE ${vector} IS NOT NULL ORDER BY random() LIMIT ${mostQueries}`,
    )
    .catch(() => []);
}
