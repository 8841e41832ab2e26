import { formatChange, formatCount, formatMoney, formatShare } from '../../core/format/number.js';
import { formatDuration } from '../../core/format/time.js';
import { wilson } from '../../core/share.js';
import { textColumn, type Column, type Tone } from '../contract/column.js';
import type { CallTotal } from './calls.js';
import { changeOf } from './comparison.js';

export type Verdict = 'worse' | 'better' | 'changed' | 'too few';

/** One figure of a row of a pane that is another after a moment than before it. */
export type ChangeRow = {
  verdict: Verdict;
  pane: string;
  row: string;
  figure: 'failing' | 'p95' | 'calls' | 'cost';
  /** 0..1, milliseconds, calls, US dollars; null: there was none. */
  before: number | null;
  after: number | null;
  /** Calls behind each of them: of p95 those that ended, of cost traces with a known price. */
  callsBefore: number;
  callsAfter: number;
  /** Of the `calls` of errors and statuses: all traces that there were. */
  tracesBefore?: number;
  tracesAfter?: number;
  /** Of `failing`: the difference lies between these, with 95 % confidence. */
  between?: readonly [number, number];
};

/** Fewer calls than these in a window say nothing of a rate, a p95 or a cost. */
export const leastCalls = 20;
/** Less than a third more or less is no news. */
const leastChange = 1 / 3;

/** A change without the name of its row. `weight` orders them, the heaviest first. */
export type Change = Pick<ChangeRow, 'verdict' | 'figure' | 'before' | 'after' | 'between'> & {
  /** Behind the figures. */
  calls: { before: number; after: number };
  weight: number;
};
type Total = CallTotal | undefined;

/** By how many points more fails, where that is no chance: Newcombe's interval of the difference of two shares. */
export function failingChange(was: Total, is: Total): Change | undefined {
  if (!was || !is || was.failures + is.failures === 0) return undefined;
  // Where all are failures there is no share of them.
  if (was.failures === was.calls && is.failures === is.calls) return undefined;
  const [before, after] = [was.failures / was.calls, is.failures / is.calls];
  const between = differenceBetween(was, is);
  const figures = {
    figure: 'failing' as const,
    before,
    after,
    between,
    calls: { before: was.calls, after: is.calls },
    weight: Math.abs(after - before),
  };
  const isCertain = between[0] > 0 || between[1] < 0;
  if (Math.min(was.calls, is.calls) < leastCalls) {
    return Math.abs(after - before) >= 0.1 ? { ...figures, verdict: 'too few' } : undefined;
  }
  if (!isCertain) return undefined;
  return { ...figures, verdict: after > before ? 'worse' : 'better' };
}

type Counted = { calls: number; failures: number };

/** Between which values the difference of two shares lies, with 95 % confidence (Newcombe 1998, method 10). */
function differenceBetween(was: Counted, is: Counted): [number, number] {
  const before = wilson(was.failures, was.calls);
  const after = wilson(is.failures, is.calls);
  const difference = after.rate - before.rate;
  return [
    difference - Math.hypot(after.rate - after.low, before.high - before.rate),
    difference + Math.hypot(after.high - after.rate, before.rate - before.low),
  ];
}

export function slowerChange(was: Total, is: Total): Change | undefined {
  const [before, after] = [was?.percentile(0.95) ?? null, is?.percentile(0.95) ?? null];
  const change = changeOf(after, before);
  if (!was || !is || change === null || Math.abs(ratio(after, before)) < ratio(1 + leastChange, 1))
    return undefined;
  const figures = {
    figure: 'p95' as const,
    before,
    after,
    calls: { before: was.ended, after: is.ended },
    weight: Math.abs(ratio(after, before)) / 4,
  };
  if (Math.min(was.ended, is.ended) < leastCalls) return { ...figures, verdict: 'too few' };
  return { ...figures, verdict: change > 0 ? 'worse' : 'better' };
}

