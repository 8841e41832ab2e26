import { ConsoleError } from '../../db/errors.js';
import { quoteIdent } from '../../db/quote.js';
import { recommendedLists } from '../../shared/vector-lists.js';
import type { IndexState, VectorIndex } from './index-state.js';
import { hnswBuildBytes, ivfflatBuildBytes } from './vector-size.js';

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

/** A quarter more or less is no reason for another index. */
function listsFor(
  { rows }: IndexState,
  { lists: now }: VectorIndex,
  wish: number | 'fit' | 'keep',
): number {
  if (typeof wish === 'number') return wish;
  const fitted = recommendedLists(rows);
  if (now === null) return fitted;
  const isNear = fitted > now * 0.75 && fitted < now * 1.25;
  return wish === 'keep' || isNear ? now : fitted;
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
