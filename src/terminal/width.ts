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