/** How many doublings; the same for twice as much as for half. */
function ratio(after: number | null, before: number | null): number {
  return Math.log2(Math.max(1e-6, after ?? 0) / Math.max(1e-6, before ?? 0));
}

/** All traces of the two windows: what goes up and down with them is the traffic, neither worse nor better. */
export type Traffic = { before: number; after: number };

/**
 * More or fewer calls than chance makes of the same rate: three standard deviations. Where more is worse, it is only so
 * when there are also more of them beside all traces.
 */
export function callsChange(
  was: Total,
  is: Total,
  more: 'worse' | 'better' | undefined,
  traffic: Traffic = { before: 1, after: 1 },
): Change | undefined {
  const [before, after] = [was?.calls ?? 0, is?.calls ?? 0];
  const isMore = trend(before, after, { before: 1, after: 1 });
  if (isMore === 0) return undefined;
  const weight = Math.min(4, Math.abs(ratio(after, Math.max(before, 1)))) / 4;
  const calls = { before, after };
  const figures = { figure: 'calls' as const, before, after, calls, weight };
  if (Math.max(before, after) < leastCalls) return { ...figures, verdict: 'too few' };
  if (more === undefined) return { ...figures, verdict: 'changed' };
  const fewer = more === 'worse' ? 'better' : 'worse';
  const isTraffic = trend(before, after, traffic) !== isMore;
  return { ...figures, verdict: isTraffic ? 'changed' : isMore > 0 ? more : fewer };
}

/** 1: more than chance makes of the same rate of `traffic`, -1: fewer; 0: neither, or less than a third. */
function trend(before: number, after: number, traffic: Traffic): -1 | 0 | 1 {
  const share = traffic.after / (traffic.before + traffic.after);
  const all = before + after;
  const unexpected = after - all * share;
  if (!(Math.abs(unexpected) > 3 * Math.sqrt(all * share * (1 - share)))) return 0;
  const change = ratio(after / traffic.after, before / traffic.before);
  return Math.abs(change) < ratio(1 + leastChange, 1) ? 0 : change > 0 ? 1 : -1;
}

/** Worse or better is what one trace costs; where only their number is another, the sum has changed with it. */
export function costChange(
  was: Total,
  is: Total,
  { cost, traces }: { cost: number; traces: number },
): Change | undefined {
  const [before, after] = [was?.sums[cost] ?? 0, is?.sums[cost] ?? 0];
  const calls = { before: was?.sums[traces] ?? 0, after: is?.sums[traces] ?? 0 };
  if (Math.max(before, after) < 0.01) return undefined;
  const least = ratio(1 + leastChange, 1);
  const sum = ratio(after, before);
  const each = ratio(after / Math.max(1, calls.after), before / Math.max(1, calls.before));
  if (Math.max(Math.abs(sum), Math.abs(each)) < least) return undefined;
  const weight = Math.min(4, Math.abs(ratio(after, Math.max(before, 0.01)))) / 4;
  const figures = { figure: 'cost' as const, before, after, calls, weight };
  if (Math.min(calls.before, calls.after) < leastCalls) return { ...figures, verdict: 'too few' };
  const isOpposite = Math.abs(sum) >= least && sum * each < 0;
  if (Math.abs(each) < least || isOpposite) return { ...figures, verdict: 'changed' };
  return { ...figures, verdict: each > 0 ? 'worse' : 'better' };
}

const tones: Readonly<Record<Verdict, Tone>> = {
  worse: 'error',
  better: 'success',
  changed: 'accent',
  'too few': 'muted',
};

const writes: Readonly<Record<ChangeRow['figure'], (value: number | null) => string>> = {
  failing: formatShare,
  p95: formatDuration,
  calls: (value) => (value === null ? '–' : formatCount(value)),
  cost: formatMoney,
};

