import { counted } from '../../core/format/number.js';
import { timesAreIn, type TimeZone } from '../../core/format/time.js';
import { cellOf } from '../../panes/contract/column.js';
import type { CellContext, Column } from '../../panes/contract/column.js';
import { safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit, truncateMiddle } from '../../terminal/width.js';
import type { Binding, Keymap } from '../keymap.js';
import type { Look } from '../theme.js';
import {
  blank,
  joinLines,
  plainText,
  styled,
  type Segment,
  type Span,
  type StyledLine,
} from './styled-line.js';

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
  /** How many columns behind the first are scrolled out to the left. */
  shift?: number;
  /** The column that the rows are sorted by: it has room before all but the first. */
  sortedBy?: string | undefined;
  /** Rows are from before a failure. */
  faded: boolean;
  /** The rows that the columns are placed for, where a filter hides some: no column moves while it is typed. */
  all?: readonly Row[];
};

const markWidth = 2;

/** What is left for the columns of a table where marks stand beside the rows. */
export function tableColumnsWidth(width: number, hasMarks: boolean): number {
  return hasMarks ? Math.max(1, width - markWidth) : width;
}

/** The first column says which row it is, and stays. */
function shiftedColumns<Row>(columns: readonly Column<Row>[], shift: number) {
  return shift === 0 ? columns : [...columns.slice(0, 1), ...columns.slice(1 + shift)];
}

/** How many columns have no room, beside those that are scrolled out to the left. */
export function hiddenColumns<Row>(
  columns: readonly Column<Row>[],
  shift: number,
  width: number,
  of: PlacedRows<Row> & { sortedBy?: string | undefined },
): number {
  const left = shiftedColumns(columns, shift).length;
  return left - keptFor({ columns, shift, width, sortedBy: of.sortedBy }, of).placed.length;
}

/** The bindings of the commands that scroll columns: what is drawn names them, too. */
export const toRight: Binding = {
  id: 'columns-right',
  keys: ['>'],
  title: 'columns that have no room: further to the right',
};

export const toLeft: Binding = { id: 'columns-left', keys: ['<'], title: 'back to the left' };

/** `< shows 2, > shows 3 more columns`; `+3 columns` where these keys do not work. */
export function columnsOutOfView(
  left: number,
  right: number,
  keys: Pick<Keymap, 'inText'> | undefined,
): Segment[] {
  if (left + right === 0) return [];
  const more = (count: number) => counted(count, 'more column');
  const text = keys
    ? [
        ...(left > 0 ? [`:${toLeft.id} shows ${right > 0 ? left : more(left)}`] : []),
        ...(right > 0 ? [`:${toRight.id} shows ${more(right)}`] : []),
      ].join(', ')
    : `+${counted(left + right, 'column')}`;
  return [{ text: keys?.inText(text) ?? text, look: 'muted', priority: 2 }];
}

/** A heading and rows, each exactly `width` columns wide. */
export function drawTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  context: CellContext,
  options: TableOptions<Row>,
): { heading: StyledLine; rows: StyledLine[] } {
  const { isMarked, shift = 0, faded, sortedBy } = options;
  const width = tableColumnsWidth(options.width, isMarked !== undefined);
  const { placed, lines } = keptFor(
    { columns, shift, width, sortedBy },
    { rows: options.all ?? rows, context },
  );
  const shown = rows.slice(options.top, options.top + options.height);
  return {
    heading: [...(isMarked ? [blank(markWidth)] : []), ...drawHeading(placed, width)],
    rows: shown.map((row, index) => {
      const isSelected = options.top + index === options.cursor;
      const isKept = !isSelected && !faded;
      let line = isKept ? lines.get(row) : undefined;
      line ??= drawRow(placed, row, context, { width, selected: isSelected, faded });
      if (isKept) lines.set(row, line);
      if (!isMarked) return line;
      return [{ text: isMarked(row) ? '● ' : '  ', look: 'accent' }, ...line];
    }),
  };
}

type Layout = {
  columns: readonly object[];
  shift: number;
  width: number;
  sortedBy: string | undefined;
};

type Kept<Row> = { placed: readonly PlacedColumn<Row>[]; lines: Map<unknown, StyledLine> };

/** Of the newest drawing of these rows. A key mostly draws rows that have not changed: half of its time was theirs. */
const kept = new WeakMap<object, Layout & Kept<unknown> & { nowMs: number; zone: TimeZone }>();

