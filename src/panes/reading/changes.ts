import { wilson } from '../../core/share.js';
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
  /** Calls behind each of them. */
  callsBefore: number;
  callsAfter: number;
  /** Of `failing`: the difference lies between these, with 95 % confidence. */
  between?: readonly [number, number];
};

/** Fewer calls than these in a window say nothing of a rate or of a p95. */
const leastCalls = 20;
/** Less than a third more or less is no news. */
const leastChange = 1 / 3;

/** A change before it is known of which row; the heaviest come first. */
export type Change = Pick<ChangeRow, 'verdict' | 'figure' | 'before' | 'after' | 'between'> & {
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
    weight: Math.abs(ratio(after, before)) / 4,
  };
  if (Math.min(was.ended, is.ended) < leastCalls) return { ...figures, verdict: 'too few' };
  return { ...figures, verdict: change > 0 ? 'worse' : 'better' };
}

/** How many doublings; the same for twice as much as for half. */
function ratio(after: number | null, before: number | null): number {
  return Math.log2(Math.max(1e-6, after ?? 0) / Math.max(1e-6, before ?? 0));
}

/** More or fewer calls than chance makes of the same rate: three standard deviations. */
export function callsChange(
  was: Total,
  is: Total,
  more: 'worse' | 'better' | undefined,
): Change | undefined {
  const [before, after] = [was?.calls ?? 0, is?.calls ?? 0];
  const isChance = Math.abs(after - before) <= 3 * Math.sqrt(after + before);
  if (isChance || Math.abs(ratio(after, before)) < ratio(1 + leastChange, 1)) return undefined;
  const fewer = more === 'worse' ? 'better' : 'worse';
  const verdict = more === undefined ? 'changed' : after > before ? more : fewer;
  const weight = Math.min(4, Math.abs(ratio(after, Math.max(before, 1)))) / 4;
  return { figure: 'calls', before, after, weight, verdict };
}

export function costChange(was: Total, is: Total, index: number): Change | undefined {
  const [before, after] = [was?.sums[index] ?? 0, is?.sums[index] ?? 0];
  if (Math.max(before, after) < 0.01) return undefined;
  if (Math.abs(ratio(after, before)) < ratio(1 + leastChange, 1)) return undefined;
  const weight = Math.min(4, Math.abs(ratio(after, Math.max(before, 0.01)))) / 4;
  const verdict = after > before ? 'worse' : 'better';
  return { figure: 'cost', before, after, weight, verdict };
}
