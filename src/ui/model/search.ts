import type { Scroll } from './list-state.js';
import type { Look } from '../theme.js';
import { fillLine, plainText, type StyledLine } from '../draw/styled-line.js';

/** What is searched for in a view that Enter has opened. */
export type Search = {
  text: string;
  /** The index of the current match; the matches are found again in the lines, which may change. */
  index: number;
  /** The line from which it began: where leaving it leads back to. */
  from: number;
};

/** Code units of a line. */
export type Match = { line: number; start: number; end: number };

/** Further matches are not collected: one letter in two megabytes would have a million. */
export const mostMatches = 10_000;

export type MatchOptions = {
  /** One match a line at most, where a step leads from line to line. */
  linesOnly?: boolean;
};

type Found = { text: string; matches: Match[]; lines: number };

const found = new WeakMap<readonly string[], Found>();

/**
 * Where the text stands in the lines, whatever its case; the first {@link mostMatches}. Lines that have
 * been added since the last time are searched then.
 */
export function findMatches(
  lines: readonly string[],
  text: string,
  options: MatchOptions = {},
): readonly Match[] {
  if (text === '') return [];
  const before = found.get(lines);
  const known = before?.text === text ? before : { text, matches: [], lines: 0 };
  found.set(lines, known);
  search(known, lines, options);
  return known.matches;
}

function search(known: Found, lines: readonly string[], { linesOnly = false }: MatchOptions): void {
  const { text, matches } = known;
  // Not toLowerCase: it changes the length of some texts, so that positions would be wrong.
  const literal = text.normalize('NFC').replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  const pattern = new RegExp(literal, 'giu');
  for (; known.lines < lines.length && matches.length < mostMatches; known.lines++) {
    for (const match of (lines[known.lines] ?? '').matchAll(pattern)) {
      matches.push({ line: known.lines, start: match.index, end: match.index + match[0].length });
      if (linesOnly || matches.length === mostMatches) break;
    }
  }
}

/** The first match from a line on, else the first of all. */
export function firstMatchFrom(matches: readonly Match[], line: number): number {
  return Math.max(
    0,
    matches.findIndex((match) => match.line >= line),
  );
}

/**
 * The match after or before the one that the reader is at, round the ends. Where that one was scrolled
 * out of view, the nearest from what is in view.
 */
export function nextMatch(
  matches: readonly Match[],
  index: number,
  step: 1 | -1,
  { top, height }: Scroll,
): number {
  const here = matches[index];
  if (here && here.line >= top && here.line < top + height) {
    return (index + step + matches.length) % matches.length;
  }
  if (step === 1) return firstMatchFrom(matches, top);
  const before = matches.findLastIndex(({ line }) => line < top);
  return before < 0 ? matches.length - 1 : before;
}

export type Marks = {
  matches?: readonly Match[];
  /** The match that the reader is at. */
  current?: Match | undefined;
  /** The cursor is on the line. */
  isChosen?: boolean;
};

/** A line of exactly `width` columns with its matches marked; the line under the cursor is reversed. */
export function drawMatches(
  line: StyledLine,
  width: number,
  { matches = [], current, isChosen = false }: Marks = {},
): StyledLine {
  // The cursor's line is reversed, unless it holds the current match, which would not stand out then.
  if (isChosen && !(current && matches.includes(current))) {
    return [{ text: plainText(fillLine(line, width)), look: 'selected' }];
  }
  const marked = matches.reduce(
    (parts, match) => withMatch(parts, match, match === current ? 'selected' : 'match'),
    line,
  );
  return fillLine(marked, width);
}

/** The line with what stands between start and end of a match in another look. */
function withMatch(line: StyledLine, { start, end }: Match, look: Look): StyledLine {
  let at = 0;
  return line.flatMap((span) => {
    const { text } = span;
    const [from, to] = [start - at, end - at].map((place) => Math.max(0, place));
    at += text.length;
    return [
      { ...span, text: text.slice(0, from) },
      { text: text.slice(from, to), look },
      { ...span, text: text.slice(to) },
    ].filter((part) => part.text !== '');
  });
}
