import { formatTimestamp } from '../../shared/format/time.js';
import { safeBlock, safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit, truncate } from '../../terminal/width.js';
import { wrapText } from '../../terminal/wrap.js';
import type { DetailSection } from '../../panes/details/section.js';
import type { RecordRow } from '../../panes/opening.js';
import { layOutSegments } from './segments.js';
import type { Piece, TextLine } from './text-line.js';

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
  rows: readonly RecordRow[],
  width: number,
  unfolded: boolean,
): TextLine[] {
  const names = rows.flatMap((row) => Object.keys(row).map((name) => displayWidth(safeLine(name))));
  const room = Math.min(nameColumn.most, Math.floor(width / 3));
  const column = Math.max(nameColumn.least, Math.min(room, Math.max(0, ...names))) + 2;
  const limit = unfolded ? unfoldedLimit(rows) : limits.folded;
  return rows.flatMap((row, index) => [
    ...(rows.length > 1
      ? [layOutSegments([{ text: `${index + 1} of ${rows.length}`, look: 'title' }], width)]
      : []),
    ...valuesFirst(row).flatMap(([name, value]) =>
      fieldLines({ name, value, column, width, unfolded, limit }),
    ),
    ...(index < rows.length - 1 ? [[]] : []),
  ]);
}

/** What is empty comes last: it says least. */
function valuesFirst(row: RecordRow): [string, unknown][] {
  const isEmpty = (value: unknown) => value === null || value === undefined;
  return Object.entries(row).toSorted(([, a], [, b]) => Number(isEmpty(a)) - Number(isEmpty(b)));
}

/** What was made of a row's values, each part under its heading. */
export function sectionLines(sections: readonly DetailSection[], width: number): TextLine[] {
  return sections.flatMap(({ title, lines }) => [
    layOutSegments([{ text: title, look: 'title' }], width),
    ...lines.map((line) =>
      layOutSegments(
        line.map(({ text, tone }) => ({ text: safeLine(text), look: tone })),
        width,
      ),
    ),
    [],
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

function fieldLines({ name, value, column, width, unfolded, limit }: Field): TextLine[] {
  const room = Math.max(1, width - column);
  const most = unfolded ? limits.lines : 1_000;
  const { text, isCut } = valueText(value, limit);
  const all = wrapText(text, room, most);
  const shown = unfolded || all.length <= foldedLines + 1 ? all : all.slice(0, foldedLines);
  const rest = all.length - shown.length;
  const isMore = isCut || all.length >= most;
  const more = rest > 0 ? [`… ${rest}${isMore ? ' or more' : ''} lines more`] : [];
  const label = fit(safeLine(name), column);
  const blank = ' '.repeat(column);
  const look = value === null || value === undefined ? 'muted' : undefined;
  return [
    ...shown.map((line, index): TextLine => {
      const start: Piece = index === 0 ? { text: label, look: 'muted' } : { text: blank };
      return [start, { text: truncate(line, room), look }];
    }),
    ...more.map((line): TextLine => [
      { text: blank },
      { text: truncate(line, room), look: 'accent', isFold: true },
    ]),
  ];
}

/** A value as safe text; JSON, also such as was stored as text, with one key a line. */
function valueText(value: unknown, limit: number): { text: string; isCut: boolean } {
  if (value === null || value === undefined) return { text: '–', isCut: false };
  if (value instanceof Date) return { text: timestampText(value), isCut: false };
  const text = typeof value === 'string' ? prettyJson(value) : JSON.stringify(value, null, 2);
  return { text: safeBlock(text, { limit }), isCut: text.length > limit };
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
