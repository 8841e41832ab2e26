import { formatByteChange, formatBytes } from '../shared/format/bytes.js';
import { formatAge, formatDuration } from '../shared/format/duration.js';
import { formatChange, formatCount, formatRate, formatShare } from '../shared/format/number.js';
import { formatClock, formatTimestamp } from '../shared/format/time.js';
import type { CellContext, CellValue, Column, Sort, Tone } from './pane.js';

/**
 * How a value is written. Numbers: `count`, `bytes`, `byteChange`, `duration` (milliseconds),
 * `rate` (a second), `share` (0..1),
 * `change` (0.4: 40 % more; Infinity: none before); Dates: `age`, `clock`, `timestamp`; the rest as `text`.
 */
export type CellFormat =
  | 'text'
  | 'count'
  | 'bytes'
  | 'byteChange'
  | 'duration'
  | 'rate'
  | 'share'
  | 'change'
  | 'age'
  | 'clock'
  | 'timestamp';

export type Cell = { text: string; tone: Tone | undefined };

/**
 * The text and the meaning of one cell. The text may hold anything that was stored in the database:
 * whoever draws it takes control sequences out.
 */
export function cellOf<Row>(column: Column<Row>, row: Row, context: CellContext): Cell {
  return {
    text: formatValue(column.value(row), column.format, context),
    tone: column.tone?.(row, context),
  };
}

export function formatValue(value: CellValue, format: CellFormat, context: CellContext): string {
  if (value === null) return '–';
  if (typeof value === 'number') return formatNumber(value, format);
  if (value instanceof Date) return formatTime(value, format, context);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return value;
}

function formatNumber(value: number, format: CellFormat): string {
  switch (format) {
    case 'count':
      return formatCount(value);
    case 'bytes':
      return formatBytes(value);
    case 'byteChange':
      return formatByteChange(value);
    case 'duration':
      return formatDuration(value);
    case 'rate':
      return formatRate(value);
    case 'share':
      return formatShare(value);
    case 'change':
      return formatChange(value);
    default:
      return String(value);
  }
}

function formatTime(value: Date, format: CellFormat, { nowMs }: CellContext): string {
  switch (format) {
    case 'age':
      return formatAge(Math.max(0, nowMs - value.getTime()));
    case 'clock':
      return formatClock(value);
    default:
      return formatTimestamp(value);
  }
}

/** Rows in the order of a sort key; equal rows keep the order in which they came. */
export function sortRows<Row>(rows: readonly Row[], sort: Sort<Row>, reverse = false): Row[] {
  const sign = (sort.direction === 'desc') === reverse ? 1 : -1;
  return rows.toSorted((left, right) => {
    const a = sort.value(left);
    const b = sort.value(right);
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return sign * compare(a, b);
  });
}

function compare(a: NonNullable<CellValue>, b: NonNullable<CellValue>): number {
  if (typeof a === 'string' && typeof b === 'string') return a.localeCompare(b, 'en');
  return Number(a) - Number(b);
}
