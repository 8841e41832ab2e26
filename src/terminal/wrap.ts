import { displayWidth, takeColumns } from './width.js';

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
