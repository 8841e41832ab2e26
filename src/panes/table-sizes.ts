import {
  countColumn,
  textColumn,
  type CellContext,
  type SummaryLine,
  type SummarySegment,
  type Column,
  type Sort,
  type Tone,
} from './contract/column.js';
import { counted, countedShort, formatByteChange, formatBytes } from '../core/format/number.js';
import { formatAge } from '../core/format/time.js';
import { lockedRelations } from '../db/quote.js';
import { countersSinceText } from '../maintenance/index-verdict.js';
import { usualLimits, type Pane } from './contract/pane.js';
import type { SchemaShape } from './contract/shape.js';
import { type Opening, type RecordRow, sectionOr } from './contract/opening.js';
import { TableSizesReader, type TableSizeRow, type TableSizesExtras } from './reading/tables.js';
import { indexOpeningOf } from './reading/indexes.js';

function summaryOf(extras: TableSizesExtras, { nowMs }: CellContext): SummaryLine[] {
  const tables = { text: counted(extras.tables, 'table') };
  const month = forecast(extras);
  return [
    [
      ...(month.length === 0 ? [tables] : []),
      { text: formatBytes(extras.totalBytes) },
      ...month,
      ...(month.length === 0 ? [] : [tables]),
      ...(extras.growthBytes === null
        ? []
        : [
            { text: `${formatByteChange(extras.growthBytes)} since start`, tone: 'muted' as const },
          ]),
      { text: countedShort(extras.deadRows, 'dead row'), tone: 'muted' },
      { text: countersSinceText(extras, nowMs), tone: 'muted' },
    ],
    ...(month.length === 0 ? [[{ text: noForecast(extras), tone: 'muted' as const }]] : []),
  ];
}

/** Why nothing can be said of a month. */
function noForecast({ keptDays }: Pick<TableSizesExtras, 'keptDays'>): string {
  const kept = keptDays === null ? 'none kept yet' : `${keptDays} kept so far`;
  return `in 30d: needs sizes of two days, ${kept}`;
}

/** The size in a month, and what that rests on; nothing where no sizes are kept. */
function forecast(
  grown: Pick<TableSizeRow, 'bytesPerDay' | 'grownOverMs' | 'bytesIn30Days'>,
): SummarySegment[] {
  const { bytesPerDay, grownOverMs, bytesIn30Days } = grown;
  if (bytesPerDay === null || grownOverMs === null || bytesIn30Days === null) return [];
  return [
    { text: `${formatBytes(bytesIn30Days)} in 30 days`, tone: 'accent' },
    {
      text: `${formatByteChange(bytesPerDay)} a day over ${formatAge(grownOverMs)}`,
      tone: 'muted',
    },
  ];
}

/** One table in full. `$1`: its oid. */
export const tableDetailStatement = ({
  keepsCounters,
}: Pick<SchemaShape, 'keepsCounters'>): string => `
SELECT
  c.relname AS "table",
  obj_description(c.oid, 'pg_class') AS comment,
  pg_get_userbyid(c.relowner) AS owner,
  c.reltuples AS rows_at_last_analyze,
  c.relrowsecurity AS row_security,
  c.reloptions AS options,
  (SELECT count(*) FROM pg_index AS i WHERE i.indrelid = c.oid) AS indexes,
  ${keepsCounters ? keptDetail : 's.*'}
FROM pg_class AS c
LEFT JOIN ${keepsCounters ? 'trace_console.table_counters AS s ON s.table_oid' : 'pg_stat_user_tables AS s ON s.relid'} = c.oid
WHERE c.oid = $1::oid`;

const keptDetail = `
  s.since AS counting_since,
  s.rows AS rows_estimate,
  s.dead_rows,
  s.changed_since_analyze,
  s.inserted_since_vacuum,
  s.last_vacuum,
  s.last_analyze`;

