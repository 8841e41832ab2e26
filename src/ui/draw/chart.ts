import { formatSpan } from '../../shared/format/duration.js';
import { drawChart } from '../../panes/chart.js';
import type { Chart } from '../../panes/pane.js';
import { displayWidth } from '../../terminal/width.js';
import type { Theme } from '../theme.js';
import { drawSides } from './segments.js';

// eslint-disable-next-line no-control-regex
const sgr = /\x1b\[[\d;]*m/g;

/** Below this height a curve says nothing. */
export const leastChartHeight = 5;

/** A chart with its legend and its span of time, each line exactly `width` columns wide. */
export function drawChartLines(
  theme: Theme,
  chart: Chart,
  size: { width: number; height: number },
): string[] {
  const { width, height } = size;
  const buckets = Math.max(0, ...chart.curves.map(({ values }) => values.length));
  const legend = drawSides(
    theme,
    {
      left: [
        ...chart.curves.map(({ label, tone }) => ({ text: `─ ${label}`, look: tone })),
        { text: `per ${formatSpan(chart.bucketMs)}`, look: 'muted', priority: 2 },
      ],
      right: [{ text: `the last ${formatSpan((buckets - 1) * chart.bucketMs)}`, look: 'muted' }],
      first: 'left',
    },
    width,
  );
  const colours = chart.curves.map(({ tone }) => theme.start(tone));
  const drawn = drawChart(
    chart,
    { width, height: height - 1 },
    colours.includes('') ? undefined : colours,
  );
  return [...drawn.map((line) => padStyled(line, width)), legend].slice(0, height);
}

function padStyled(line: string, width: number): string {
  const shown = displayWidth(line.replace(sgr, ''));
  return line + ' '.repeat(Math.max(0, width - shown));
}
