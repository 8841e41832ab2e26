import { isOneColumn } from './graphemes.js';
import type { Row } from './row.js';
import type { Style } from './style.js';

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
export function rowDiff(line: number, before: Row, after: Row): string {
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
  #style: Style = '';

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

  #use(style: Style): void {
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
