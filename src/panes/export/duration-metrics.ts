import type { HistogramSample, Metric, Sample } from '../../core/format/open-metrics.js';
import type { Database } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { hasColumn, type SchemaShape } from '../contract/shape.js';

export type MetricsRequest = {
  /** What is counted by tool, hook, service and model began within this (ms). */
  windowMs: number;
  /** This user's spool; undefined: nothing of it. */
  spool?: string | undefined;
};

export type MetricsContext = MetricsRequest & { database: Database; shape: SchemaShape };

export const limits = {
  statementTimeoutMs: 10_000,
  lockTimeoutMs: 1_000,
  purpose: 'metrics',
} as const;

/** Of tools, hooks, services and models so many are named; the others are one. */
export const namedLabels = 20;
export const otherLabel = 'other';

/** Upper bounds (seconds). */
const bounds = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200];

export function gauge(
  name: string,
  help: string,
  samples: Sample[],
  unit?: Metric['unit'],
): Metric {
  return { name, help, type: 'gauge', samples, unit };
}

type DurationFamily = {
  name: string;
  what: string;
  table: 'execution_traces' | 'hook_executions' | 'endpoint_calls';
  label: string;
  column: string;
  failed: string;
  only?: { column: string; condition: string };
};

const failedStatus = `status IN ('failed', 'timeout')`;

export const durationFamilies: readonly DurationFamily[] = [
  {
    name: 'trace_console_trace',
    what: 'Traces that began within the window',
    table: 'execution_traces',
    label: 'source',
    column: 'source',
    failed: failedStatus,
  },

  {
    name: 'trace_console_hook',
    what: 'Hooks that began within the window',
    table: 'hook_executions',
    label: 'hook',
    column: 'hook_name',
    failed: failedStatus,
    only: { column: 'hook_type', condition: `hook_type IS DISTINCT FROM 'ToolUse'` },
  },

  {
    name: 'trace_console_tool',
    what: 'Calls of tools that began within the window',
    table: 'hook_executions',
    label: 'tool',
    column: 'tool_name',
    failed: failedStatus,
    only: { column: 'hook_type', condition: `hook_type = 'ToolUse'` },
  },

  {
    name: 'trace_console_endpoint_call',
    what: 'Calls of endpoints that began within the window',
    table: 'endpoint_calls',
    label: 'service',
    column: 'service_name',
    failed: 'status_code >= 400 OR (status_code IS NULL AND error_type IS NOT NULL)',
  },
];

export async function durations(
  { database, shape, windowMs }: MetricsContext,
  of: DurationFamily,
): Promise<Metric[]> {
  const needed = ['started_at', 'duration_ms', of.column];
  if (!needed.every((column) => hasColumn(shape, of.table, column))) return [];
  const only = of.only && hasColumn(shape, of.table, of.only.column) ? of.only.condition : 'true';
  const rows = await database.read<{
    label: string;
    bucket: number;
    count: number;
    sum: number | null;
    failed: number;
  }>(
    `WITH d AS MATERIALIZED (
       SELECT left(COALESCE(${quoteIdent(of.column)}, 'unknown'), 120) AS label,
         duration_ms::float8 / 1000 AS seconds, COALESCE(${of.failed}, false) AS failed
       FROM ${quoteIdent(of.table)}
       WHERE started_at >= now() - $1::float8 * interval '1 ms' AND started_at <= now() AND ${only}),
     named AS (SELECT label FROM d GROUP BY label ORDER BY count(*) DESC, label LIMIT ${namedLabels})
     SELECT COALESCE(named.label, $3) AS label, width_bucket(seconds - 1e-9, $2::float8[]) AS bucket,
       count(seconds)::float8 AS count, sum(seconds) AS sum, count(*) FILTER (WHERE failed)::float8 AS failed
     FROM d LEFT JOIN named USING (label) GROUP BY 1, 2`,
    [windowMs, bounds, otherLabel],
    limits,
  );
  const samples = new Map<
    string,
    { label: string; buckets: number[]; count: number; sum: number; failed: number }
  >();
  for (const { label, bucket, count, sum, failed } of rows) {
    const sample = samples.get(label) ?? {
      label,
      buckets: bounds.map(() => 0),
      count: 0,
      sum: 0,
      failed: 0,
    };
    // Each bucket holds the smaller ones, too.
    for (let index = bucket; index < bounds.length; index += 1) {
      sample.buckets[index] = (sample.buckets[index] ?? 0) + count;
    }
    sample.count += count;
    sample.sum += sum ?? 0;
    sample.failed += failed;
    samples.set(label, sample);
  }
  const sorted = [...samples.values()].toSorted((a, b) => b.count - a.count);
  const histogram: HistogramSample[] = sorted.map(({ label, buckets, count, sum }) => ({
    labels: { [of.label]: label },
    buckets,
    count,
    sum,
  }));
  return [
    {
      name: `${of.name}_duration_seconds`,
      help: `${of.what}: how long they took.`,
      unit: 'seconds',
      type: 'histogram',
      bounds,
      samples: histogram,
    },
    gauge(
      `${of.name}_failures`,
      `${of.what} and failed.`,
      sorted.map(({ label, failed }) => ({ labels: { [of.label]: label }, value: failed })),
    ),
  ];
}
