import { cellOf } from '../../panes/cells.js';
import type { CellContext, Column } from '../../panes/pane.js';
import { safeLine } from '../../terminal/sanitise.js';
import { fit } from '../../terminal/width.js';
import type { Theme } from '../theme.js';
import { columnGap, placeColumns, type PlacedColumn } from './columns.js';

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

/** A heading and rows, each exactly `width` columns wide. */
export function drawTable<Row>(
  theme: Theme,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  context: CellContext,
  options: TableOptions<Row>,
): { heading: string; rows: string[]; shownColumns: number } {
  const { isMarked } = options;
  const width = isMarked ? Math.max(1, options.width - markWidth) : options.width;
  const placed = placeColumns(columns, width);
  const shown = rows.slice(options.top, options.top + options.height);
  return {
    shownColumns: placed.length,
    heading: (isMarked ? ' '.repeat(markWidth) : '') + drawHeading(theme, placed, width),
    rows: shown.map((row, index) => {
      const line = drawRow(theme, placed, row, context, {
        width,
        selected: options.top + index === options.cursor,
        faded: options.faded,
      });
      if (!isMarked) return line;
      return `${isMarked(row) ? theme.paint('accent', '●') : ' '} ${line}`;
    }),
  };
}

function drawHeading<Row>(
  theme: Theme,
  placed: readonly PlacedColumn<Row>[],
  width: number,
): string {
  const cells = placed.map(({ column, width: columns }) =>
    fit(column.title, columns, column.align),
  );
  return theme.paint('heading', cells.join(' '.repeat(columnGap(width))).padEnd(width));
}

function drawRow<Row>(
  theme: Theme,
  placed: readonly PlacedColumn<Row>[],
  row: Row,
  context: CellContext,
  { width, selected, faded }: { width: number; selected: boolean; faded: boolean },
): string {
  const gap = columnGap(width);
  let used = -gap;
  const plain = selected || faded;
  const cells = placed.map(({ column, width: columns }) => {
    const { text, tone } = cellOf(column, row, context);
    used += columns + gap;
    // A cell never shows more than its width; what is looked at is bounded however long the text is.
    const shown = fit(safeLine(text, { limit: columns * 8 }), columns, column.align);
    return plain || tone === undefined ? shown : paintText(theme, tone, shown);
  });
  const line = cells.join(' '.repeat(gap)) + ' '.repeat(Math.max(0, width - used));
  if (selected) return theme.paint('selected', line);
  return faded ? theme.paint('muted', line) : line;
}

/** Blanks beside a text stay plain: fewer bytes, and no underlined gaps without colours. */
function paintText(theme: Theme, tone: Parameters<Theme['paint']>[0], text: string): string {
  const body = text.trim();
  if (body === '') return text;
  const start = text.indexOf(body);
  return text.slice(0, start) + theme.paint(tone, body) + text.slice(start + body.length);
}
