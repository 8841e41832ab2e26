import { graphemes, graphemeWidth, isOneColumn } from './width.js';

/** A piece of a line: a text, and the name of its look. */
type Span = { readonly text: string; readonly look?: string | undefined };

export type Line = readonly Span[];

/** Lines at a place of the screen. They are cut to its width and height, and cover what is behind. */
export type Region = {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly lines: readonly Line[];
};

/** The whole screen, as regions from back to front. */
export type Frame = readonly Region[];

/** What looks and texts are on this terminal. */
export type Appearance = {
  /** The SGR parameters of a look; '' is plain. */
  styleOf(look: string | undefined): string;
  /** The signs that are drawn for a text, each as wide as the one it stands for. */
  signsOf(text: string, look: string | undefined): string;
};

/** No colours, all signs. */
export const plainAppearance: Appearance = {
  styleOf: () => '',
  signsOf: (text) => text,
};

/** A line of a region at its place in a row of the screen. */
type Piece = { readonly x: number; readonly width: number; readonly line: Line };

const emptyLine: Line = [];

/** What lies in each of the screen's first `rows` rows, from back to front. */
function piecesByRow(frame: Frame, rows: number): Piece[][] {
  const pieces: Piece[][] = Array.from({ length: rows }, () => []);
  for (const { x, y, width, height, lines } of frame) {
    for (let index = 0; index < height; index++) {
      pieces[y + index]?.push({ x, width, line: lines[index] ?? emptyLine });
    }
  }
  return pieces;
}

/** Whether two rows are made of the same lines at the same places: nothing is laid out for them. */
function isSameRow(one: readonly Piece[], other: readonly Piece[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ x, width, line }, index) => {
      const piece = other[index];
      return piece?.x === x && piece.width === width && isSameLine(piece.line, line);
    })
  );
}

/** A pane that is drawn anew makes most of its lines as they were. */
function isSameLine(one: Line, other: Line): boolean {
  if (one === other) return true;
  return (
    one.length === other.length &&
    one.every(({ text, look }, index) => {
      const span = other[index];
      return span?.text === text && span.look === look;
    })
  );
}

/** Makes bytes of frames. */
export type Painter = {
  /**
   * What to write so that the terminal shows a frame; '' when it shows it already.
   * @param isAnew what the terminal shows is not known
   */
  paint(frame: Frame, size: { columns: number; rows: number }, isAnew: boolean): string;
};

const beginUpdate = '\x1b[?2026h';
const endUpdate = '\x1b[?2026l';
const clearScreen = '\x1b[H\x1b[2J';

/**
 * Paints frames in the cells of the screen. What differs from the frame before is written, addressed
 * absolutely and inside synchronized-output brackets (DEC 2026). Nothing ever scrolls, and what does
 * not fit is cut.
 */
export class GridPainter implements Painter {
  readonly #appearance: Appearance;
  #pieces: (readonly Piece[])[] = [];
  #shown: Row[] = [];
  #columns = 0;
  /** Rows are laid out in it in turn with what is shown: new cells for each were a tenth of all garbage. */
  #spare: Row = blankRow(0);

  constructor(appearance: Appearance) {
    this.#appearance = appearance;
  }

