import { graphemes, graphemeWidth, isOneColumn } from './graphemes.js';
import { applySgr, type Style } from './style.js';

/**
 * One row of the screen, a cell a column. A wide character stands in its first column; the columns it
 * covers besides hold ''. A blank cell is ' '.
 */
export type Row = { text: string[]; style: Style[] };

// eslint-disable-next-line no-control-regex
const sgr = /\x1b\[([\d;:]*)m/y;
const otherSequence =
  // eslint-disable-next-line no-control-regex
  /\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|[\x20-\x2f]*[\x30-\x7e])/y;
// eslint-disable-next-line no-control-regex
const untilEscape = /[^\x1b]+/y;

/** A row of blanks. */
export function blankRow(columns: number): Row {
  return {
    text: new Array<string>(columns).fill(' '),
    style: new Array<Style>(columns).fill(''),
  };
}

/**
 * A line of styled text (as Ink writes it) laid out in cells. What does not fit is left out; a wide
 * character with room for its half only is a blank. Colours are kept, every other control sequence
 * and control character is dropped: nothing but cells can reach the terminal from here.
 */
export function layOut(line: string, columns: number): Row {
  const row = blankRow(columns);
  let style: Style = '';
  let column = 0;
  let index = 0;
  while (index < line.length && column < columns) {
    const unit = line.charCodeAt(index);
    if (unit === 0x1b) {
      const match = matchAt(sgr, line, index);
      if (match) style = applySgr(style, match[1] ?? '');
      const sequence = match ?? matchAt(otherSequence, line, index);
      index += sequence ? sequence[0].length : 1;
    } else if (isOneColumn(unit) && standsAlone(line, index + 1)) {
      row.text[column] = line.charAt(index);
      row.style[column] = style;
      column++;
      index++;
    } else {
      const run = matchAt(untilEscape, line, index)?.[0] ?? '';
      column = putClusters(row, column, run, style);
      index += run.length;
    }
  }
  return row;
}

/** Whether what follows cannot be a mark that belongs to the character before. */
function standsAlone(line: string, index: number): boolean {
  const next = line.charCodeAt(index);
  return Number.isNaN(next) || next < 0x300 || isOneColumn(next);
}

function matchAt(pattern: RegExp, text: string, index: number): RegExpExecArray | null {
  pattern.lastIndex = index;
  return pattern.exec(text);
}

function putClusters(row: Row, start: number, run: string, style: Style): number {
  const columns = row.text.length;
  let column = start;
  for (const cluster of graphemes(run)) {
    if (column >= columns) break;
    const width = isControl(cluster) ? 0 : graphemeWidth(cluster);
    if (width === 0) continue;
    const fits = column + width <= columns;
    for (let offset = 0; offset < width && column + offset < columns; offset++) {
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
