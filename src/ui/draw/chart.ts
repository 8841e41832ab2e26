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

const plain = '\x1b[0m';
const bold = '\x1b[1m';

/** What has no colour is drawn with heavy signs: bold lines alone look like others in many fonts. */
const heavySigns: Readonly<Record<string, string>> = {
  ...{ '─': '━', '│': '┃', '╭': '┏', '╮': '┓', '╰': '┗', '╯': '┛', '┼': '╋', '┤': '┫' },
};

function withHeavySigns(line: string): string {
  // asciichart puts the colour before each sign of a curve.
  return line.replace(/(?<=\x1b\[1m)[─│╭╮╰╯┼┤]/g, (sign) => heavySigns[sign] ?? sign); // eslint-disable-line no-control-regex
}

/** A chart with its legend and its span of time, each line exactly `width` columns wide. */
export function drawChartLines(
  theme: Theme,
  chart: Chart,
  size: { width: number; height: number },
): string[] {
  const { width, height } = size;
  const fitted = fillColumns(chart, Math.max(2, width - scaleWidth));
  const colours = chart.curves.map(({ tone }) => theme.start(tone));
  const legend = drawSides(
    theme,
    {
      left: [
        ...chart.curves.map(({ label, tone }, curve) => ({
          text: `${colours[curve] === bold ? '━' : '─'} ${label}`,
          look: tone,
        })),
        { text: `per ${formatSpan(fitted.bucketMs)}`, look: 'muted', priority: 2 },
      ],
      right: [
        { text: `${chart.isPast ? '' : 'the last '}${formatSpan(fitted.spanMs)}`, look: 'muted' },
      ],
      first: 'left',
    },
    width,
  );
  const isPlain = colours.every((colour) => colour === '');
  // Of two curves one is plain at most: they must be told apart where they cross.
  const drawn = drawChart(
    fitted.chart,
    { width, height: height - 1 },
    isPlain ? undefined : colours.map((colour) => colour || plain),
  );
  const padded = drawn.map((line) => {
    const blanks = ' '.repeat(Math.max(0, width - plainWidth(line)));
    return withHeavySigns(line) + blanks;
  });
  return [...padded, legend].slice(0, height);
}

/**
 * The curves made as wide as there is room: buckets added up where there are too many, drawn several
 * columns wide where there are few. Only whole buckets: the window cuts the oldest, and the newest, still
 * open, would look as if all had just stopped; it is drawn as long as there is nothing else.
 */
function fillColumns(
  chart: Chart,
  columns: number,
): { chart: Chart; bucketMs: number; spanMs: number } {
  const whole = chart.curves.map(({ values }) => values.slice(1, -1));
  const isEmpty = whole.flat().every((value) => value === 0);
  const shown = isEmpty ? chart.curves.map(({ values }) => values.slice(1)) : whole;
  const count = Math.max(0, ...shown.map((values) => values.length));
  const step = Math.max(1, Math.ceil(count / columns));
  const curves = chart.curves.map((curve, index) => {
    const values = shown[index] ?? [];
    // The oldest ones that do not make a whole sum are left out as well.
    const fitted = fitTo(values.slice(values.length % step), columns);
    return {
      ...curve,
      values: Array.from(
        { length: columns },
        (_, column) => fitted[Math.floor((column * fitted.length) / columns)] ?? 0,
      ),
    };
  });
  return {
    chart: { ...chart, curves },
    bucketMs: chart.bucketMs * step,
    spanMs: chart.bucketMs * Math.max(0, ...chart.curves.map(({ values }) => values.length - 1)),
  };
}
