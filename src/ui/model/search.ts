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

const found = new WeakMap<readonly string[], { text: string; matches: readonly Match[] }>();

/** Where the text stands in the lines, whatever its case; the first {@link mostMatches}. */
export function findMatches(
  lines: readonly string[],
  text: string,
  options: MatchOptions = {},
): readonly Match[] {
  const known = found.get(lines);
  if (known?.text === text) return known.matches;
  const matches = text === '' ? [] : searched(lines, text, options);
  found.set(lines, { text, matches });
  return matches;
}

function searched(
  lines: readonly string[],
  text: string,
  { linesOnly = false }: MatchOptions,
): readonly Match[] {
  // Not toLowerCase of both: it makes some texts longer, and the places would be others.
  const literal = text.normalize('NFC').replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  const pattern = new RegExp(literal, 'giu');
  const matches: Match[] = [];
  for (const [line, content] of lines.entries()) {
    for (const match of content.matchAll(pattern)) {
      matches.push({ line, start: match.index, end: match.index + match[0].length });
      if (matches.length === mostMatches) return matches;
      if (linesOnly) break;
    }
  }
  return matches;
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
