import type { Row } from '../row.js';

/** A row as a line of styled text again. */
export function writeRow({ text, style }: Row): string {
  let line = '';
  let current = '';
  for (const [column, character] of text.entries()) {
    const wanted = style[column] ?? '';
    if (wanted !== current) {
      line += wanted === '' ? '\x1b[0m' : `\x1b[0;${wanted}m`;
      current = wanted;
    }
    line += character;
  }
  return current === '' ? line : `${line}\x1b[0m`;
}

/** Columns `from` (included) to `to` (excluded). */
export function sliceRow({ text, style }: Row, from: number, to: number): Row {
  const slice = { text: text.slice(from, to), style: style.slice(from, to) };
  // The second half of a wide character whose first was cut off.
  if (slice.text[0] === '') slice.text[0] = ' ';
  return slice;
}
