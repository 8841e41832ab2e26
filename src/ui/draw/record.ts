import { formatTimestamp } from '../../shared/format/time.js';
import { safeBlock, safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit } from '../../terminal/width.js';
import { wrapText } from '../../terminal/wrap.js';
import type { DetailSection } from '../../panes/details/section.js';
import type { RecordRow } from '../../panes/opening.js';
import type { Theme } from '../theme.js';
import { drawSegments } from './segments.js';

/** Lines of one value while it is folded. */
const foldedLines = 8;
/**
 * What is looked at of one value folded, and of all long ones together unfolded: a whole prompt of a
 * megabyte, but of ten of them a part each. A million emoji take a second to lay out.
 */
const limits = { folded: 16_384, unfolded: 2 * 1024 * 1024, lines: 50_000 };
const nameColumn = { least: 8, most: 30 };

/** Rows with all their columns: names on the left, values wrapped beside them, JSON one key a line. */
export function recordLines(
  theme: Theme,
  rows: readonly RecordRow[],
  width: number,
  unfolded: boolean,
): string[] {
  const names = rows.flatMap((row) => Object.keys(row).map((name) => displayWidth(safeLine(name))));
  const room = Math.min(nameColumn.most, Math.floor(width / 3));
  const column = Math.max(nameColumn.least, Math.min(room, Math.max(0, ...names))) + 2;
  const limit = unfolded ? unfoldedLimit(rows) : limits.folded;
  return rows.flatMap((row, index) => [
    ...(rows.length > 1
      ? [drawSegments(theme, [{ text: `${index + 1} of ${rows.length}`, look: 'title' }], width)]
      : []),
    ...valuesFirst(row).flatMap(([name, value]) =>
      fieldLines(theme, { name, value, column, width, unfolded, limit }),
    ),
    ...(index < rows.length - 1 ? [' '.repeat(width)] : []),
  ]);
}

/** What is empty comes last: it says least. */
function valuesFirst(row: RecordRow): [string, unknown][] {
  const isEmpty = (value: unknown) => value === null || value === undefined;
  return Object.entries(row).toSorted(([, a], [, b]) => Number(isEmpty(a)) - Number(isEmpty(b)));
}

/** What was made of a row's values, each part under its heading. */
export function sectionLines(
  theme: Theme,
  sections: readonly DetailSection[],
  width: number,
): string[] {
  return sections.flatMap(({ title, lines }) => [
    drawSegments(theme, [{ text: title, look: 'title' }], width),
    ...lines.map((line) =>
      drawSegments(
        theme,
        line.map(({ text, tone }) => ({ text: safeLine(text), look: tone })),
        width,
      ),
    ),
    ' '.repeat(width),
  ]);
}

type Field = {
  name: string;
  value: unknown;
  column: number;
  width: number;
  unfolded: boolean;
  limit: number;
};

/** Every long value gets the same part. */
function unfoldedLimit(rows: readonly RecordRow[]): number {
  const long = rows
    .flatMap((row) => Object.values(row))
    .filter((value) => lengthOf(value) > limits.folded);
  return Math.floor(limits.unfolded / Math.max(1, long.length));
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  return typeof value === 'object' && value !== null ? JSON.stringify(value).length : 0;
}

function fieldLines(
  theme: Theme,
  { name, value, column, width, unfolded, limit }: Field,
): string[] {
  const room = Math.max(1, width - column);
  const text = valueText(value, limit);
  const all = wrapText(text, room, unfolded ? limits.lines : 1_000);
  const shown = unfolded || all.length <= foldedLines + 1 ? all : all.slice(0, foldedLines);
  const rest = all.length - shown.length;
  const more = rest > 0 ? [`… ${rest}${all.length >= 1_000 ? ' or more' : ''} lines more`] : [];
  const label = theme.paint('muted', fit(safeLine(name), column));
  const blank = ' '.repeat(column);
  const empty = value === null || value === undefined;
  return [
    ...shown.map((line, index) => {
      const drawn = fit(line, room);
      return (index === 0 ? label : blank) + (empty ? theme.paint('muted', drawn) : drawn);
    }),
    ...more.map((line) => blank + theme.paint('accent', fit(line, room))),
  ];
}

/** A value as safe text; JSON, also such as was stored as text, with one key a line. */
function valueText(value: unknown, limit: number): string {
  if (value === null || value === undefined) return '–';
  if (value instanceof Date) return timestampText(value);
  const text = typeof value === 'string' ? prettyJson(value) : JSON.stringify(value, null, 2);
  return safeBlock(text, { limit });
}

function timestampText(value: Date): string {
  if (Number.isNaN(value.getTime())) return String(value);
  return `${formatTimestamp(value)}.${String(value.getMilliseconds()).padStart(3, '0')}`;
}

function prettyJson(text: string): string {
  const start = text.trimStart().charAt(0);
  if (start !== '{' && start !== '[') return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
