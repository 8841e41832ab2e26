import { hasColumn, type SchemaShape } from '../shape.js';
import { quoteIdent } from '../../db/quote.js';

/** What is counted by group and time: hooks, endpoint calls, decisions, failures. SQL expressions of one row. */
export type CallSource = {
  /** Behind FROM, with its aliases. */
  from: string;
  /** When it began; there is an index by it. */
  at: string;
  /** What is grouped by; text or NULL. */
  groups: readonly string[];
  failed: string;
  inProgress: string;
  /** Milliseconds; absent where only counts are asked for. */
  duration?: string;
  /** Whatever else is added up: numbers. */
  sums: readonly string[];
};

/** A column of an aliased table, or NULL of its type where the database does not have it. */
export function columnOf(shape: SchemaShape, table: string, alias: string) {
  return (column: string, type: string) =>
    hasColumn(shape, table, column) ? `${alias}.${quoteIdent(column)}` : `NULL::${type}`;
}

/**
 * Calls by slice of time and group, in some ranges of time: counts, sums, the newest, sum and maximum of the
 * durations, and how many fell into which bucket. `$1`: slice in seconds, then two a range, `$2 <= at < $3` (seconds
 * since 1970; infinity is allowed), and last, where there are durations, the lower bounds of the buckets
 * in milliseconds.
 *
 * One branch a range, because only then the planner knows how little each holds. Of hooks it reads
 * idx_hook_executions_window, and the table for pages that vacuum has not seen yet. An hour with 400,000
 * hooks takes 109 ms this way and 302 ms with exact percentiles; its last 15 s take 1 ms. (int and
 * float8 throughout: sums of bigint go by way of numeric.)
 */
export function callHistogramStatement(source: CallSource, ranges: number): string {
  const { groups, sums, duration } = source;
  const bounds = `$${2 + 2 * ranges}::float8[]`;
  const branches = Array.from({ length: ranges }, (_, index) =>
    histogramOfRange(source, `$${2 + 2 * index}`, `$${3 + 2 * index}`, bounds),
  );
  const names = groups.map((_, index) => `group_${index}`);
  const columns = [
    'slice',
    `ARRAY[${names.join(', ')}]::text[] AS groups`,
    'sum(calls) AS calls',
    'sum(failures) AS failures',
    'sum(in_progress) AS in_progress',
    `ARRAY[${sums.map((_, index) => `sum(sum_${index})`).join(', ')}]::float8[] AS sums`,
    'max(last_at) * 1000 AS last_ms',
    ...(duration === undefined
      ? []
      : [
          'sum(total_ms) AS total_ms',
          'max(max_ms) AS max_ms',
          'array_agg(bucket) FILTER (WHERE bucket IS NOT NULL) AS buckets',
          'array_agg(calls) FILTER (WHERE bucket IS NOT NULL) AS bucket_calls',
        ]),
  ];
  return `
SELECT
  ${columns.join(',\n  ')}
FROM (${branches.join('\nUNION ALL\n')}) AS counted
GROUP BY ${['slice', ...names].join(', ')}`;
}

function histogramOfRange(source: CallSource, from: string, until: string, bounds: string): string {
  const { groups, at, failed, inProgress, duration, sums } = source;
  const keys = [
    `floor(date_part('epoch', ${at}) / $1::float8) AS slice`,
    ...groups.map((group, index) => `${group} AS group_${index}`),
    ...(duration === undefined ? [] : [`width_bucket(${duration}::float8, ${bounds}) AS bucket`]),
  ];
  const figures = [
    'count(*)::int AS calls',
    `count(*) FILTER (WHERE ${failed})::int AS failures`,
    `count(*) FILTER (WHERE ${inProgress})::int AS in_progress`,
    `max(date_part('epoch', ${at})) AS last_at`,
    ...sums.map((sum, index) => `sum((${sum})::float8) AS sum_${index}`),
    ...(duration === undefined
      ? []
      : [`sum(${duration}::float8) AS total_ms`, `max(${duration}) AS max_ms`]),
  ];
  return `
  SELECT
    ${[...keys, ...figures].join(',\n    ')}
  FROM ${source.from}
  WHERE ${at} >= to_timestamp(${from}::float8) AND ${at} < to_timestamp(${until}::float8)
  GROUP BY ${keys.map((_, index) => index + 1).join(', ')}`;
}

export type CallHistogramRow = {
  slice: number;
  groups: (string | null)[];
  calls: number;
  failures: number;
  in_progress: number;
  sums: (number | null)[];
  last_ms: number;
  total_ms?: number | null;
  max_ms?: number | null;
  buckets?: number[] | null;
  bucket_calls?: number[] | null;
};

/**
 * Calls of a window by group with exact percentiles. `$1`, `$2`: the window, `$1 < at < $2`, seconds since
 * 1970. Reads every row of the window and sorts the durations: 0.7 µs a hook, so it is asked on demand only.
 */
export function callPercentilesStatement(source: CallSource): string {
  const { groups, at, failed, inProgress, duration = 'NULL::bigint', sums } = source;
  return `
SELECT
  ARRAY[${groups.join(', ')}]::text[] AS groups,
  count(*) AS calls,
  count(*) FILTER (WHERE ${failed}) AS failures,
  count(*) FILTER (WHERE ${inProgress}) AS in_progress,
  ARRAY[${sums.map((sum) => `sum((${sum})::float8)`).join(', ')}]::float8[] AS sums,
  max(date_part('epoch', ${at})) * 1000 AS last_ms,
  sum(${duration})::float8 AS total_ms,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY ${duration}) AS p50_ms,
  percentile_disc(0.95) WITHIN GROUP (ORDER BY ${duration}) AS p95_ms,
  max(${duration}) AS max_ms
FROM ${source.from}
WHERE ${at} > to_timestamp($1::float8) AND ${at} < to_timestamp($2::float8)
GROUP BY ${groups.join(', ')}`;
}

export type CallPercentilesRow = {
  groups: (string | null)[];
  calls: number;
  failures: number;
  in_progress: number;
  sums: (number | null)[];
  last_ms: number;
  total_ms: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  max_ms: number | null;
};
