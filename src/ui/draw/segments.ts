import { displayWidth, truncate } from '../../terminal/width.js';
import type { Look, Theme } from '../theme.js';
import type { TextLine } from './text-line.js';

/** A piece of a line with its meaning. `priority` 1 stays longest where the line is too narrow. */
export type Segment = { text: string; look?: Look | undefined; priority?: number };

/**
 * Segments on one line of exactly `width` columns, parted by `separator`. Where they do not fit, the
 * highest priorities go first; what is left is cut.
 */
export function drawSegments(
  theme: Theme,
  segments: readonly Segment[],
  width: number,
  separator = '  ',
): string {
  return fillLine(fitSegments(theme, segments, width, separator), width);
}

export type Line = { text: string; width: number };

/** As {@link drawSegments}, but only as wide as the text is. */
export function fitSegments(
  theme: Theme,
  segments: readonly Segment[],
  width: number,
  separator = '  ',
): Line {
  const pieces = layOutSegments(segments, width, separator);
  const used = pieces.reduce((sum, { text }) => sum + displayWidth(text), 0);
  return { text: pieces.map(({ text, look }) => theme.paint(look, text)).join(''), width: used };
}

/** As {@link fitSegments}, not yet painted. */
export function layOutSegments(
  segments: readonly Segment[],
  width: number,
  separator = '  ',
): TextLine {
  const gap = displayWidth(separator);
  let room = width;
  return dropUntilFit(segments, width, gap).flatMap(({ text, look }, index) => {
    const before = index === 0 ? '' : separator;
    const space = room - (index === 0 ? 0 : gap);
    if (space <= 0) return [];
    const shown = truncate(text, space);
    room = space - displayWidth(shown);
    return [{ text: before }, { text: shown, look }];
  });
}

/** A line with its blanks up to `width` columns. */
export function fillLine({ text, width }: Line, columns: number): string {
  return width < columns ? text + ' '.repeat(columns - width) : text;
}

/** Left and right part on one line of exactly `width` columns; the other than `first` gives way. */
export function drawSides(
  theme: Theme,
  sides: { left: readonly Segment[]; right: readonly Segment[]; first: 'left' | 'right' },
  width: number,
): string {
  const { left, right, first } = sides;
  const whole = fitSegments(theme, first === 'left' ? left : right, width);
  const rest = fitSegments(
    theme,
    first === 'left' ? right : left,
    Math.max(0, width - whole.width - 2),
  );
  const gap = ' '.repeat(Math.max(0, width - whole.width - rest.width));
  return first === 'left' ? whole.text + gap + rest.text : rest.text + gap + whole.text;
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