  paint(frame: Frame, size: { columns: number; rows: number }, isAnew: boolean): string {
    const { columns, rows } = size;
    let changes = '';
    if (isAnew || columns !== this.#columns || rows !== this.#shown.length) {
      changes = clearScreen;
      this.#columns = columns;
      this.#pieces = Array.from({ length: rows }, () => []);
      this.#shown = Array.from({ length: rows }, () => blankRow(columns));
      this.#spare = blankRow(columns);
    }
    for (const [index, pieces] of piecesByRow(frame, rows).entries()) {
      const before = this.#shown[index];
      if (before === undefined || isSameRow(pieces, this.#pieces[index] ?? [])) continue;
      const after = layOut(this.#spare, pieces, this.#appearance);
      changes += rowDiff(index, before, after);
      this.#pieces[index] = pieces;
      this.#shown[index] = after;
      this.#spare = before;
    }
    return changes === '' ? '' : beginUpdate + changes + endUpdate;
  }
}

// Jumping over unchanged cells costs "CSI n G"; rewriting up to this many of them is no longer.
const shortGap = 5;

/**
 * The bytes that turn one row of the screen into another: absolute addressing, changed cells only,
 * ending in plain style. '' when the rows are equal.
 *
 * Terminals disagree about the width of emoji and of many scripts. The cells of such a character are
 * erased first and the next one is addressed absolutely, so that a character drawn wider or narrower
 * than laid out spoils nothing but its own cells.
 * @param line the row's number, from 0
 */
function rowDiff(line: number, before: Row, after: Row): string {
  const columns = after.text.length;
  const blankFrom = trailingBlanks(after);
  const writer = new RowWriter(line);
  let column = 0;
  while (column < blankFrom) {
    if (isSame(before, after, column)) {
      column++;
      continue;
    }
    const end = Math.min(runEnd(before, after, column, columns), blankFrom);
    writer.write(after, column, end);
    column = end;
  }
  for (column = blankFrom; column < columns; column++) {
    if (isSame(before, after, column)) continue;
    writer.eraseFrom(blankFrom);
    break;
  }
  return writer.finish();
}

function isSame(before: Row, after: Row, column: number): boolean {
  return before.text[column] === after.text[column] && before.style[column] === after.style[column];
}

/** The end of the run to be written: over short unchanged gaps, never inside a wide character. */
function runEnd(before: Row, after: Row, start: number, columns: number): number {
  let end = start + 1;
  for (let column = end; column < columns && column - end < shortGap; column++) {
    if (!isSame(before, after, column)) end = column + 1;
  }
  while (end < columns && (after.text[end] === '' || isUncertainBefore(after, end))) end++;
  return end;
}

/** Whether the cell before is (part of) a character that may have been drawn over this one. */
function isUncertainBefore(row: Row, column: number): boolean {
  let head = column - 1;
  while (head > 0 && row.text[head] === '') head--;
  return isUncertain(row.text[head] ?? '');
}

/** The first column from which on the row is blank and plain. */
function trailingBlanks(row: Row): number {
  let column = row.text.length;
  while (column > 0 && row.text[column - 1] === ' ' && row.style[column - 1] === '') column--;
  return column;
}

/** Whether terminals may disagree about a character's width. */
function isUncertain(character: string): boolean {
  if (character === '') return false;
  if (character.length > 1) return true;
  const unit = character.charCodeAt(0);
  return !(
    isOneColumn(unit) ||
    (unit >= 0x370 && unit < 0x530) ||
    (unit >= 0x3041 && unit <= 0x30ff) ||
    (unit >= 0x3400 && unit <= 0x4dbf) ||
    (unit >= 0x4e00 && unit <= 0x9fff) ||
    (unit >= 0xac00 && unit <= 0xd7a3)
  );
}

/** Collects the bytes for one row; knows where the cursor is and which style is on. */
class RowWriter {
  #output = '';
  #column = -1;
  #style = '';

  constructor(readonly line: number) {}

  write(row: Row, start: number, end: number): void {
    for (let column = start; column < end; column++) {
      const character = row.text[column] ?? ' ';
      if (character === '') continue;
      this.#moveTo(column);
      this.#use(row.style[column] ?? '');
      const width = cellsOf(row, column);
      if (isUncertain(character)) {
        this.#output += `\x1b[${width}X${character}`;
        this.#column = -2;
      } else {
        this.#output += character;
        this.#column += width;
      }
    }
  }

  eraseFrom(column: number): void {
    this.#moveTo(column);
    this.#use('');
    this.#output += '\x1b[K';
  }

  finish(): string {
    this.#use('');
    return this.#output;
  }

  #moveTo(column: number): void {
    if (this.#column === column) return;
    this.#output +=
      this.#column === -1 ? `\x1b[${this.line + 1};${column + 1}H` : `\x1b[${column + 1}G`;
    this.#column = column;
  }

  #use(style: string): void {
    if (this.#style === style) return;
    if (style === '') this.#output += '\x1b[m';
    else this.#output += this.#style === '' ? `\x1b[${style}m` : `\x1b[0;${style}m`;
    this.#style = style;
  }
}

function cellsOf(row: Row, column: number): number {
  let width = 1;
  while (row.text[column + width] === '') width++;
  return width;
}

/**
 * One row of the screen, a cell a column. A wide character stands in its first column; the columns it
 * covers besides hold ''. A blank cell is ' '. A style is the parameters of "CSI … m" that set it from
 * nothing; '' is plain.
 */
type Row = { text: string[]; style: string[] };

/** A row of blanks. */
function blankRow(columns: number): Row {
  return {
    text: new Array<string>(columns).fill(' '),
    style: new Array<string>(columns).fill(''),
  };
}

/**
 * Lines laid out in the cells of one row; a later one lies over an earlier one. What does not fit is
 * left out; a wide character with room for its half only is a blank. Control characters are dropped:
 * nothing but cells can reach the terminal from here.
 */
function layOut(row: Row, pieces: readonly Piece[], appearance: Appearance): Row {
  const columns = row.text.length;
  row.text.fill(' ');
  row.style.fill('');
  for (const [index, { x, width, line }] of pieces.entries()) {
    const end = Math.min(columns, x + width);
    if (index > 0) clearCells(row, x, end);
    let column = x;
    for (const { text, look } of line) {
      if (column >= end) break;
      const style = appearance.styleOf(look);
      column = putText(row, { column, end }, appearance.signsOf(text, look), style);
    }
  }
  return row;
}

/** A wide character of which one half is covered leaves a blank. */
function clearCells(row: Row, from: number, until: number): void {
  if (row.text[from] === '') row.text[from - 1] = ' ';
  if (row.text[until] === '') row.text[until] = ' ';
  row.text.fill(' ', from, until);
  row.style.fill('', from, until);
}

type Room = { column: number; end: number };

/** Puts a text into the cells from `column` to before `end`; gives the column behind it. */
function putText(row: Row, { column, end }: Room, text: string, style: string): number {
  let index = 0;
  while (index < text.length && column < end) {
    if (!isOneColumn(text.charCodeAt(index)) || !standsAlone(text, index + 1)) {
      return putClusters(row, { column, end }, text.slice(index), style);
    }
    row.text[column] = text.charAt(index);
    row.style[column] = style;
    column++;
    index++;
  }
  return column;
}

/** Whether what follows cannot be a mark that belongs to the character before. */
function standsAlone(text: string, index: number): boolean {
  const next = text.charCodeAt(index);
  return Number.isNaN(next) || next < 0x300 || isOneColumn(next);
}

function putClusters(row: Row, { column, end }: Room, text: string, style: string): number {
  for (const cluster of graphemes(text)) {
    if (column >= end) break;
    const width = isControl(cluster) ? 0 : graphemeWidth(cluster);
    if (width === 0) continue;
    const fits = column + width <= end;
    for (let offset = 0; offset < width && column + offset < end; offset++) {
      row.text[column + offset] = fits ? (offset === 0 ? cluster : '') : ' ';
      row.style[column + offset] = style;
    }
    column += width;
  }
  return column;
}

function isControl(cluster: string): boolean {
  const unit = cluster.charCodeAt(0);
  return unit < 0x20 || (unit >= 0x7f && unit < 0xa0);
}
