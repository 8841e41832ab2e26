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
  const lines = cells.flatMap((row) => draw(row, widths, right));
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

/** The lines of a row; a cell may have several. */
function draw(
  row: readonly string[],
  widths: readonly number[],
  right: readonly number[],
): string[] {
  const columns = row.map((cell, index) => {
    const width = widths[index] ?? 0;
    return cell.split('\n').map((line) => {
      const text = truncate(line, width);
      const blank = ' '.repeat(Math.max(0, width - displayWidth(text)));
      return right.includes(index) ? blank + text : text + blank;
    });
  });
  const height = columns.reduce((most, { length }) => Math.max(most, length), 0);
  return Array.from({ length: height }, (_, line) =>
    columns
      .map((lines, index) => lines[line] ?? ' '.repeat(widths[index] ?? 0))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}