/** `+47 points`, `+300%` */
function changeText({ figure, before, after }: ChangeRow): string {
  if (figure !== 'failing') return formatChange(changeOf(after, before));
  const points = Math.round(100 * ((after ?? 0) - (before ?? 0)));
  return `${signed(points)} ${Math.abs(points) === 1 ? 'point' : 'points'}`;
}

const fromTo = (before: string, after: string) => `${before} → ${after}`;

/** Why the verdict is what it is, in words that fit beside it. */
function basisText(row: ChangeRow): string {
  const { verdict, figure, before, after, callsBefore, callsAfter, between } = row;
  if (verdict === 'too few') {
    return `fewer than ${leastCalls} ${figure === 'cost' ? 'traces' : 'calls'}`;
  }
  if (between) {
    const [low, high] = between.map((share) => signed(Math.round(100 * share)));
    return `95%: ${low} to ${high} points`;
  }
  if (figure === 'cost') {
    const [was, is] = [(before ?? 0) / callsBefore, (after ?? 0) / callsAfter].map(formatMoney);
    return `each ${fromTo(was ?? '', is ?? '')}`;
  }
  if (row.tracesBefore !== undefined && row.tracesAfter !== undefined) {
    return `traces ${fromTo(formatCount(row.tracesBefore), formatCount(row.tracesAfter))}`;
  }
  return figure === 'p95' ? 'each ±3.1%' : 'more than chance';
}

const signed = (points: number) => `${points > 0 ? '+' : ''}${points}`;

export const changeColumns: readonly Column<ChangeRow>[] = [
  textColumn({
    id: 'verdict',
    title: 'verdict',
    value: ({ verdict }) => verdict,
    tone: ({ verdict }) => tones[verdict],
    priority: 1,
    minWidth: 7,
    maxWidth: 7,
  }),
  textColumn({
    id: 'pane',
    title: 'pane',
    value: ({ pane }) => pane,
    tone: () => 'muted',
    priority: 3,
    minWidth: 10,
    maxWidth: 14,
  }),
  textColumn({
    id: 'row',
    title: 'row',
    value: ({ row }) => row,
    priority: 1,
    minWidth: 22,
    maxWidth: 160,
  }),
  textColumn({
    id: 'figure',
    title: 'figure',
    value: ({ figure }) => figure,
    priority: 1,
    minWidth: 7,
    maxWidth: 7,
  }),
  ...(['before', 'after'] as const).map((when): Column<ChangeRow> => ({
    ...textColumn<ChangeRow, string>({
      id: when,
      title: when,
      value: (row) => writes[row.figure](row[when]),
      priority: 2,
      minWidth: 6,
      maxWidth: 8,
      isWhole: true,
    }),
    align: 'right',
  })),
  textColumn({
    id: 'change',
    title: 'change',
    value: changeText,
    tone: ({ verdict }) => tones[verdict],
    priority: 1,
    minWidth: 10,
    maxWidth: 12,
    isWhole: true,
  }),
  textColumn({
    id: 'calls',
    title: 'calls',
    value: ({ callsBefore, callsAfter }) =>
      fromTo(formatCount(callsBefore), formatCount(callsAfter)),
    priority: 1,
    minWidth: 9,
    maxWidth: 15,
    isWhole: true,
  }),
  textColumn({
    id: 'basis',
    title: 'how sure',
    value: basisText,
    tone: () => 'muted',
    priority: 4,
    minWidth: 20,
    maxWidth: 40,
    isWhole: true,
  }),
];

/** A row for scripts: without what opens it. */
export function changeOfRow(row: ChangeRow): ChangeRow {
  const { verdict, pane, row: name, figure, before, after, callsBefore, callsAfter } = row;
  const { between, tracesBefore, tracesAfter } = row;
  return {
    ...{ verdict, pane, row: name, figure, before, after, callsBefore, callsAfter },
    ...(between ? { between } : {}),
    ...(tracesBefore !== undefined && tracesAfter !== undefined
      ? { tracesBefore, tracesAfter }
      : {}),
  };
}
