import { formatByteChange, formatBytes } from '../shared/format/bytes.js';
import { formatCount } from '../shared/format/number.js';
import { askTwice } from './index-usage.js';
import { tableOpening } from './details/relation-openings.js';
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
import { tableSizesStatement, type TableSizesDatabaseRow } from './statements/table-sizes.js';
import { tableSizesColumns, tableSizesSorts } from './table-sizes-columns.js';

export type TableSizeRow = {
  table: string;
  oid: number;
  /** Bytes; heap includes the free space and visibility maps. Those of before while the table is locked. */
  totalBytes: number | null;
  heapBytes: number | null;
  indexBytes: number | null;
  toastBytes: number | null;
  /** An estimate of the statistics; null before the first. */
  rows: number | null;
  deadRows: number;
  changedSinceAnalyze: number;
  /** The later of the last manual one and autovacuum's. */
  lastVacuum: Date | null;
  lastAnalyze: Date | null;
  vacuumWasAutomatic: boolean;
  analyzeWasAutomatic: boolean;
  /** Since the console began to look. */
  growthBytes: number | null;
  /** The process that keeps others from reading it. */
  lockedBy: number | null;
};

export type TableSizesExtras = CountersSince & {
  tables: number;
  totalBytes: number;
  /** Since the console began to look; null at the first reading. */
  growthBytes: number | null;
  deadRows: number;
};

const mostTables = 200;

type Sizes = Pick<TableSizeRow, 'totalBytes' | 'heapBytes' | 'indexBytes' | 'toastBytes'>;

class TableSizesReader implements PaneReader<TableSizeRow, TableSizesExtras> {
  readonly #first = new Map<number, number>();
  readonly #last = new Map<number, Sizes>();

  async read(request: ReadRequest): Promise<PaneResult<TableSizeRow, TableSizesExtras>> {
    const { shape } = request;
    const { nowMs, since, found } = await askTwice(() =>
      request.transaction(async (tx) => {
        const { nowMs, ...since } = await readCountersSince(tx, shape);
        const { rows } = await tx.query<TableSizesDatabaseRow>(tableSizesStatement(shape), [
          shape.schema,
          mostTables,
        ]);
        return { nowMs, since, found: rows };
      }),
    );
    const rows = found
      .map((row) => this.#rowOf(row))
      .sort((a, b) => (b.totalBytes ?? 0) - (a.totalBytes ?? 0));
    const sum = (value: (row: TableSizeRow) => number | null) =>
      rows.reduce((total, row) => total + (value(row) ?? 0), 0);
    return {
      rows,
      extras: {
        tables: rows.length,
        totalBytes: sum((row) => row.totalBytes),
        growthBytes: rows.some((row) => row.growthBytes !== null)
          ? sum((row) => row.growthBytes)
          : null,
        deadRows: sum((row) => row.deadRows),
        ...since,
      },
      asOf: new Date(nowMs),
      notes: [
        ...rows.flatMap(({ table, lockedBy }) =>
          lockedBy === null
            ? []
            : [`${table} is locked by pid ${lockedBy}: its sizes are those of before`],
        ),
        ...(rows.length === mostTables ? [`only the ${mostTables} largest tables`] : []),
      ],
    };
  }

  #rowOf(row: TableSizesDatabaseRow): TableSizeRow {
    // Of the first reading there is no growth to tell yet.
    const first = this.#first.get(row.oid);
    const sizes = this.#sizesOf(row);
    return {
      table: row.table,
      oid: row.oid,
      ...sizes,
      rows: row.rows_estimate,
      deadRows: row.dead_rows,
      changedSinceAnalyze: row.changed_since_analyze,
      lastVacuum: later(row.last_vacuum, row.last_autovacuum),
      lastAnalyze: later(row.last_analyze, row.last_autoanalyze),
      vacuumWasAutomatic: isLater(row.last_autovacuum, row.last_vacuum),
      analyzeWasAutomatic: isLater(row.last_autoanalyze, row.last_analyze),
      growthBytes:
        first === undefined || sizes.totalBytes === null ? null : sizes.totalBytes - first,
      lockedBy: row.locked_by,
    };
  }

  #sizesOf(row: TableSizesDatabaseRow): Sizes {
    if (row.total_bytes === null) {
      const unknown = { totalBytes: null, heapBytes: null, indexBytes: null, toastBytes: null };
      return this.#last.get(row.oid) ?? unknown;
    }
    const { total_bytes: totalBytes, index_bytes: indexBytes } = row;
    const toastBytes = row.toast_bytes ?? 0;
    const heapBytes = totalBytes - (indexBytes ?? 0) - toastBytes;
    const sizes = { totalBytes, heapBytes, indexBytes, toastBytes };
    this.#last.set(row.oid, sizes);
    if (!this.#first.has(row.oid)) this.#first.set(row.oid, row.total_bytes);
    return sizes;
  }
}

function isLater(time: Date | null, than: Date | null): boolean {
  return time !== null && (than === null || time > than);
}

function later(a: Date | null, b: Date | null): Date | null {
  return isLater(a, b) ? a : b;
}

function summaryOf(extras: TableSizesExtras, { nowMs }: CellContext): SummaryLine[] {
  return [
    [
      { text: `${extras.tables} tables` },
      { text: formatBytes(extras.totalBytes) },
      ...(extras.growthBytes === null
        ? []
        : [
            { text: `${formatByteChange(extras.growthBytes)} since start`, tone: 'muted' as const },
          ]),
      { text: `${formatCount(extras.deadRows)} dead rows`, tone: 'muted' },
      { text: countersSinceText(extras, nowMs), tone: 'muted' },
    ],
  ];
}

export const tableSizes: Pane<TableSizeRow, TableSizesExtras> = {
  id: 'table-sizes',
  title: 'Table sizes',
  question: 'How large are the tables, do they grow, and are they vacuumed and analysed?',
  needs: {},
  windowed: false,
  minIntervalMs: 5_000,
  limits: usualLimits,
  columns: tableSizesColumns,
  sorts: tableSizesSorts,
  rowKey: ({ table }) => table,
  empty: 'The schema has no tables yet. Create them: trace-console schema apply',
  createReader: () => new TableSizesReader(),
  summary: ({ extras }, context) => summaryOf(extras, context),
  detail: tableOpening,
};
