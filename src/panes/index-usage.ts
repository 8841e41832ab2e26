import type { Queryable } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import { formatBytes } from '../shared/format/bytes.js';
import { isNamedAfter } from '../shared/index-leftovers.js';
import { builtOnTooFewRows, defaultLists, recommendedLists } from '../shared/vector-lists.js';
import { indexUsageColumns, indexUsageSorts } from './index-usage-columns.js';
import { indexOpening } from './details/relation-openings.js';
import {
  usualLimits,
  type CellContext,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
} from './pane.js';
import {
  countersSinceText,
  readCountersSince,
  type CountersSince,
} from './statements/counters-since.js';
import { indexUsageStatement, type IndexUsageDatabaseRow } from './statements/index-usage.js';

export type IndexState = 'valid' | 'building' | 'invalid' | 'leftover';

export type IndexUsageRow = {
  index: string;
  table: string;
  /** Object id; changes when the index is rebuilt concurrently. */
  oid: number;
  /** btree, gin, ivfflat, hnsw, … */
  method: string;
  primary: boolean;
  unique: boolean;
  /** Index scans since the counters began. */
  scans: number;
  /** PostgreSQL 16 and newer. */
  lastScan: Date | null;
  /** Null while it cannot be measured; the size from before is kept. */
  bytes: number | null;
  /** `leftover`: of a rebuild that did not finish; safe to drop. */
  state: IndexState;
  /** The process that keeps others from reading it. */
  lockedBy: number | null;
  /** ivfflat: the lists it has, and those that its rows ask for. */
  lists: number | null;
  recommendedLists: number | null;
  /** ivfflat: its centres come from fewer rows than came later, or none: it misses neighbours. */
  builtEmpty: boolean;
  /** What deserves attention, in words; null when nothing does. */
  advice: string | null;
};

export type IndexUsageExtras = CountersSince & {
  indexes: number;
  bytes: number;
  /** Neither used since the counters began nor needed for a key. */
  unused: number;
  invalid: number;
};

const mostIndexes = 500;

class IndexUsageReader implements PaneReader<IndexUsageRow, IndexUsageExtras> {
  readonly #sizes = new Map<number, number>();

  async read(request: ReadRequest): Promise<PaneResult<IndexUsageRow, IndexUsageExtras>> {
    const { rows, nowMs, since } = await askTwice(() =>
      request.transaction((tx) => ask(tx, request.shape)),
    );
    const usage = rows.map((row) => this.#rowOf(row, rows));
    const bytes = usage.reduce((sum, row) => sum + (row.bytes ?? 0), 0);
    return {
      rows: usage,
      extras: {
        indexes: usage.length,
        bytes,
        unused: usage.filter(isUnused).length,
        invalid: usage.filter(({ state }) => state === 'invalid' || state === 'leftover').length,
        ...since,
      },
      asOf: new Date(nowMs),
      notes: [
        ...(rows.length === mostIndexes ? [`only the ${mostIndexes} largest indexes`] : []),
        ...(usage.some(({ lockedBy }) => lockedBy !== null)
          ? ['sizes of locked indexes are those of before']
          : []),
      ],
    };
  }

  #rowOf(row: IndexUsageDatabaseRow, all: readonly IndexUsageDatabaseRow[]): IndexUsageRow {
    if (row.bytes !== null) this.#sizes.set(row.oid, row.bytes);
    // Each of these estimates may lag behind by itself; none runs ahead for long.
    const inTable = Math.max(row.index_rows, row.table_rows ?? 0, row.live_rows ?? 0);
    const rows = inTable * (1 - (row.share_without ?? 0));
    const { lists } = row;
    const built: Omit<IndexUsageRow, 'advice'> = {
      index: row.index,
      table: row.table,
      oid: row.oid,
      method: row.method,
      primary: row.is_primary,
      unique: row.is_unique,
      scans: row.scans,
      lastScan: row.last_scan,
      bytes: row.bytes ?? this.#sizes.get(row.oid) ?? null,
      state: stateOf(row, all),
      lockedBy: row.locked_by,
      lists: row.method === 'ivfflat' ? (lists ?? defaultLists) : null,
      recommendedLists: row.method === 'ivfflat' ? recommendedLists(rows) : null,
      builtEmpty:
        row.method === 'ivfflat' &&
        builtOnTooFewRows({
          lists: lists ?? defaultLists,
          rows,
          idsSinceTable: row.ids_since_table,
        }),
    };
    return { ...built, advice: adviceFor(built) };
  }
}

