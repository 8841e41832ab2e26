import type { ScrollPlace } from './cursor.js';

/** What is searched for in a view that Enter has opened. */
export type Search = {
  text: string;
  /** Which match the reader is at; the places of all are found in the lines, which may change. */
  index: number;
  /** The line from which it began: where leaving it leads back to. */
  from: number;
};

/** Code units of a line. */
export type Match = { line: number; start: number; end: number };

/** Nobody steps through more; a letter in two megabytes would be a million of them. */
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
  // Not toLowerCase of both: it makes some texts longer, and the places would be others.
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
  { top, height }: ScrollPlace,
): number {
  const here = matches[index];
  if (here && here.line >= top && here.line < top + height) {
    return (index + step + matches.length) % matches.length;
  }
  if (step === 1) return firstMatchFrom(matches, top);
  const before = matches.findLastIndex(({ line }) => line < top);
  return before < 0 ? matches.length - 1 : before;
}
