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
  return drawMost(segments, width, separator, { signs: [countSign], way });
}

/** As {@link drawSegmentsOrMore}; where a figure more has room beside it the sign is `…`. */
export function drawSummary(segments: readonly Segment[], width: number): StyledLine {
  const [first] = segments.filter(({ text }) => text !== '');
  // Cut text ends with the sign by itself.
  if (first && displayWidth(first.text) > width - cutSign.length) {
    return drawSegments(segments, width, summarySeparator);
  }
  return drawMost(segments, width, summarySeparator, {
    signs: [countSign, () => cutSign],
    way: '',
  });
}

const summarySeparator = ' · ';
const cutSign = ' …';

type Sign = (left: number, separator: string) => string;

const countSign: Sign = (left, separator) => `${separator}+${left} more`;

/** As many stay as have room beside the sign, those of the lowest priority first; the first sign beside which most stay whole. */
function drawMost(
  segments: readonly Segment[],
  width: number,
  separator: string,
  { signs, way }: { signs: readonly Sign[]; way: string },
): StyledLine {
  const gap = displayWidth(separator);
  const all = segments.filter(({ text }) => text !== '');
  // What is only cut for want of room says so itself.
  if (dropUntilFit(all, width, gap).length === all.length)
    return drawSegments(all, width, separator);
  const [count] = signs;
  if (count !== undefined && way !== '') {
    const signAt = (kept: number) => count(all.length - kept, separator) + way;
    const { kept } = mostThatFit(all, gap, (whole) => width - displayWidth(signAt(whole)));
    const isLess = (segment: Segment) => (segment.priority ?? 1) >= lessThanWay;
    if (all.every((segment) => kept.includes(segment) || isLess(segment))) {
      const sign = signAt(kept.length);
      const shown = fitSegments(kept, Math.max(0, width - displayWidth(sign)), separator);
      return fillLine([...shown, { text: sign, look: 'muted' }], width);
    }
  }
  const tries = signs.map((signOf) => {
    const signAt = (count: number) => signOf(all.length - count, separator);
    const fitting = mostThatFit(all, gap, (count) => width - displayWidth(signAt(count)));
    return { ...fitting, sign: signAt(fitting.kept.length) };
  });
  const most = Math.max(...tries.map(({ whole }) => whole));
  const { kept = all, sign = '' } = tries.find(({ whole }) => whole === most) ?? {};
  const shown = fitSegments(kept, Math.max(0, width - displayWidth(sign)), separator);
  const spare = width - lineWidth(shown) - displayWidth(sign) - displayWidth(way);
  return fillLine([...shown, { text: sign + (spare >= 0 ? way : ''), look: 'muted' }], width);
}

/** Segments of this priority and behind give way to where they stand: `: Enter on the trace`. */
const lessThanWay = 3;

/** Less of a text that must not be left out says nothing. */
const leastCut = 8;

/** @param roomFor the columns that so many segments have; one stays in any case, and is cut */
function mostThatFit(
  segments: readonly Segment[],
  gap: number,
  roomFor: (count: number) => number,
): { kept: Segment[]; whole: number } {
  const byPriority = segments.toSorted((a, b) => (a.priority ?? 1) - (b.priority ?? 1));
  let used = -gap;
  let whole = 0;
  for (const { text } of byPriority) {
    const next = used + gap + displayWidth(text);
    if (next > roomFor(whole + 1)) break;
    used = next;
    whole += 1;
  }
  const next = byPriority[whole];
  const isCut = (next?.priority ?? 1) <= 1 && roomFor(whole + 1) - used - gap >= leastCut;
  const kept = new Set(byPriority.slice(0, whole === 0 || isCut ? whole + 1 : whole));
  return { kept: segments.filter((segment) => kept.has(segment)), whole };
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