async function ask(tx: Queryable, shape: ReadRequest['shape']) {
  const { nowMs, ...since } = await readCountersSince(tx, shape);
  const { rows } = await tx.query<IndexUsageDatabaseRow>(indexUsageStatement(shape), [
    shape.schema,
    mostIndexes,
  ]);
  return { nowMs, since, rows };
}

/** What was locked between the look at the locks and the measuring is passed over the second time. */
export async function askTwice<Result>(read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ConsoleError && error.code === 'lock_timeout') return read();
    throw error;
  }
}

function stateOf(
  { building, valid, not_in_use, index, table }: IndexUsageDatabaseRow,
  all: readonly IndexUsageDatabaseRow[],
): IndexState {
  if (building) return 'building';
  if (valid && !not_in_use) return 'valid';
  // The clean-up asks for more; this is what can be seen here.
  const beside = all.filter((other) => other.table === table);
  if (beside.some((other) => isNamedAfter(index, other.index))) {
    // The server names one of the two, the old one at first.
    return beside.some((other) => other.building) ? 'building' : 'leftover';
  }
  return valid ? 'valid' : 'invalid';
}

function isUnused({ scans, primary, unique, state }: Omit<IndexUsageRow, 'advice'>): boolean {
  return scans === 0 && !primary && !unique && state === 'valid';
}

function adviceFor(row: Omit<IndexUsageRow, 'advice'>): string | null {
  if (row.lockedBy !== null) return `locked by pid ${row.lockedBy}`;
  if (row.state === 'building') return 'is being built';
  if (row.state === 'leftover') return 'left by a broken rebuild: :clean-up drops it';
  if (row.state === 'invalid') return 'invalid, not used: rebuild it';
  if (row.builtEmpty) return 'built on an almost empty table: rebuild it';
  if (row.lists !== null && row.recommendedLists !== null) {
    if (row.recommendedLists > row.lists * 2) {
      return `${row.lists} lists, ${row.recommendedLists} recommended`;
    }
  }
  return isUnused(row) ? 'unused' : null;
}

function summaryOf(extras: IndexUsageExtras, { nowMs }: CellContext): SummaryLine[] {
  return [
    [
      { text: `${extras.indexes} indexes` },
      { text: formatBytes(extras.bytes) },
      ...(extras.invalid > 0
        ? [{ text: `${extras.invalid} invalid`, tone: 'error' as const }]
        : []),
      { text: `${extras.unused} unused`, tone: 'muted' as const },
      { text: countersSinceText(extras, nowMs), tone: 'muted' as const },
    ],
  ];
}

export const indexUsage: Pane<IndexUsageRow, IndexUsageExtras> = {
  id: 'index-usage',
  title: 'Index usage',
  question: 'Which indexes are used, how large are they, and which need care?',
  needs: {},
  windowed: false,
  minIntervalMs: 5_000,
  limits: usualLimits,
  columns: indexUsageColumns,
  sorts: indexUsageSorts,
  rowKey: ({ table, index }) => `${table}.${index}`,
  empty: 'The schema has no indexes yet. Create it: trace-console schema apply',
  createReader: () => new IndexUsageReader(),
  summary: ({ extras }, context) => summaryOf(extras, context),
  detail: indexOpening,
};
