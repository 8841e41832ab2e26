import { displayWidth, fit, type Alignment, truncate } from '../../terminal/width.js';
import type { Look } from '../theme.js';

/** A piece of a line: a text, and what it means. */
export type Span = {
  readonly text: string;
  readonly look?: Look | undefined;
  /** Stands for something that is folded away. */
  readonly isFold?: true;
};

/**
 * A line of the screen as data. Which colours and signs it gets is decided where it is written to the
 * terminal (see Theme), so that the same line serves every terminal and every test.
 */
export type StyledLine = readonly Span[];

/** A text in one look, as one line. */
export function styled(text: string, look?: Look): StyledLine {
  return [{ text, look }];
}

/** So many blank columns. */
export function blank(columns: number): Span {
  return { text: ' '.repeat(Math.max(0, columns)) };
}

/** A text of exactly `columns` columns in one look. */
export function cell(text: string, columns: number, look?: Look, align?: Alignment): Span {
  return { text: fit(text, columns, align), look };
}

export function plainText(line: StyledLine): string {
  return line.map(({ text }) => text).join('');
}

export function lineWidth(line: StyledLine): number {
  return line.reduce((sum, { text }) => sum + displayWidth(text), 0);
}

/** A line with its blanks up to `columns` columns. */
export function fillLine(line: StyledLine, columns: number): StyledLine {
  const width = lineWidth(line);
  return width < columns ? [...line, blank(columns - width)] : line;
}

/** Lines one after the other on one line, `gap` columns between them. */
export function joinLines(lines: readonly StyledLine[], gap: number): StyledLine {
  return lines.flatMap((line, index) => (index > 0 && gap > 0 ? [blank(gap), ...line] : line));
}

/** A span that may be left out: `priority` 1 stays longest where the line is too narrow. */
export type Segment = Span & { readonly priority?: number };

/**
 * Segments on one line of exactly `width` columns, `separator` between them. Where they do not fit, the
 * highest priorities are left out first; what still does not fit is cut.
 */
export function drawSegments(
  segments: readonly Segment[],
  width: number,
  separator = '  ',
): StyledLine {
  return fillLine(fitSegments(segments, width, separator), width);
}

/**
 * As {@link drawSegments}, with a sign at the end for the segments that were left out: `+2 more`, and how to see them where
 * there is room for that.
 */
export function drawSegmentsOrMore(
  segments: readonly Segment[],
  width: number,
  separator: string,
  way = '',
): StyledLine {
  const gap = displayWidth(separator);
  const all = segments.filter(({ text }) => text !== '');
  let room = width;
  let sign = '';
  for (;;) {
    const left = all.length - dropUntilFit(all, room, gap).length;
    const next = left === 0 ? '' : `${separator}+${left} more`;
    if (next === sign) break;
    sign = next;
    room = Math.max(0, width - displayWidth(sign));
  }
  const shown = fitSegments(all, room, separator);
  if (sign === '') return fillLine(shown, width);
  const spare = width - lineWidth(shown) - displayWidth(sign) - displayWidth(way);
  return fillLine([...shown, { text: sign + (spare >= 0 ? way : ''), look: 'muted' }], width);
}

/** As {@link drawSegments}, but only as wide as the text is. */
export function fitSegments(
  segments: readonly Segment[],
  width: number,
  separator = '  ',
): StyledLine {
  const gap = displayWidth(separator);
  let room = width;
  const kept = dropUntilFit(segments, width, gap);
  const cut = new Set<Segment>();
  const shown = kept.flatMap((segment, index) => {
    const { text, look } = segment;
    const space = room - (index === 0 ? 0 : gap);
    if (space <= 0) {
      if (text.trim() !== '') cut.add(segment);
      return [];
    }
    const fitting = truncate(text, space);
    room = space - displayWidth(fitting);
    const span: Span = { text: fitting, look };
    return index === 0 ? [span] : [{ text: separator }, span];
  });
  return cut.size > 0 ? withCutSign(shown, room) : shown;
}

/** Says at the end of a line that there is more: where there is no room left, its last character gives way. */
function withCutSign(line: readonly Span[], room: number): StyledLine {
  if (room > 0) return [...line, { text: '…' }];
  const last = line.at(-1);
  if (!last || last.text.endsWith('…')) return line;
  const text = `${last.text} `;
  return [...line.slice(0, -1), { ...last, text: truncate(text, displayWidth(last.text)) }];
}

/** Left and right part on one line of exactly `width` columns; the other than `first` gives way. */
export function drawSides(
  sides: { left: readonly Segment[]; right: readonly Segment[]; first: 'left' | 'right' },
  width: number,
): StyledLine {
  const { left, right, first } = sides;
  const whole = fitSegments(first === 'left' ? left : right, width);
  const room = Math.max(0, width - lineWidth(whole) - 2);
  const rest = fitSegments(first === 'left' ? right : left, room);
  const gap = blank(width - lineWidth(whole) - lineWidth(rest));
  return first === 'left' ? [...whole, gap, ...rest] : [...rest, gap, ...whole];
}

function dropUntilFit(segments: readonly Segment[], width: number, gap: number): Segment[] {
  const kept = segments.filter(({ text }) => text !== '');
  const total = () => kept.reduce((sum, { text }) => sum + displayWidth(text) + gap, -gap);
  while (kept.length > 1 && total() > width) {
    let last = 0;
    for (const [index, { priority = 1 }] of kept.entries()) {
      if (priority >= (kept[last]?.priority ?? 1)) last = index;
    }
    if ((kept[last]?.priority ?? 1) <= 1) break;
    kept.splice(last, 1);
  }
  return kept;
}
