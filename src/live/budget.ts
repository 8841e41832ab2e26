/** The share of one server core that the console may use for all its panes together. */
export const guestShare = 0.02;

export type Load = { costMs: number; minIntervalMs: number };

/**
 * How often each pane may be asked, so that together they stay within `share` of one core: the
 * interval of each, in the order given. A pane that is cheap keeps its own interval; what is left of
 * the share is divided evenly among the expensive ones, which are asked less often.
 */
export function fairIntervals(loads: readonly Load[], share: number = guestShare): number[] {
  const intervals = loads.map(({ minIntervalMs }) => minIntervalMs);
  const byLoad = loads
    .map((load, index) => ({ ...load, index }))
    .sort((a, b) => a.costMs / a.minIntervalMs - b.costMs / b.minIntervalMs);
  let left = share;
  for (const [position, { costMs, minIntervalMs, index }] of byLoad.entries()) {
    const granted = left / (byLoad.length - position);
    const used = Math.min(costMs / minIntervalMs, granted);
    if (costMs / minIntervalMs > granted) intervals[index] = costMs / granted;
    left -= used;
  }
  return intervals;
}
