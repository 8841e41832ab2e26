import { graphemes, graphemeWidth, isOneColumnText } from './graphemes.js';

/** Which side of a column its text keeps to. */
export type Alignment = 'left' | 'right' | 'center';

/** Columns a text takes on the screen. The text holds no control sequences (see sanitise.ts). */
export function displayWidth(text: string): number {
  if (isOneColumnText(text)) return text.length;
  let width = 0;
  for (const cluster of graphemes(text)) width += graphemeWidth(cluster);
  return width;
}

/**
 * The longest start of a text that fits into `columns`; never half a wide character.
 * The result may be one column narrower than asked where a wide character did not fit.
 */
export function takeColumns(text: string, columns: number): string {
  if (columns <= 0) return '';
  // A column takes at least one code unit of a visible character, so this part decides.
  if (text.length <= columns && isOneColumnText(text)) return text;
  const start = text.slice(0, columns);
  if (isOneColumnText(start) && isOneColumnText(text.charAt(columns))) return start;
  // A part of a long text is enough, or wrapping a megabyte would look through all of it for each line.
  for (let size = 4 * columns + 64; ; size *= 2) {
    const part = text.slice(0, size);
    let width = 0;
    let taken = 0;
    for (const cluster of graphemes(part)) {
      width += graphemeWidth(cluster);
      if (width <= columns) {
        taken += cluster.length;
        continue;
      }
      // The last cluster of the part may go on behind it.
      if (taken + cluster.length < part.length) return text.slice(0, taken);
      break;
    }
    if (part.length === text.length) return text.slice(0, taken);
  }
}

/**
 * A text cut to `columns`, with a sign at its end wherever something was cut off. Use '~' as the sign
 * on a terminal without Unicode.
 */
export function truncate(text: string, columns: number, ellipsis = '…'): string {
  const whole = takeColumns(text, columns);
  if (whole.length === text.length) return text;
  if (columns <= 0) return '';
  return takeColumns(text, columns - displayWidth(ellipsis)) + ellipsis;
}

/** A text made exactly `columns` wide: cut with an ellipsis, or filled with spaces. */
export function fit(
  text: string,
  columns: number,
  align: Alignment = 'left',
  ellipsis = '…',
): string {
  if (columns <= 0) return '';
  const shown = truncate(text, columns, ellipsis);
  const space = columns - displayWidth(shown);
  if (space <= 0) return shown;
  if (align === 'right') return ' '.repeat(space) + shown;
  if (align === 'left') return shown + ' '.repeat(space);
  const before = Math.floor(space / 2);
  return ' '.repeat(before) + shown + ' '.repeat(space - before);
}

/**
 * A text broken into lines of at most `columns`, at spaces where there are any and else inside the
 * word. Line feeds of the text begin a new line. At most `maxLines` lines come back.
 */
export function wrapText(text: string, columns: number, maxLines = Infinity): string[] {
  const lines: string[] = [];
  if (columns <= 0) return lines;
  for (const paragraph of text.split('\n')) {
    let rest = paragraph;
    do {
      if (lines.length >= maxLines) return lines;
      const line = firstLine(rest, columns);
      lines.push(line.trimEnd());
      rest = rest.slice(line.length);
    } while (rest !== '');
  }
  return lines;
}

/** As {@link wrapText}; where there is more than so many lines, the last one ends with the sign of that. */
export function wrapWithin(text: string, columns: number, maxLines: number): string[] {
  const lines = wrapText(text, columns, maxLines + 1);
  const last = lines[maxLines - 1];
  if (lines.length <= maxLines || last === undefined) return lines.slice(0, Math.max(0, maxLines));
  return [...lines.slice(0, maxLines - 1), `${takeColumns(last, columns - 1)}…`];
}

/** The first line of a paragraph, with the spaces at which it was broken. */
function firstLine(text: string, columns: number): string {
  const fitting = takeColumns(text, columns);
  if (fitting.length === text.length) return text;
  // A wide character in a one-column box: it is drawn as it is and clipped by the painter.
  if (fitting === '') return String.fromCodePoint(text.codePointAt(0) ?? 0x20);
  if (text.charAt(fitting.length) === ' ') return fitting + spacesFrom(text, fitting.length);
  const space = fitting.lastIndexOf(' ');
  const onlyIndent = space <= 0 || displayWidth(fitting.slice(0, space).trim()) === 0;
  return onlyIndent ? fitting : fitting.slice(0, space + 1);
}

function spacesFrom(text: string, index: number): string {
  let end = index;
  while (text.charAt(end) === ' ') end++;
  return text.slice(index, end);
}
