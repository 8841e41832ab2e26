import type { Column, Sort, Tone } from './pane.js';
import type { TableSizeRow } from './table-sizes.js';

/** Autovacuum's own default: 50 rows and a fifth of the table. */
function deadTone({ deadRows, rows }: TableSizeRow): Tone | undefined {
  if (deadRows === 0) return 'muted';
  return deadRows > 50 + 0.2 * (rows ?? 0) ? 'warning' : undefined;
}

const bytes = { align: 'right', format: 'bytes', minWidth: 7, maxWidth: 7 } as const;
const age = { align: 'right', format: 'age', minWidth: 4, maxWidth: 4 } as const;

export const tableSizesColumns: readonly Column<TableSizeRow>[] = [
  {
    id: 'table',
    title: 'table',
    align: 'left',
    format: 'text',
    value: ({ table }) => table,
    tone: ({ lockedBy }) => (lockedBy === null ? undefined : 'warning'),
    priority: 1,
    minWidth: 12,
  },
  { ...bytes, id: 'totalBytes', title: 'total', value: (row) => row.totalBytes, priority: 1 },
  { ...bytes, id: 'heapBytes', title: 'heap', value: (row) => row.heapBytes, priority: 4 },
  { ...bytes, id: 'indexBytes', title: 'index', value: (row) => row.indexBytes, priority: 4 },
  { ...bytes, id: 'toastBytes', title: 'toast', value: (row) => row.toastBytes, priority: 6 },
  {
    id: 'rows',
    title: 'rows',
    align: 'right',
    format: 'count',
    value: ({ rows }) => rows,
    priority: 2,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'deadRows',
    title: 'dead',
    align: 'right',
    format: 'count',
    value: ({ deadRows }) => deadRows,
    tone: deadTone,
    priority: 3,
    minWidth: 6,
    maxWidth: 6,
  },
  { ...age, id: 'lastVacuum', title: 'vac', value: (row) => row.lastVacuum, priority: 5 },
  { ...age, id: 'lastAnalyze', title: 'anl', value: (row) => row.lastAnalyze, priority: 5 },
  {
    id: 'growthBytes',
    title: 'growth',
    align: 'right',
    format: 'byteChange',
    value: ({ growthBytes }) => growthBytes,
    tone: ({ growthBytes }) => (growthBytes ? undefined : 'muted'),
    priority: 3,
    minWidth: 8,
    maxWidth: 8,
  },
];

export const tableSizesSorts: readonly [Sort<TableSizeRow>, ...Sort<TableSizeRow>[]] = [
  { id: 'size', title: 'largest', direction: 'desc', value: ({ totalBytes }) => totalBytes },
  { id: 'growth', title: 'grown most', direction: 'desc', value: ({ growthBytes }) => growthBytes },
  { id: 'dead', title: 'most dead rows', direction: 'desc', value: ({ deadRows }) => deadRows },
  { id: 'rows', title: 'most rows', direction: 'desc', value: ({ rows }) => rows },
  { id: 'table', title: 'table', direction: 'asc', value: ({ table }) => table },
];
