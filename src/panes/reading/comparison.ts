import type { Queryable } from '../../db/database.js';
import { groupKey } from './calls.js';
import { CallsReader, type CallGroup, type CallGroups, type CallsOptions } from './calls-reader.js';
import { isCountedAtOnce, serverNowIn } from './windows.js';
import type { ComparedFigures, Pair, Pane, ReadRequest } from '../contract/pane.js';
import { formatSpan } from '../../core/format/time.js';
import { formatChange, formatCount } from '../../core/format/number.js';
import {
  changeColumn,
  countColumn,
  durationColumn,
  moneyColumn,
  shareColumn,
  type Column,
  type Sort,
  type SummaryLine,
  type Tone,
} from '../contract/column.js';

/** The window before changes little: it is counted on this often. */
const countedEveryMs = 60_000;
export const longestComparedMs = 86_400_000;

/** What was counted in the window before the one that is shown, by group. */
export type CallsBefore = ReadonlyMap<string, CallGroup>;

/**
 * Counts the window before the one that is shown, for comparison. Its slices are kept as those of the other
 * are, but they are long and few: a minute costs the two that its ends cut, and those that are due.
 */
export class WindowBefore {
  readonly #calls: CallsReader;
  readonly #longestMs: number;
  #kept: { windowMs: number; endMs: number; counts: CallsBefore } | undefined;

  /** @param options.longestMs longer windows are not compared; default: a day */
  constructor({
    source,
    restless = false,
    longestMs = longestComparedMs,
  }: Pick<CallsOptions, 'source' | 'restless'> & { longestMs?: number }) {
    this.#calls = new CallsReader({ source, restless, long: true });
    this.#longestMs = longestMs;
  }

