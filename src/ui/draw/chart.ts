import { formatSpan } from '../../shared/format/duration.js';
import { drawChart, fitTo } from '../../panes/chart.js';
import type { Chart } from '../../panes/pane.js';
import { plainWidth } from '../../terminal/ink/widest-line.js';
import type { Theme } from '../theme.js';
import { drawSides } from './segments.js';

/** Below this height a curve says nothing. */
export const leastChartHeight = 5;

/** Columns of the scale on the left, as drawChart draws it. */
const scaleWidth = 8;

/** A chart with its legend and its span of time, each line exactly `width` columns wide. */
export function drawChartLines(
  theme: Theme,
  chart: Chart,
  size: { width: number; height: number },
): string[] {
  const { width, height } = size;
  const fitted = fillColumns(chart, Math.max(2, width - scaleWidth));
  const legend = drawSides(
    theme,
    {
      left: [
        ...chart.curves.map(({ label, tone }) => ({ text: `─ ${label}`, look: tone })),
        { text: `per ${formatSpan(fitted.bucketMs)}`, look: 'muted', priority: 2 },
      ],
      right: [{ text: `the last ${formatSpan(fitted.spanMs)}`, look: 'muted' }],
      first: 'left',
    },
    width,
  );
  const colours = chart.curves.map(({ tone }) => theme.start(tone));
  const drawn = drawChart(
    fitted.chart,
    { width, height: height - 1 },
    colours.includes('') ? undefined : colours,
  );
  const padded = drawn.map((line) => line + ' '.repeat(Math.max(0, width - plainWidth(line))));
  return [...padded, legend].slice(0, height);
}

/**
 * The curves made as wide as there is room: buckets added up where there are too many, drawn several
 * columns wide where there are few. The oldest bucket is left out: the window cuts it.
 */
function fillColumns(
  chart: Chart,
  columns: number,
): { chart: Chart; bucketMs: number; spanMs: number } {
  const count = Math.max(0, ...chart.curves.map(({ values }) => values.length - 1));
  const step = Math.max(1, Math.ceil(count / columns));
  const wide = Math.max(1, Math.floor(columns / Math.ceil(count / step)));
  const curves = chart.curves.map((curve) => ({
    ...curve,
    values: fitTo(curve.values.slice(1), columns).flatMap((value) =>
      Array.from({ length: wide }, () => value),
    ),
  }));
  return {
    chart: { ...chart, curves },
    bucketMs: chart.bucketMs * step,
    spanMs: chart.bucketMs * count,
  };
}
