import Table from 'cli-table3';
import { cellOf, type CellContext } from '../panes/contract/column.js';
import type { Pane } from '../panes/contract/pane.js';
import { safeLine } from '../terminal/sanitise.js';
import { displayWidth, truncate } from '../terminal/width.js';
import { reportWidth } from './safe-text.js';

type Options = {
  /** Columns whose cells keep to the right, by index. They hold figures, and are never cut. */
  right?: readonly number[];
  /** Columns that are never cut: what is in them is copied. */
  whole?: readonly number[];
  /** The columns with the highest go first where there is no room for all; default: the last of those that can be cut. */
  priority?: readonly number[];
  /** Columns of the terminal; default: those of stdout, and no limit where it has none. */
  width?: number | undefined;
};

const gap = 2;
const leastWidth = 8;
/** Of a pane's cell whose column says nothing of its width, on a terminal. */
const widestCell = 60;
/** What the most important text keeps, before less important columns: which row it is. Cut shorter, names look alike. */
const nameWidth = (room = Infinity) => Math.max(leastWidth, Math.min(24, Math.floor(room / 3)));
/** Rows are laid out in blocks: the library takes time that grows with their square. */
const rowsAtOnce = 20;
const noBorders = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left'],
    ...['bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((name) => [name, '']),
);

/**
 * A plain table for reports: aligned columns, a rule under the head, no colours. On a terminal it is as
 * wide as that at most: the widest columns of text are cut, with a sign of it, and columns that have no room even so
 * are named below it. Cells must be free of control characters.
 */
export function plainTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  options: Options = {},
): string {
  const { right = [], whole = [], width = reportWidth() } = options;
  const cells = [head, ...rows.map((row) => row.map(String))];
  const natural = naturalWidths(cells);
  const { priority = natural.map((_, index) => (whole.includes(index) ? -1 : index)) } = options;
  const isUncut = (index: number) => right.includes(index) || whole.includes(index);
  const texts = priority.filter((_, index) => !isUncut(index));
  const named = priority.findIndex((each, at) => !isUncut(at) && each === Math.min(...texts));
  const leastOf = (index: number) => (index === named ? nameWidth(width) : leastWidth);
  const least = natural.map((columns, index) =>
    isUncut(index) ? columns : Math.min(columns, leastOf(index)),
  );
  const kept = keptColumns(least, width, priority);
  const widths = fitted(pick(natural, kept), pick(least, kept), width);
  const shown = kept.length === head.length ? cells : cells.map((row) => pick(row, kept));
  const rightOnes = kept.flatMap((column, index) => (right.includes(column) ? [index] : []));
  const lines: string[] = [];
  for (let start = 0; start < shown.length; start += rowsAtOnce) {
    lines.push(...draw(shown.slice(start, start + rowsAtOnce), widths, rightOnes));
  }
  const [first = '', ...rest] = lines;
  const longest = lines.reduce((most, line) => Math.max(most, displayWidth(line)), 0);
  const left = head.filter((_, index) => !kept.includes(index));
  const note = left.length === 0 ? [] : [`no room for: ${left.join(', ')}`];
  return [first, '─'.repeat(longest), ...rest, ...note].join('\n');
}

function pick<Value>(values: readonly Value[], kept: readonly number[]): Value[] {
  return values.filter((_, index) => kept.includes(index));
}

/** The columns that have room when each is as narrow as it can be; one stays in any case. */
function keptColumns(
  least: readonly number[],
  room: number | undefined,
  priority: readonly number[],
): number[] {
  const kept = least.map((_, index) => index);
  const total = () => kept.reduce((sum, index) => sum + (least[index] ?? 0) + gap, -gap);
  while (room !== undefined && kept.length > 1 && total() > room) {
    const worst = kept.reduce((found, index) =>
      (priority[index] ?? 0) >= (priority[found] ?? 0) ? index : found,
    );
    kept.splice(kept.indexOf(worst), 1);
  }
  return kept;
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
  least: readonly number[],
  room: number | undefined,
): number[] {
  const widths = [...natural];
  if (room === undefined) return widths;
  const total = () => widths.reduce((sum, width) => sum + width + gap, -gap);
  while (total() > room) {
    const givers = widths.flatMap((width, index) =>
      width > (least[index] ?? 0) ? [{ width, index }] : [],
    );
    const [first, second] = givers.toSorted((a, b) => b.width - a.width);
    if (!first) break;
    const even = Math.min(first.width - 1, second?.width ?? leastWidth);
    const lowest = Math.max(least[first.index] ?? 0, leastWidth);
    widths[first.index] = Math.max(lowest, even, first.width - (total() - room));
  }
  return widths;
}

/** The lines of some rows; a cell may have several. */
function draw(
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  right: readonly number[],
): string[] {
  const table = new Table({
    colAligns: widths.map((_, index) => (right.includes(index) ? 'right' : 'left')),
    colWidths: widths.map((width) => width + gap),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': gap },
    chars: noBorders,
  });
  const cut = (cell: string, width: number) =>
    cell
      .split('\n')
      .map((line) => truncate(line, width))
      .join('\n');
  for (const row of rows) table.push(row.map((cell, index) => cut(cell, widths[index] ?? 0)));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

/** Rows of a pane as a plain table: with all its columns, as far as the terminal has room; whole in a file. */
export function paneTable<Row extends object>(
  pane: Pick<Pane<Row>, 'columns'>,
  rows: readonly Row[],
  context: CellContext,
): string {
  const isBound = reportWidth() !== undefined;
  return plainTable(
    pane.columns.map(({ title }) => title),
    rows.map((row) =>
      pane.columns.map((column) => {
        const text = safeLine(cellOf(column, row, context).text);
        return isBound ? truncate(text, column.maxWidth ?? widestCell) : text;
      }),
    ),
    {
      right: pane.columns.flatMap(({ align }, index) => (align === 'right' ? [index] : [])),
      priority: pane.columns.map(({ priority }) => priority),
    },
  );
}