  /**
   * @param shown the window that is shown; it comes first
   * @returns `before`: null for windows that are too long, and as long as not all of it is counted; `share`:
   * how much of both windows is there
   */
  async read(
    tx: Queryable,
    request: ReadRequest,
    shown: Pick<CallGroups, 'endMs' | 'share' | 'fittingMs'>,
  ): Promise<{ before: CallsBefore | null; share: number }> {
    const { windowMs, exact } = request;
    if (windowMs > this.#longestMs) return { before: null, share: shown.share };
    if (shown.share < 1) return { before: null, share: shown.share / 2 };
    const kept = this.#kept?.windowMs === windowMs ? this.#kept : undefined;
    const isFresh = kept !== undefined && Math.abs(shown.endMs - kept.endMs) < countedEveryMs;
    const untilMs = shown.endMs - windowMs;
    const asking = { ...request, untilMs, fittingMs: shown.fittingMs };
    if (isFresh && !exact && !(await this.#calls.isOutdated(tx, asking)))
      return { before: kept.counts, share: 1 };
    const { groups, share } = await this.#calls.read(tx, asking);
    if (share < 1) return { before: null, share: (1 + share) / 2 };
    const counts = new Map(groups.map((group) => [groupKey(group.groups), group]));
    // What was counted briefly is not watched: the next reading counts it anew.
    if (!request.brief) this.#kept = { windowMs, endMs: shown.endMs, counts };
    return { before: counts, share: 1 };
  }

  /** Counts a window by `calls`, and the one before. Of windows that are counted at once, both are asked at once. */
  async readWith(
    calls: CallsReader,
    tx: Queryable,
    request: ReadRequest,
  ): Promise<{ found: CallGroups; before: CallsBefore | null; share: number }> {
    // Exact figures take long: one statement after the other.
    if (request.exact || !isCountedAtOnce(request)) {
      const found = await calls.read(tx, request);
      return { found, ...(await this.read(tx, request, found)) };
    }
    const endMs = request.untilMs ?? (await serverNowIn(tx));
    const [found, compared] = await Promise.all([
      calls.read(tx, request),
      this.read(tx, request, { endMs, share: 1 }),
    ]);
    return { found, ...compared };
  }

  reset(): void {
    this.#calls.reset();
    this.#kept = undefined;
  }
}

/** How many calls there were in all; null without a window before. */
export function callsIn(before: CallsBefore | null): number | null {
  return before && [...before.values()].reduce((sum, { calls }) => sum + calls, 0);
}

/** What a row says of the window before its own; null where that is not counted, or had no such calls. */
export type ComparedRow = {
  calls: number;
  p95Ms: number | null;
  callsBefore: number | null;
  failuresBefore: number | null;
  p95BeforeMs: number | null;
};

/** Clearly more than before: by a third at least, and by three. */
export function isMany(count: number, before: number): boolean {
  return count - before >= Math.max(3, before / 3);
}

/** The relative change: 0.4 is 40 % more; Infinity: there was none before. */
export function changeOf(now: number | null, before: number | null): number | null {
  if (now === null || before === null) return null;
  if (before === 0) return now === 0 ? 0 : Infinity;
  return (now - before) / before;
}

/** The figures of a group in the window before. */
export function beforeOf(
  before: CallsBefore | null,
  key: string,
): Pick<ComparedRow, 'callsBefore' | 'failuresBefore' | 'p95BeforeMs'> {
  const group = before?.get(key);
  return {
    callsBefore: before && (group?.calls ?? 0),
    failuresBefore: before && (group?.failures ?? 0),
    p95BeforeMs: group?.p95Ms ?? null,
  };
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

/** Changes below this may come from the error of the percentiles, which is 3.1 % in each window. */
const leastKnown = 0.065;
/** Fewer calls than these have no p95 worth a warning. */
const leastCalls = 5;

function p95Change({
  p95Ms,
  p95BeforeMs,
}: Pick<ComparedRow, 'p95Ms' | 'p95BeforeMs'>): number | null {
  const change = p95BeforeMs === 0 ? null : changeOf(p95Ms, p95BeforeMs);
  return change !== null && Math.abs(change) < leastKnown ? 0 : change;
}

/** A third slower than before, and of enough calls. */
function slowedTone(row: ComparedRow): Tone {
  const isKnown = row.calls >= leastCalls && (row.callsBefore ?? 0) >= leastCalls;
  return isKnown && (p95Change(row) ?? 0) >= 1 / 3 ? 'warning' : 'muted';
}

/** More or fewer calls than in the window before, and whether they became slower. */
export function callsChangeColumn(
  priority: number,
): Column<Pick<ComparedRow, 'calls' | 'callsBefore'>> {
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

export const growthSort: Sort<Pick<ComparedRow, 'calls' | 'callsBefore'>> = {
  id: 'growth',
  title: 'fastest growing',
  direction: 'desc',
  value: ({ calls, callsBefore }) => changeOf(calls, callsBefore),
};

/** What most panes of calls compare. */
export const callFigures = ['calls', 'failures', 'p95Ms'] as const;

export function comparedCalls(row: ComparedRow & { failures: number }): ComparedFigures {
  return {
    calls: { now: row.calls, before: row.callsBefore },
    failures: { now: row.failures, before: row.failuresBefore },
    p95Ms: { now: row.p95Ms, before: row.p95BeforeMs },
  };
}

/** What of the calls failed, 0..1; null without calls. */
function failing({ calls, failures }: ComparedFigures, when: keyof Pair): number | null {
  const [all, failed] = [calls?.[when], failures?.[when]];
  return typeof all === 'number' && all > 0 && typeof failed === 'number' ? failed / all : null;
}

function difference(now: number | null, before: number | null): number | null {
  return now === null || before === null ? null : now - before;
}

/** Percentiles of either window may be off; less is no change. */
function slowerBy({ p95Ms }: ComparedFigures): number | null {
  return p95Change({ p95Ms: p95Ms?.now ?? null, p95BeforeMs: p95Ms?.before ?? null });
}

type Of<Row> = (row: Row) => ComparedFigures;

const before = { title: 'before', tone: () => 'muted' as const };

/** Each figure, that of the window before, and what changed, for the columns of a pane. */
function comparedColumns<Row>(figure: keyof ComparedFigures, of: Of<Row>): readonly Column<Row>[] {
  const pair = (row: Row): Pair => of(row)[figure] ?? { now: null, before: null };
  const now = (row: Row) => pair(row).now;
  const then = (row: Row) => pair(row).before;
  const change = (row: Row) => changeOf(now(row), then(row));
  switch (figure) {
    case 'calls':
      return [
        countColumn({ id: 'calls', title: 'calls', value: now, priority: 2 }),
        countColumn({ id: 'callsBefore', ...before, value: then, priority: 3 }),
        changeColumn({ id: 'change', title: 'change', value: change, priority: 3 }),
      ];
    case 'failures':
      return [
        countColumn({
          id: 'failures',
          title: 'failed',
          value: now,
          tone: (row) => ((now(row) ?? 0) > 0 ? 'error' : 'muted'),
          priority: 2,
        }),
        countColumn({ id: 'failuresBefore', ...before, value: then, priority: 3 }),
        shareColumn({
          id: 'failing',
          title: 'failing',
          value: (row) => failing(of(row), 'now'),
          priority: 2,
        }),
        shareColumn({
          id: 'failingBefore',
          ...before,
          value: (row) => failing(of(row), 'before'),
          priority: 3,
        }),
        changeColumn({ id: 'worse', title: 'points', value: worseBy(of), priority: 2 }),
      ];
    case 'p95Ms':
      return [
        durationColumn({ id: 'p95Ms', title: 'p95', value: now, priority: 1 }),
        durationColumn({ id: 'p95BeforeMs', ...before, value: then, priority: 2 }),
        changeColumn({
          id: 'slower',
          title: 'slower',
          value: (row) => slowerBy(of(row)),
          tone: (row) => ((slowerBy(of(row)) ?? 0) >= 1 / 3 ? 'warning' : 'muted'),
          priority: 2,
        }),
      ];
    case 'share':
      return [
        shareColumn({ id: 'share', title: 'share', value: now, priority: 3 }),
        shareColumn({ id: 'shareBefore', ...before, value: then, priority: 4 }),
      ];
    case 'costUsd':
      return [
        moneyColumn({ id: 'costUsd', title: 'cost', value: now, priority: 1 }),
        moneyColumn({ id: 'costBeforeUsd', ...before, value: then, priority: 2 }),
        changeColumn({ id: 'dearer', title: 'dearer', value: change, priority: 2 }),
      ];
  }
}

/** How much more of the calls fails: 0.1 is ten points of a hundred. */
function worseBy<Row>(of: Of<Row>) {
  return (row: Row) => difference(failing(of(row), 'now'), failing(of(row), 'before'));
}

/** What got worse by most comes first, by what its column shows. */
function comparedSort<Row>(figure: keyof ComparedFigures, of: Of<Row>): Sort<Row> {
  const changed = (row: Row) =>
    changeOf(of(row)[figure]?.now ?? null, of(row)[figure]?.before ?? null);
  const declared = { direction: 'desc' as const };
  switch (figure) {
    case 'failures':
      return { ...declared, id: 'worse', title: 'failing more', value: worseBy(of) };
    case 'p95Ms':
      return {
        ...declared,
        id: 'slowed',
        title: 'most slowed down',
        value: (row) => slowerBy(of(row)),
      };
    case 'costUsd':
      return { ...declared, id: 'dearer', title: 'dearer than before', value: changed };
    case 'share':
      return {
        ...declared,
        id: 'share',
        title: 'largest share',
        value: (row) => of(row).share?.now ?? null,
      };
    case 'calls':
      return { ...declared, id: 'grown', title: 'grown most', value: changed };
  }
}

/** The most telling first. */
const tellingFirst = ['failures', 'p95Ms', 'costUsd', 'calls', 'share'] as const;

const made = new WeakMap<Pane, Pane>();

/**
 * A pane whose rows stand beside those of the window before: the columns that name a row, then each figure. Its orders
 * come behind the pane's own, so that a chosen order stays what it is.
 */
export function comparedPane(pane: Pane): Pane {
  const { comparison } = pane;
  if (!comparison) return pane;
  const known = made.get(pane);
  if (known) return known;
  const { names, figures } = comparison;
  const of: Of<object> = (row) => comparison.of(row);
  const compared: Pane = {
    ...pane,
    columns: [
      ...pane.columns.slice(0, names),
      ...figures.flatMap((figure) => comparedColumns(figure, of)),
    ],
    sorts: [
      ...pane.sorts,
      ...tellingFirst
        .filter((figure) => figures.includes(figure))
        .map((figure) => comparedSort(figure, of)),
    ],
  };
  made.set(pane, compared);
  return compared;
}
