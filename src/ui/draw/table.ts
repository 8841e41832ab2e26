import { cellOf } from '../../panes/contract/column.js';
import type { CellContext, Column } from '../../panes/contract/column.js';
import { safeLine } from '../../terminal/sanitise.js';
import { fit } from '../../terminal/width.js';
import type { Look } from '../theme.js';
import { blank, joinLines, plainText, styled, type Span, type StyledLine } from './styled-line.js';

export type TableOptions<Row> = {
  width: number;
  /** Lines for rows, without the heading. */
  height: number;
  /** Position of the first row shown. */
  top: number;
  /** Position of the row under the cursor; undefined: none. */
  cursor: number | undefined;
  /** Which rows have a mark beside them; undefined: none has, and no room is kept for it. */
  isMarked?: ((row: Row) => boolean) | undefined;
  /** Rows are from before a failure. */
  faded: boolean;
};

const markWidth = 2;

/** What is left for the columns of a table where marks stand beside the rows. */
export function tableColumnsWidth(width: number, hasMarks: boolean): number {
  return hasMarks ? Math.max(1, width - markWidth) : width;
}

/** A heading and rows, each exactly `width` columns wide. */
export function drawTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  context: CellContext,
  options: TableOptions<Row>,
): { heading: StyledLine; rows: StyledLine[] } {
  const { isMarked } = options;
  const width = tableColumnsWidth(options.width, isMarked !== undefined);
  const placed = placeColumns(columns, width);
  const shown = rows.slice(options.top, options.top + options.height);
  return {
    heading: [...(isMarked ? [blank(markWidth)] : []), ...drawHeading(placed, width)],
    rows: shown.map((row, index) => {
      const line = drawRow(placed, row, context, {
        width,
        selected: options.top + index === options.cursor,
        faded: options.faded,
      });
      if (!isMarked) return line;
      return [{ text: isMarked(row) ? '● ' : '  ', look: 'accent' }, ...line];
    }),
  };
}

function drawHeading<Row>(placed: readonly PlacedColumn<Row>[], width: number): StyledLine {
  const cells = placed.map(({ column, width: columns }) =>
    fit(column.title, columns, column.align),
  );
  return styled(cells.join(' '.repeat(columnGap(width))).padEnd(width), 'heading');
}

function drawRow<Row>(
  placed: readonly PlacedColumn<Row>[],
  row: Row,
  context: CellContext,
  { width, selected, faded }: { width: number; selected: boolean; faded: boolean },
): StyledLine {
  const gap = columnGap(width);
  let used = -gap;
  const plain = selected || faded;
  const cells = placed.map(({ column, width: columns }) => {
    const { text, tone } = cellOf(column, row, context);
    used += columns + gap;
    // A cell never shows more than its width: only the beginning of a long text is made safe.
    const shown = fit(safeLine(text, { limit: columns * 8 }), columns, column.align);
    return plain || tone === undefined ? styled(shown) : tonedText(shown, tone);
  });
  const line = [...joinLines(cells, gap), blank(width - used)];
  return plain ? styled(plainText(line), selected ? 'selected' : 'muted') : line;
}

/** Blanks beside a text stay plain: fewer bytes, and no underlined gaps without colours. */
function tonedText(text: string, look: Look): Span[] {
  const body = text.trim();
  if (body === '') return [{ text }];
  const start = text.indexOf(body);
  return [
    { text: text.slice(0, start) },
    { text: body, look },
    { text: text.slice(start + body.length) },
  ];
}

export type PlacedColumn<Row> = { column: Column<Row>; width: number };

/** Blanks between two columns: one where every column of the screen counts. */
export function columnGap(width: number): number {
  return width < 84 ? 1 : 2;
}

/** The width that a column without a largest width asks for, so that it does not shrink to almost nothing. */
const comfortable = { share: 0.4, lessImportant: 0.25, most: 30 };

/**
 * The columns that fit into `width`, in their own order, with their widths. Priorities decide who
 * stays; what room is left goes to the columns without a largest width first. Depends on the
 * declaration and the width only, so that columns do not jump when rows change.
 */
export function placeColumns<Row>(
  columns: readonly Column<Row>[],
  width: number,
): PlacedColumn<Row>[] {
  const chosen: Column<Row>[] = [];
  const gap = columnGap(width);
  let used = -gap;
  const byPriority = columns.toSorted((a, b) => a.priority - b.priority);
  for (const column of byPriority) {
    const wanted = wantedWidth(column, width) + gap;
    if (used + wanted > width) continue;
    chosen.push(column);
    used += wanted;
  }
  const [first] = byPriority;
  if (chosen.length === 0 && first) return [{ column: first, width }];
  const placed = columns
    .filter((column) => chosen.includes(column))
    .map((column) => ({ column, width: wantedWidth(column, width) }));
  grow(placed, width - used);
  return placed;
}

function wantedWidth<Row>(column: Column<Row>, width: number): number {
  const { minWidth, maxWidth, title, priority } = column;
  const least = Math.max(minWidth, title.length);
  if (maxWidth !== undefined) return least;
  const share = priority === 1 ? comfortable.share : comfortable.lessImportant;
  return Math.max(least, Math.min(comfortable.most, Math.floor(width * share)));
}

/** Gives half of the spare width to columns with a largest width, up to it, and the rest to those without. */
function grow<Row>(placed: PlacedColumn<Row>[], extra: number): void {
  const flexible = placed.filter(({ column }) => column.maxWidth === undefined);
  let left = extra;
  const budget = flexible.length > 0 ? Math.ceil(extra / 2) : extra;
  let share = budget;
  const limited = placed
    .filter(({ column, width }) => (column.maxWidth ?? 0) > width)
    .toSorted((a, b) => a.column.priority - b.column.priority);
  for (const [index, place] of limited.entries()) {
    const part = Math.ceil(share / (limited.length - index));
    const taken = Math.min(part, (place.column.maxWidth ?? place.width) - place.width);
    place.width += taken;
    share -= taken;
    left -= taken;
  }
  for (const [index, place] of flexible.entries()) {
    const part = Math.floor(left / (flexible.length - index));
    place.width += part;
    left -= part;
  }
}
