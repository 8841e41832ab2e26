import {
  formatByteChange,
  formatBytes,
  formatChange,
  formatCount,
  formatMoney,
  formatRate,
  formatShare,
} from '../../core/format/number.js';
import {
  formatAge,
  formatDuration,
  formatClockNear,
  formatTimestamp,
} from '../../core/format/time.js';
import { readNumber } from '../../core/values.js';

/** What a colour means; the theme decides which colour that is. */
export type Tone = 'success' | 'running' | 'warning' | 'error' | 'muted' | 'accent';

/** What colours and ages are relative to: the server's clock at the moment of the reading. */
export type CellContext = { nowMs: number };

export type CellValue = string | number | boolean | Date | null;

export type Column<Row> = {
  /** The key in the JSON row and of `--sort`. */
  id: string;
  /** Short, as it stands in the heading. */
  title: string;
  align: 'left' | 'right';
  format: CellFormat;
  value(row: Row): CellValue;
  tone?(row: Row, context: CellContext): Tone | undefined;
  /** 1 is always shown; the highest numbers go first when the pane is narrow. */
  priority: number;
  minWidth: number;
  /** Absent: the column takes what room is left. */
  maxWidth?: number;
  /** Its texts are never cut: half a figure is worse than none. It is as wide as they are, or not there. */
  isWhole?: boolean;
  /** Room that other columns leave goes to its texts first, where they have room as a whole. */
  prefersWhole?: boolean;
  /** Where a text is cut that is too long; default: at its end. Addresses differ at their ends. */
  cut?: 'end' | 'middle';
};

export type Sort<Row> = {
  id: string;
  title: string;
  /** `desc`: the largest first. NULL comes last either way. */
  direction: 'asc' | 'desc';
  value(row: Row): CellValue;
};

/** Text in pieces, each with its meaning, for the lines above a pane's rows. */
export type SummarySegment = {
  text: string;
  tone?: Tone;
  /** In a section of a row in full: cut or filled to so many, so that lines align. */
  columns?: number;
  /** In such a section: it gives up columns down to these where the line is too narrow for all. */
  least?: number;
  /** In such a section: a bar from and until these shares (0..1) of its columns, in place of the text. */
  span?: { from: number; until: number };
  /** In such a section: it names commands as `:window`, and the screen shows their keys instead. */
  namesCommands?: true;
};
export type SummaryLine = readonly SummarySegment[];

/**
 * How a value is written. Numbers: `count`, `bytes`, `byteChange`, `money` (US dollars), `duration` (milliseconds),
 * `rate` (a second), `share` (0..1),
 * `change` (0.4: 40 % more; Infinity: none before); Dates: `age`, `clock`, `timestamp`; the rest as `text`.
 */
export type CellFormat =
  | 'text'
  | 'count'
  | 'bytes'
  | 'byteChange'
  | 'money'
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
  if (typeof value === 'number') return formatNumber(value, format);
  if (value instanceof Date) return formatTime(value, format, context);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  // A recording may hold anything, whatever the type says.
  return typeof value === 'string' ? value : '–';
}