/** `$1`: the table's oid. */
const columnsStatement = `
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required
FROM pg_attribute AS a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;

/** Measured, for what the catalogue says of pages is of the last ANALYZE: nothing after TRUNCATE. A locked one is not waited for. */
const indexesStatement = `
WITH ${lockedRelations}
SELECT c.oid::int8::float8 AS oid, c.relname::text AS name, locked.pid AS "lockedBy",
  CASE WHEN locked.pid IS NULL THEN pg_relation_size(c.oid)::float8 END AS bytes,
  pg_stat_get_numscans(c.oid) AS scans, i.indisvalid AS valid
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid LEFT JOIN locked ON locked.relation = c.oid
WHERE i.indrelid = $1::oid ORDER BY bytes DESC NULLS FIRST, c.relname LIMIT 100`;

/** A table: growth, columns, indexes; its vacuum history stands among its values. */
export function tableOpening(row: TableSizeRow): Opening {
  const title = `Table ${row.table}`;
  return {
    title,
    async read({ shape, read }) {
      const rows = await read<RecordRow>(tableDetailStatement(shape), [row.oid]);
      if (rows.length === 0) return { kind: 'records', title, rows };
      return {
        kind: 'records',
        title,
        rows,
        sections: [
          { title: 'Size', lines: sizeLines(row) },
          await sectionOr('Indexes, largest first', async () => {
            const found = await read<{
              oid: number;
              name: string;
              bytes: number | null;
              lockedBy: number | null;
              scans: number;
              valid: boolean;
            }>(indexesStatement, [row.oid]);
            return found.map(({ oid, name, bytes, lockedBy, scans, valid }) => ({
              line: [
                { text: name.padEnd(40) },
                { text: (bytes === null ? '–' : formatBytes(bytes)).padStart(7) },
                { text: countedShort(scans, 'scan').padStart(12), tone: 'muted' },
                ...(valid ? [] : [{ text: 'invalid', tone: 'error' as const }]),
                ...(lockedBy === null
                  ? []
                  : [{ text: `locked by pid ${lockedBy}`, tone: 'warning' as const }]),
              ],
              opening: indexOpeningOf(name, oid),
            }));
          }),
          await sectionOr('Columns', async () => {
            const found = await read<{ name: string; type: string; required: boolean }>(
              columnsStatement,
              [row.oid],
            );
            return found.map(({ name, type, required }) => [
              { text: name.padEnd(26) },
              { text: `${type}${required ? ' not null' : ''}`, tone: 'muted' },
            ]);
          }),
        ],
      };
    },
  };
}

function sizeLines(row: TableSizeRow): SummaryLine[] {
  const { totalBytes, heapBytes, indexBytes, toastBytes, growthBytes, rows, deadRows } = row;
  return [
    [
      { text: formatBytes(totalBytes) },
      { text: `heap ${formatBytes(heapBytes)}`, tone: 'muted' },
      { text: `indexes ${formatBytes(indexBytes)}`, tone: 'muted' },
      { text: `toast ${formatBytes(toastBytes)}`, tone: 'muted' },
      ...(growthBytes === null
        ? []
        : [{ text: `${formatByteChange(growthBytes)} since the console looks` }]),
    ],
    ...(row.bytesPerDay === null ? [] : [forecast(row)]),
    [{ text: countedShort(rows, 'row') }, { text: countedShort(deadRows, 'dead row') }],
  ];
}

/** Autovacuum's own default: 50 rows and a fifth of the table. */
function deadTone({ deadRows, rows }: TableSizeRow): Tone | undefined {
  if (!deadRows) return 'muted';
  return deadRows > 50 + 0.2 * (rows ?? 0) ? 'warning' : undefined;
}

const bytes = { align: 'right', format: 'bytes', minWidth: 7, maxWidth: 7 } as const;
const age = { align: 'right', format: 'age', minWidth: 4, maxWidth: 4 } as const;

export const tableSizesColumns: readonly Column<TableSizeRow>[] = [
  textColumn({
    id: 'table',
    title: 'table',
    value: ({ table }) => table,
    tone: ({ lockedBy }) => (lockedBy === null ? undefined : 'warning'),
    priority: 1,
    minWidth: 12,
  }),
  { ...bytes, id: 'totalBytes', title: 'total', value: (row) => row.totalBytes, priority: 1 },
  { ...bytes, id: 'heapBytes', title: 'heap', value: (row) => row.heapBytes, priority: 4 },
  { ...bytes, id: 'indexBytes', title: 'index', value: (row) => row.indexBytes, priority: 4 },
  { ...bytes, id: 'toastBytes', title: 'toast', value: (row) => row.toastBytes, priority: 6 },
  countColumn({
    id: 'rows',
    title: 'rows',
    value: ({ rows }) => rows,
    priority: 2,
  }),
  countColumn({
    id: 'deadRows',
    title: 'dead',
    value: ({ deadRows }) => deadRows,
    tone: deadTone,
    priority: 3,
  }),
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
  {
    id: 'bytesPerDay',
    title: 'a day',
    align: 'right',
    format: 'byteChange',
    value: ({ bytesPerDay }) => bytesPerDay,
    tone: ({ bytesPerDay }) => (bytesPerDay ? undefined : 'muted'),
    priority: 4,
    minWidth: 8,
    maxWidth: 8,
  },
  {
    ...bytes,
    id: 'bytesIn30Days',
    title: 'in 30d',
    value: (row) => row.bytesIn30Days,
    priority: 3,
  },
];

export const tableSizesSorts: readonly [Sort<TableSizeRow>, ...Sort<TableSizeRow>[]] = [
  { id: 'size', title: 'largest', direction: 'desc', value: ({ totalBytes }) => totalBytes },
  { id: 'growth', title: 'grown most', direction: 'desc', value: ({ growthBytes }) => growthBytes },
  {
    id: 'month',
    title: 'largest in 30 days',
    direction: 'desc',
    value: ({ bytesIn30Days }) => bytesIn30Days,
  },
  { id: 'dead', title: 'most dead rows', direction: 'desc', value: ({ deadRows }) => deadRows },
  { id: 'rows', title: 'most rows', direction: 'desc', value: ({ rows }) => rows },
  { id: 'table', title: 'table', direction: 'asc', value: ({ table }) => table },
];

export const tableSizes: Pane<TableSizeRow, TableSizesExtras, 'table-sizes'> = {
  id: 'table-sizes',
  title: 'Table sizes',
  question: 'How large are the tables, do they grow, and are they vacuumed and analysed?',
  rowsAre: 'table',
  needs: {},
  isInOverview: true,
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
