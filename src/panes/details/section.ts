import { ConsoleError } from '../../db/errors.js';
import type { Opening } from '../opening.js';
import type { SummaryLine } from '../pane.js';

/** What is made of a row's values, above the values themselves. */
export type DetailSection = {
  title: string;
  lines: readonly SummaryLine[];
  /** What Enter on a line opens. */
  open?(line: number): Opening | undefined;
};

/** A line, and what Enter on it opens. */
export type OpeningLine = { line: SummaryLine; opening?: Opening };

/** A share of a whole as a bar of 20 signs, with its name and its figure. */
export function barLine(name: string, share: number, tone: 'accent' | 'muted'): SummaryLine {
  const full = Math.round(Math.min(1, Math.max(0, share)) * barWidth);
  return [
    { text: name, columns: nameWidth },
    { text: '█'.repeat(full) + '░'.repeat(barWidth - full), tone },
    { text: `${Math.round(share * 100)}%`.padStart(4) },
  ];
}

const barWidth = 20;
const nameWidth = 28;

/** A section that may fail by itself: the others are shown all the same. */
export async function sectionOr(
  title: string,
  read: () => Promise<readonly (SummaryLine | OpeningLine)[]>,
): Promise<DetailSection> {
  try {
    const lines = (await read()).map((line) => ('line' in line ? line : { line }));
    return {
      title,
      lines: lines.map(({ line }) => line),
      open: (at) => lines[at]?.opening,
    };
  } catch (error) {
    const reason = error instanceof ConsoleError ? error.message : String(error);
    return { title, lines: [[{ text: reason, tone: 'warning' }]] };
  }
}
