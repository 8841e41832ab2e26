import { formatSpan } from '../../core/format/time.js';
import { drawChart, fitTo } from '../../panes/contract/chart.js';
import type { Chart } from '../../panes/contract/pane.js';
import { drawSides, fillLine, type Span, type StyledLine } from './styled-line.js';

/** Below this height a curve says nothing. */
export const leastChartHeight = 5;

/** Columns of the scale on the left, as drawChart draws it. */
const scaleWidth = 8;

/**
 * asciichart puts the colour of a curve before each of its characters, and a reset behind it. It gets a private character
 * as the colour, which says to which curve a character belongs.
 */
const firstTag = 0xe000;
const taggedSign = /([\ue000-\uf8ff])([^])\x1b\[0m/; // eslint-disable-line no-control-regex

/** A chart with its legend and its span of time, each line exactly `width` columns wide. */
export function drawChartLines(
  chart: Chart,
  size: { width: number; height: number },
): StyledLine[] {
  const { width, height } = size;
  const fitted = fillColumns(chart, Math.max(2, width - scaleWidth));
  const legend = drawSides(
    {
      left: [
        ...chart.curves.map(({ label, tone }) => ({
          text: `─ ${label}`,
          look: `curve-${tone}` as const,
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
  const drawn = drawChart(
    fitted.chart,
    { width, height: height - 1 },
    chart.curves.map((_, curve) => String.fromCharCode(firstTag + curve)),
  );
  const lines = drawn.map((line) => fillLine(spansOf(line, chart), width));
  return [...lines, legend].slice(0, height);
}

/** A line of tagged signs as spans, those of one curve side by side in one. */
function spansOf(line: string, chart: Chart): StyledLine {
  const spans: Span[] = [];
  const add = (text: string, look: Span['look']) => {
    const last = spans.at(-1);
    if (text === '') return;
    if (last && last.look === look) spans[spans.length - 1] = { text: last.text + text, look };
    else spans.push({ text, look });
  };
  const parts = line.split(taggedSign);
  for (let at = 0; at < parts.length; at += 3) {
    add(parts[at] ?? '', undefined);
    const curve = chart.curves[(parts[at + 1]?.charCodeAt(0) ?? 0) - firstTag];
    add(parts[at + 2] ?? '', curve && `curve-${curve.tone}`);
  }
  return spans;
}

/**
 * Fits the curves to the width: too many buckets are added up, few are drawn several columns wide. The oldest bucket is left
 * out, and of buckets of the clock the newest: they are incomplete, and would look like a sudden drop. The newest is drawn
 * only while there is nothing else.
 */
function fillColumns(
  chart: Chart,
  columns: number,
): { chart: Chart; bucketMs: number; spanMs: number } {
  const { isWhole = false } = chart;
  const whole = chart.curves.map(({ values }) => values.slice(1, isWhole ? undefined : -1));
  const isEmpty = whole.flat().every((value) => value === 0);
  const shown = isEmpty ? chart.curves.map(({ values }) => values.slice(1)) : whole;
  const count = Math.max(0, ...shown.map((values) => values.length));
  const step = Math.max(1, Math.ceil(count / columns));
  const curves = chart.curves.map((curve, index) => {
    const values = shown[index] ?? [];
    // The oldest buckets that do not fill a whole sum are left out, too.
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
    spanMs:
      chart.bucketMs *
      Math.max(0, ...chart.curves.map(({ values }) => values.length - (isWhole ? 0 : 1))),
  };
}
