import { withoutControls } from '../control-sequences.js';

export type Labels = Readonly<Record<string, string>>;

export type Sample = { labels: Labels; value: number };

/** Durations counted by their upper bounds; each bucket holds the smaller ones, too. */
export type HistogramSample = {
  labels: Labels;
  buckets: readonly number[];
  count: number;
  sum: number;
};

type Described = {
  /** With its unit at the end, as OpenMetrics wants it; without `_total`. */
  name: string;
  help: string;
  unit?: 'seconds' | 'bytes' | undefined;
};

export type Metric = Described &
  (
    | { type: 'gauge' | 'counter'; samples: readonly Sample[] }
    | { type: 'histogram'; bounds: readonly number[]; samples: readonly HistogramSample[] }
  );

/** What may stand in a label comes from prompts and tools: bounded (UTF-16 units), in one line. */
const longestLabel = 120;

export const labelText = (text: string): string =>
  withoutControls(text).slice(0, longestLabel).toWellFormed() || 'unknown';

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** The same for programs: families with their samples. */
export function metricsJson(metrics: readonly Metric[]): unknown[] {
  const cleaned = <Of extends { labels: Labels }>(samples: readonly Of[]) =>
    samples.map((sample) => ({
      ...sample,
      labels: Object.fromEntries(
        Object.entries(sample.labels).map(([name, value]) => [name, labelText(value)]),
      ),
    }));
  return metrics.map((metric) => ({
    ...metric,
    samples: cleaned<Sample | HistogramSample>(metric.samples),
  }));
}

function labelsText(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(labelText(value))}"`,
  );
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

/**
 * OpenMetrics 1.0; also what the textfile collector of the node exporter reads. Its content type is
 * {@link openMetricsType}.
 */
export function openMetricsText(metrics: readonly Metric[]): string {
  const lines: string[] = [];
  for (const metric of metrics) {
    const { name, help, unit, type } = metric;
    lines.push(`# TYPE ${name} ${type}`);
    if (unit !== undefined) lines.push(`# UNIT ${name} ${unit}`);
    lines.push(`# HELP ${name} ${escaped(help)}`);
    if (type !== 'histogram') {
      const suffix = type === 'counter' ? '_total' : '';
      for (const { labels, value } of metric.samples) {
        lines.push(`${name}${suffix}${labelsText(labels)} ${value}`);
      }
      continue;
    }
    for (const { labels, buckets, count, sum } of metric.samples) {
      for (const [index, bound] of metric.bounds.entries()) {
        const le = Number.isInteger(bound) ? `${bound}.0` : String(bound);
        lines.push(`${name}_bucket${labelsText({ ...labels, le })} ${buckets[index] ?? 0}`);
      }
      lines.push(`${name}_bucket${labelsText({ ...labels, le: '+Inf' })} ${count}`);
      lines.push(
        `${name}_count${labelsText(labels)} ${count}`,
        `${name}_sum${labelsText(labels)} ${sum}`,
      );
    }
  }
  return `${[...lines, '# EOF'].join('\n')}\n`;
}

export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/**
 * The same as a request of OTLP/JSON. The window moves on and so does its beginning, from which histograms count: two
 * requests overlap, and nobody may add them up (cumulative).
 */
export function otlpMetrics(
  metrics: readonly Metric[],
  { version, nowMs, windowMs }: { version: string; nowMs: number; windowMs: number },
): unknown {
  const timeUnixNano = `${Math.round(nowMs)}000000`;
  const startTimeUnixNano = `${Math.round(nowMs - windowMs)}000000`;
  const text = (key: string, value: string) => ({ key, value: { stringValue: labelText(value) } });
  const attributes = (labels: Labels) =>
    Object.entries(labels).map(([key, value]) => text(key, value));
  return {
    resourceMetrics: [
      {
        resource: { attributes: [text('service.name', 'trace-console')] },
        scopeMetrics: [
          {
            scope: { name: 'trace-console', version },
            metrics: metrics.map((metric) => ({
              name: metric.name,
              description: metric.help,
              unit: metric.unit === 'seconds' ? 's' : metric.unit === 'bytes' ? 'By' : '1',
              ...dataOf(metric, { timeUnixNano, startTimeUnixNano }, attributes),
            })),
          },
        ],
      },
    ],
  };
}

function dataOf(
  metric: Metric,
  times: { timeUnixNano: string; startTimeUnixNano: string },
  attributes: (labels: Labels) => unknown[],
): Record<string, unknown> {
  if (metric.type !== 'histogram') {
    const dataPoints = metric.samples.map(({ labels, value }) => ({
      attributes: attributes(labels),
      timeUnixNano: times.timeUnixNano,
      asDouble: value,
    }));
    return metric.type === 'gauge'
      ? { gauge: { dataPoints } }
      : { sum: { dataPoints, isMonotonic: true, aggregationTemporality: 2 } };
  }
  return {
    histogram: {
      aggregationTemporality: 2,
      dataPoints: metric.samples.map(({ labels, buckets, count, sum }) => ({
        attributes: attributes(labels),
        ...times,
        count: String(count),
        sum,
        explicitBounds: metric.bounds,
        bucketCounts: [...buckets, count].map((upTo, index) =>
          String(upTo - (index === 0 ? 0 : (buckets[index - 1] ?? 0))),
        ),
      })),
    },
  };
}