function formatNumber(value: number, format: CellFormat): string {
  switch (format) {
    case 'count':
      return formatCount(value);
    case 'bytes':
      return formatBytes(value);
    case 'byteChange':
      return formatByteChange(value);
    case 'money':
      return formatMoney(value);
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
      return formatClockNear(value, nowMs);
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

const numberOf = (value: NonNullable<CellValue>): number =>
  typeof value === 'string' ? readNumber(value) : Number(value);

function compare(a: NonNullable<CellValue>, b: NonNullable<CellValue>): number {
  if (typeof a === 'string' && typeof b === 'string') return a.localeCompare(b, 'en');
  return numberOf(a) - numberOf(b);
}

const signs = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/**
 * One column a value, as high as the value is beside the highest. Nothing is a blank, and the least that there is can be
 * seen: `▁▂ █▄`.
 */
export function sparkline(values: readonly number[]): string {
  const highest = Math.max(0, ...values);
  return values
    .map((value) =>
      value <= 0 ? ' ' : (signs[Math.ceil((value / highest) * signs.length) - 1] ?? '█'),
    )
    .join('');
}

/** What a success rate (0..1) of so many uses means: good from 80 % on, bad under 50 %. */
export function rateTone(rate: number | null, uses: number): Tone | undefined {
  if (uses === 0 || rate === null) return 'muted';
  if (rate >= 0.8) return 'success';
  return rate < 0.5 ? 'error' : 'warning';
}

/** What differs between the columns of a kind; the width is that of the kind's longest text. */
type Given<Row, Value extends CellValue> = {
  id: string;
  title: string;
  priority: number;
  value(row: Row): Value;
  tone?(row: Row): Tone | undefined;
};

function kind(format: Column<object>['format'], width: number) {
  return <Row, Value extends CellValue>(given: Given<Row, Value>): Column<Row> => {
    const columns = Math.max(width, given.title.length);
    return { align: 'right', format, minWidth: columns, maxWidth: columns, ...given };
  };
}

/** Text as it was written; without `maxWidth` it takes what room is left. */
export function textColumn<Row, Value extends CellValue>(
  given: Given<Row, Value> & {
    minWidth: number;
    maxWidth?: number;
    isWhole?: boolean;
    prefersWhole?: boolean;
    cut?: 'end' | 'middle';
  },
): Column<Row> {
  return { align: 'left', format: 'text', ...given };
}

export const countColumn = kind('count', 6);
export const durationColumn = kind('duration', 6);
export const shareColumn = kind('share', 4);
export const changeColumn = kind('change', 6);
export const ageColumn = kind('age', 4);
export const bytesColumn = kind('bytes', 7);
/** US dollars. */
export const moneyColumn = kind('money', 8);

/** Parts of the window in a trend: a column of the screen each. */
export const trendParts = 12;

/** How the calls of a row are spread over the window, oldest first. */
export function trendColumn<Row extends { trend: readonly number[] }>(
  priority: number,
  tone: Tone,
): Column<Row> {
  return {
    id: 'trend',
    title: 'over window',
    align: 'left',
    format: 'text',
    value: ({ trend }) => sparkline(trend),
    tone: () => tone,
    priority,
    minWidth: trendParts,
    maxWidth: trendParts,
  };
}

/** Calls that failed, of those beside them. */
export function failuresColumn(priority: number): Column<{ failures: number; calls: number }> {
  return countColumn({
    id: 'failures',
    title: 'failed',
    value: ({ failures }) => failures,
    tone: ({ failures, calls }) => failureTone(failures, calls),
    priority,
  });
}

export function p95Column(priority: number): Column<{ p95Ms: number | null }> {
  return durationColumn({
    id: 'p95Ms',
    title: 'p95',
    value: ({ p95Ms }) => p95Ms,
    tone: ({ p95Ms }) => durationTone(p95Ms),
    priority,
  });
}

export function maxColumn(priority: number): Column<{ maxMs: number | null }> {
  return durationColumn({
    id: 'maxMs',
    title: 'max',
    value: ({ maxMs }) => maxMs,
    tone: ({ maxMs }) => durationTone(maxMs),
    priority,
  });
}

type Tokens = {
  inputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
};

/** Tokens by what they cost. The first three together are the tokens in, the last are the tokens out. */
export const tokenColumns: readonly Column<Tokens>[] = [
  countColumn({
    id: 'inputTokens',
    title: 'tok uncached',
    value: (row) => row.inputTokens,
    priority: 3,
  }),
  countColumn({
    id: 'cacheReadTokens',
    title: 'tok cached',
    value: (row) => row.cacheReadTokens,
    priority: 4,
  }),
  countColumn({
    id: 'cacheWriteTokens',
    title: 'tok to cache',
    value: (row) => row.cacheWriteTokens,
    priority: 5,
  }),
  countColumn({
    id: 'outputTokens',
    title: 'tok out',
    value: (row) => row.outputTokens,
    priority: 3,
  }),
];

/** From these durations on a person notices the wait. */
const slowMs = 1_000;
const verySlowMs = 5_000;

function durationTone(ms: number | null): Tone | undefined {
  if (ms === null || ms < slowMs) return undefined;
  return ms < verySlowMs ? 'warning' : 'error';
}

/** Failures beside calls: some are seen, one in twenty stands out. */
export function failureTone(failures: number, calls: number): Tone | undefined {
  if (failures === 0) return 'muted';
  return failures / calls >= 0.05 ? 'error' : 'warning';
}
