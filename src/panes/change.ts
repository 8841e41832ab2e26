import { formatSpan } from '../shared/format/duration.js';
import { formatChange, formatCount } from '../shared/format/number.js';
import { changeColumn } from './column-kinds.js';
import type { Column, Sort, SummaryLine, Tone } from './pane.js';
import type { CallsBefore } from './window-before.js';

/** What a row says of the window before its own; null where that is not counted, or had no such calls. */
export type ComparedRow = {
  calls: number;
  p95Ms: number | null;
  callsBefore: number | null;
  p95BeforeMs: number | null;
};

/** So many more than before that it is no chance: a third, and three of them. */
export function isMany(count: number, before: number): boolean {
  return count - before >= Math.max(3, before / 3);
}

/** By how much of what it was before: 0.4 is 40 % more. Infinity: there was none before. */
export function changeOf(now: number | null, before: number | null): number | null {
  if (now === null || before === null) return null;
  if (before === 0) return now === 0 ? 0 : Infinity;
  return (now - before) / before;
}

/** The figures of a group in the window before. */
export function beforeOf(
  before: CallsBefore | null,
  key: string,
): Pick<ComparedRow, 'callsBefore' | 'p95BeforeMs'> {
  const group = before?.get(key);
  return { callsBefore: before && (group?.calls ?? 0), p95BeforeMs: group?.p95Ms ?? null };
}

/** How many there were in the window before. */
export function beforeSegment(
  calls: number,
  callsBefore: number | null,
  windowMs: number,
): SummaryLine {
  // Recordings of earlier consoles do not have it.
  if (typeof callsBefore !== 'number') return [];
  const change = formatChange(changeOf(calls, callsBefore));
  const text = `${formatCount(callsBefore)} in the ${formatSpan(windowMs)} before: ${change}`;
  return [{ text, tone: 'muted' }];
}

/** Each of both percentiles may be 3.1 % off: less than this is no change that is known of. */
const leastKnown = 0.065;
/** Fewer calls than these have no p95 worth a warning. */
const leastCalls = 5;

function p95Change({ p95Ms, p95BeforeMs }: ComparedRow): number | null {
  const change = p95BeforeMs === 0 ? null : changeOf(p95Ms, p95BeforeMs);
  return change !== null && Math.abs(change) < leastKnown ? 0 : change;
}

/** A third slower than before, and of enough calls. */
function slowedTone(row: ComparedRow): Tone {
  const isKnown = row.calls >= leastCalls && (row.callsBefore ?? 0) >= leastCalls;
  return isKnown && (p95Change(row) ?? 0) >= 1 / 3 ? 'warning' : 'muted';
}

/** More or fewer calls than in the window before, and whether they became slower. */
export function callsChangeColumn(priority: number): Column<ComparedRow> {
  return changeColumn({
    id: 'change',
    title: 'change',
    value: ({ calls, callsBefore }) => changeOf(calls, callsBefore),
    tone: ({ calls, callsBefore }) =>
      callsBefore !== null && isMany(calls, callsBefore) ? 'accent' : 'muted',
    priority,
  });
}

export function p95ChangeColumn(priority: number): Column<ComparedRow> {
  return changeColumn({
    id: 'slower',
    title: 'slower',
    value: p95Change,
    tone: slowedTone,
    priority,
  });
}

export const slowedSort: Sort<ComparedRow> = {
  id: 'slower',
  title: 'most slowed down',
  direction: 'desc',
  value: p95Change,
};

export const growthSort: Sort<ComparedRow> = {
  id: 'growth',
  title: 'fastest growing',
  direction: 'desc',
  value: ({ calls, callsBefore }) => (callsBefore === null ? null : calls - callsBefore),
};