/** Where the columns stand, and the lines that are drawn already, as long as nothing they depend on changes. */
function keptFor<Row>(
  layout: Layout & { columns: readonly Column<Row>[] },
  of: PlacedRows<Row>,
): Kept<Row> {
  const { columns, shift, width, sortedBy } = layout;
  const { nowMs } = of.context;
  const zone = timesAreIn();
  const before = kept.get(of.rows);
  if (
    before?.columns === columns &&
    before.shift === shift &&
    before.width === width &&
    before.sortedBy === sortedBy &&
    before.nowMs === nowMs &&
    before.zone === zone
  ) {
    return before;
  }
  const placed = placeColumns(shiftedColumns(columns, shift), width, { ...of, sortedBy });
  const now = { ...layout, nowMs, zone, placed, lines: new Map<unknown, StyledLine>() };
  kept.set(of.rows, now);
  return now;
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
    const safe = safeLine(text, { limit: columns * 8 });
    const cut = column.cut === 'middle' ? truncateMiddle(safe, columns) : safe;
    const shown = fit(cut, columns, column.align);
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

/** Texts of a column beyond these are not measured: one that is as wide has use for all the room there is. */
const widestMeasured = 160;
/** Rows at each end that are measured: a tail of thousands changes with every event, and a key would have to wait. */
const rowsMeasured = 30;

/** How wide the longest text of a column is among `rows`, of many among the first and the last. */
function contentWidth<Row>(column: Column<Row>, { rows, context }: PlacedRows<Row>): number {
  let widest = 0;
  const ends =
    rows.length <= 2 * rowsMeasured
      ? rows
      : [...rows.slice(0, rowsMeasured), ...rows.slice(-rowsMeasured)];
  for (const row of ends) {
    const { text } = cellOf(column, row, context);
    // No character takes more than two columns.
    if (2 * text.length <= widest) continue;
    widest = Math.max(widest, displayWidth(safeLine(text, { limit: 4 * widestMeasured })));
    if (widest >= widestMeasured) break;
  }
  return widest;
}

/** What the columns are placed for. */
export type PlacedRows<Row> = { rows: readonly Row[]; context: CellContext };

/**
 * The columns that fit into `width`, in their own order, with their widths. Priorities decide who stays; then what some
 * do not use goes to those whose texts are cut, and where none is cut to columns that had no room. The rest goes to the
 * columns without a largest width first.
 */
export function placeColumns<Row>(
  columns: readonly Column<Row>[],
  width: number,
  of?: PlacedRows<Row> & { sortedBy?: string | undefined },
): PlacedColumn<Row>[] {
  const widths = new Map<Column<Row>, number>();
  const needed = (column: Column<Row>) => {
    if (!of) return undefined;
    const widest = widths.get(column) ?? Math.max(column.title.length, contentWidth(column, of));
    widths.set(column, widest);
    return widest;
  };
  const chosen = new Map<Column<Row>, number>();
  const gap = columnGap(width);
  let left = width + gap;
  const sorted = of && columns.find(({ id }) => id === of.sortedBy);
  const rank = (column: Column<Row>) =>
    sorted === undefined || (column !== sorted && column !== columns[0])
      ? column.priority
      : column === columns[0]
        ? 0
        : 0.5;
  const byPriority = columns.toSorted((a, b) => rank(a) - rank(b));
  for (const column of byPriority) {
    const wanted = wantedWidth(column, width, needed);
    if (wanted + gap > left) continue;
    chosen.set(column, wanted);
    left -= wanted + gap;
  }
  const [first] = byPriority;
  if (chosen.size === 0 && first) return [{ column: first, width }];
  const inOrder = () =>
    columns.flatMap((column) => {
      const given = chosen.get(column);
      return given === undefined ? [] : [{ column, width: given }];
    });
  if (!of) return grow(inOrder(), left);
  const placed = inOrder();
  left = fitToContent(placed, left, (column) => needed(column) ?? 0);
  for (const place of placed) chosen.set(place.column, place.width);
  for (const column of byPriority) {
    if (left <= gap || chosen.has(column)) continue;
    const wanted = isMeasured(column) ? (needed(column) ?? 0) : wantedWidth(column, width, needed);
    if (wanted + gap > left) continue;
    chosen.set(column, wanted);
    left -= wanted + gap;
  }
  return grow(inOrder(), left, false);
}

/** A column of numbers is as wide as its longest figure may become, whatever it shows now. */
function isMeasured<Row>({ minWidth, maxWidth }: Column<Row>): boolean {
  return maxWidth !== minWidth;
}

function wantedWidth<Row>(
  column: Column<Row>,
  width: number,
  needed: (column: Column<Row>) => number | undefined,
): number {
  const { minWidth, maxWidth, title, priority, isWhole = false } = column;
  const least = Math.max(minWidth, title.length);
  if (isWhole) return needed(column) ?? least;
  if (maxWidth !== undefined) return least;
  const share = priority === 1 ? comfortable.share : comfortable.lessImportant;
  return Math.max(least, Math.min(comfortable.most, Math.floor(width * share)));
}

/** Takes from columns what their texts do not fill and gives it to those that are cut, each alike. @returns what is left */
function fitToContent<Row>(
  placed: PlacedColumn<Row>[],
  extra: number,
  needed: (column: Column<Row>) => number,
): number {
  const texts = placed
    .filter(({ column }) => isMeasured(column))
    .map((place) => ({ place, need: needed(place.column) }));
  let left = extra;
  for (const { place, need } of texts) {
    if (need >= place.width) continue;
    left += place.width - need;
    place.width = need;
  }
  const cut = texts
    .filter(({ place, need }) => need > place.width)
    .toSorted((a, b) => a.need - a.place.width - (b.need - b.place.width));
  const whole = cut.filter(({ place, need }) => {
    const part = need - place.width;
    if (!place.column.prefersWhole || part > left) return false;
    place.width += part;
    left -= part;
    return true;
  });
  const others = cut.filter((text) => !whole.includes(text));
  for (const [index, { place, need }] of others.entries()) {
    const part = Math.min(need - place.width, Math.floor(left / (others.length - index)));
    place.width += part;
    left -= part;
  }
  return left;
}

/** Gives half of the spare width to columns with a largest width, as far as they may need it, and the rest to those without. */
function grow<Row>(
  placed: PlacedColumn<Row>[],
  extra: number,
  mayNeedIt = true,
): PlacedColumn<Row>[] {
  const flexible = placed.filter(({ column }) => column.maxWidth === undefined);
  let left = extra;
  const budget = flexible.length === 0 ? extra : mayNeedIt ? Math.ceil(extra / 2) : 0;
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
  return placed;
}
