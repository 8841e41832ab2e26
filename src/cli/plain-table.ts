import Table from 'cli-table3';
import { displayWidth, truncate } from '../terminal/width.js';

type Options = {
  /** Columns whose cells keep to the right, by index. */
  right?: readonly number[];
  /** Columns that are never cut: what is in them is copied. */
  whole?: readonly number[];
  /** Columns of the terminal; default: those of stdout, and no limit where it is none. */
  width?: number | undefined;
};

const gap = 2;
const leastWidth = 8;
/** The library lays out all rows together, in time that grows with their square. */
const rowsAtOnce = 200;

/**
 * A plain table for reports: aligned columns, a rule under the head, no colours. On a terminal it is as
 * wide as that at most: the widest columns are cut, with a sign of it. Cells must be free of control
 * characters.
 */
export function plainTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  { right = [], whole = [], width = process.stdout.columns }: Options = {},
): string {
  const cells = [head, ...rows.map((row) => row.map(String))];
  const widths = fitted(naturalWidths(cells), whole, width);
  const lines: string[] = [];
  for (let start = 0; start < cells.length; start += rowsAtOnce) {
    lines.push(...draw(cells.slice(start, start + rowsAtOnce), widths, right));
  }
  const [first = '', ...rest] = lines;
  const longest = lines.reduce((most, line) => Math.max(most, displayWidth(line)), 0);
  return [first, '─'.repeat(longest), ...rest].join('\n');
}

function naturalWidths(cells: readonly (readonly string[])[]): number[] {
  const widths: number[] = [];
  for (const row of cells) {
    row.forEach((cell, index) => {
      const widest = cell.split('\n').reduce((most, line) => Math.max(most, displayWidth(line)), 0);
      widths[index] = Math.max(widths[index] ?? 0, widest);
    });
  }
  return widths;
}

/** Takes from the widest column, again and again, until all fit or none can give more. */
function fitted(
  natural: readonly number[],
  whole: readonly number[],
  room: number | undefined,
): number[] {
  const widths = [...natural];
  if (room === undefined) return widths;
  const total = () => widths.reduce((sum, width) => sum + width + gap, -gap);
  while (total() > room) {
    const givers = widths.flatMap((width, index) =>
      width > leastWidth && !whole.includes(index) ? [{ width, index }] : [],
    );
    const [first, second] = givers.toSorted((a, b) => b.width - a.width);
    if (!first) break;
    const even = Math.min(first.width - 1, second?.width ?? leastWidth);
    widths[first.index] = Math.max(leastWidth, even, first.width - (total() - room));
  }
  return widths;
}

function draw(
  cells: readonly (readonly string[])[],
  widths: readonly number[],
  right: readonly number[],
): string[] {
  const table = new Table({
    colAligns: widths.map((_, index) => (right.includes(index) ? 'right' : 'left')),
    colWidths: widths.map((width) => width + gap),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': gap },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '',
    },
  });
  table.push(
    ...cells.map((row) =>
      row.map((cell, index) =>
        cell
          .split('\n')
          .map((line) => truncate(line, widths[index] ?? 0))
          .join('\n'),
      ),
    ),
  );
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
