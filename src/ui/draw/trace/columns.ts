import { columnGap } from '../columns.js';

/** Columns of a trace's rows; 0: not shown. They part from each other by `gap`. */
export type TraceColumns = {
  gap: number;
  name: number;
  text: number;
  bar: number;
  start: number;
  took: number;
  own: number;
  share: number;
};

const sign = 2;
const leastBar = 12;

/** Depends on the width only: nothing jumps while a trace runs. */
export function traceColumns(width: number): TraceColumns {
  const gap = columnGap(width);
  const columns: TraceColumns = {
    gap,
    name: Math.min(56, Math.max(20, Math.floor(width * 0.4))),
    text: width >= 150 ? Math.floor(width * 0.18) : 0,
    bar: 0,
    start: width >= 96 ? 7 : 0,
    took: 6,
    own: width >= 56 ? 6 : 0,
    share: width >= 96 ? 4 : 0,
  };
  const used = () => {
    const { name, text, start, took, own, share } = columns;
    const shown = [name, text, start, took, own, share].filter((column) => column > 0);
    return sign + shown.reduce((sum, column) => sum + column + gap, -gap);
  };
  const bar = width - used() - gap;
  if (bar >= leastBar) columns.bar = bar;
  else columns.name += Math.max(0, width - used());
  return columns;
}
