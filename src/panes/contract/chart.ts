import asciichart, { type PlotConfig } from 'asciichart';
import { formatCount } from '../../core/format/number.js';
import type { Chart } from './pane.js';

/** Columns that the scale takes on the left of a drawn chart. */
const scaleWidth = 8;

/**
 * Draws a chart's curves together as asciichart does, `height` lines high and at most `width` columns
 * wide. Buckets are added up where there are more than columns. `colour` paints a curve's characters
 * (asciichart puts its colour codes around each); absent, the chart has no escape sequences.
 */
export function drawChart(
  chart: Chart,
  size: { width: number; height: number },
  colours?: readonly string[],
): string[] {
  const columns = Math.max(2, size.width - scaleWidth);
  const curves = chart.curves.map(({ values }) => fitTo(values, columns));
  const longest = Math.max(...curves.map((values) => values.length), 0);
  if (longest === 0) return [];
  const { format = 'count' } = chart;
  // Whole counts need a scale up to one at least, money one up to a cent.
  const highest = Math.max(format === 'count' ? 1 : 0.01, ...curves.flat());
  const height = Math.max(1, size.height - 1);
  const config: PlotConfig = {
    height,
    min: 0,
    max: highest,
    format: (value: number) =>
      format === 'money'
        ? moneyLabel(value, highest / height)
        : scaleLabel(value, highest / height),
    ...(colours ? { colors: [...colours] } : {}),
  };
  // One value alone makes no line; drawn twice it is a short level one.
  const drawn = asciichart.plot(
    curves.map((values) => (values.length === 1 ? [values[0] ?? 0, values[0] ?? 0] : values)),
    config,
  );
  return drawn.split('\n').map((line) => line.trimEnd());
}

/** Whole counts, each at the one line that is nearest to it: of two lines that are as near the upper. */
function scaleLabel(value: number, perLine: number): string {
  const count = Math.round(value);
  const off = value - count;
  const isNearest = off > -perLine / 2 + tolerance && off <= perLine / 2 + tolerance;
  return (isNearest ? formatCount(count) : '').padStart(scaleWidth - 2);
}

/** Lines are computed from the lowest up: half of a line is rarely just that. */
const tolerance = 1e-9;

/** Round sums of dollars, each at the line that is nearest to it. */
function moneyLabel(value: number, perLine: number): string {
  const power = 10 ** Math.floor(Math.log10(2 * perLine));
  const step = [1, 2, 5].map((times) => times * power).find((each) => each >= 2 * perLine);
  const unit = step ?? 10 * power;
  const round = Math.round(value / unit) * unit;
  const off = value - round;
  const isNearest = off > -perLine / 2 + tolerance && off <= perLine / 2 + tolerance;
  const digits = unit >= 1 ? 0 : Math.max(2, -Math.floor(Math.log10(unit)));
  const exact = `$${round.toFixed(digits)}`;
  const text = exact.length <= scaleWidth - 2 ? exact : `$${formatCount(round)}`;
  return (isNearest ? text : '').padStart(scaleWidth - 2);
}

/** At most `columns` values: neighbours are added up, so that the area stays what was counted. */
export function fitTo(values: readonly number[], columns: number): number[] {
  if (values.length <= columns) return [...values];
  const step = Math.ceil(values.length / columns);
  const fitted: number[] = [];
  // From the new end, so that only the oldest group can be a smaller one.
  for (let end = values.length; end > 0; end -= step) {
    const group = values.slice(Math.max(0, end - step), end);
    fitted.unshift(group.reduce((sum, value) => sum + value, 0));
  }
  return fitted;
}
