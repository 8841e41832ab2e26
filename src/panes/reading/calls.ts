import { hasColumn, type SchemaShape } from '../contract/shape.js';
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
    'max(last_failed_at) * 1000 AS last_failed_ms',
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
    `max(date_part('epoch', ${at})) FILTER (WHERE ${failed}) AS last_failed_at`,
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

/** What both statements count of a group. */
type CallCountsRow = {
  groups: (string | null)[];
  calls: number;
  failures: number;
  in_progress: number;
  sums: (number | null)[];
  last_ms: number;
  last_failed_ms: number | null;
};

export type CallHistogramRow = CallCountsRow & {
  slice: number;
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
  max(date_part('epoch', ${at})) FILTER (WHERE ${failed}) * 1000 AS last_failed_ms,
  sum(${duration})::float8 AS total_ms,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY ${duration}) AS p50_ms,
  percentile_disc(0.95) WITHIN GROUP (ORDER BY ${duration}) AS p95_ms,
  max(${duration}) AS max_ms
FROM ${source.from}
WHERE ${at} > to_timestamp($1::float8) AND ${at} < to_timestamp($2::float8)
GROUP BY ${groups.join(', ')}`;
}

export type CallPercentilesRow = CallCountsRow & {
  total_ms: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  max_ms: number | null;
};

/**
 * Log-linear buckets for durations in whole milliseconds: every value up to 31 has its own; from there
 * each doubling is divided into 16 equal parts. A bucket is at most 1/16 of its lower bound wide, and its
 * middle stands for its values: a percentile is wrong by 1/32, 3.1 %, at most (and by half a millisecond
 * from rounding). Every duration that a number can hold has a bucket, so that a slip of a writer stays as long as it is.
 */
const partsOfDoubling = 16;
const largestMs = 2 ** 53;

/** The lower bounds of the buckets, ascending: what SQL's width_bucket takes. */
export const bucketBounds: readonly number[] = makeBounds();

/** How far a percentile read from buckets can be from the exact one, as a share of it. */
export const bucketError = 1 / (2 * partsOfDoubling);

function makeBounds(): number[] {
  const bounds: number[] = [];
  for (let value = 0; value < 2 * partsOfDoubling; value += 1) bounds.push(value);
  for (let low = 2 * partsOfDoubling; low < largestMs; low *= 2) {
    for (let part = 0; part < partsOfDoubling; part += 1) {
      bounds.push(low + (part * low) / partsOfDoubling);
    }
  }
  return bounds;
}

/**
 * The duration that stands for a bucket, in milliseconds. Buckets are numbered as width_bucket does it:
 * 1 begins at the first bound, 0 holds what is below it.
 */
export function bucketMiddle(bucket: number): number {
  if (bucket < 1) return 0;
  const low = bucketBounds[bucket - 1] ?? largestMs;
  const next = bucketBounds[bucket] ?? low;
  return low + Math.floor(Math.max(0, next - low - 1) / 2);
}

/** How many values there are in each bucket, at the bucket's number. */
export type Histogram = Int32Array;

/** 1.8 kB: at each reading every bucket is counted up to the percentiles, which takes no sorting. */
export function emptyHistogram(): Histogram {
  return new Int32Array(bucketBounds.length + 1);
}

/**
 * The value at a rank, as percentile_disc(fraction) defines it: the smallest whose rank reaches the
 * fraction of all `count` values. Null without values.
 */
export function percentileOf(histogram: Histogram, count: number, fraction: number): number | null {
  const rank = Math.max(1, Math.ceil(fraction * count));
  let seen = 0;
  for (let bucket = 0; bucket < histogram.length; bucket += 1) {
    seen += histogram[bucket] ?? 0;
    if (seen >= rank) return bucketMiddle(bucket);
  }
  return null;
}

/** What is counted of one group. Durations in milliseconds, of calls that have ended. */
export type CallCounts = {
  groups: readonly (string | null)[];
  calls: number;
  failures: number;
  inProgress: number;
  /** Of the source's further expressions. */
  sums: readonly number[];
  /** When the newest began, milliseconds since 1970. */
  lastMs: number;
  /** When the newest that failed began; null: none did. */
  lastFailedMs: number | null;
  totalMs: number;
  maxMs: number | null;
};

/** One group in one slice of time; the histogram as flat pairs. */
export type CallSlice = CallCounts & {
  key: string;
  /** bucket, calls, bucket, calls, …: a day of minutes holds a hundred thousand of these. */
  pairs: Int32Array;
};

/** Key of a group; its parts may be absent. */
export function groupKey(groups: readonly (string | null)[]): string {
  return JSON.stringify(groups);
}

/** Shared: an array of its own would be most of what a slice without durations takes. */
const noPairs = new Int32Array(0);

export function callSliceOf(row: CallHistogramRow): CallSlice {
  const buckets = row.buckets ?? [];
  const pairs = buckets.length === 0 ? noPairs : new Int32Array(buckets.length * 2);
  for (const [index, bucket] of buckets.entries()) {
    pairs[index * 2] = bucket;
    pairs[index * 2 + 1] = row.bucket_calls?.[index] ?? 0;
  }
  return {
    key: groupKey(row.groups),
    groups: row.groups,
    calls: row.calls,
    failures: row.failures,
    inProgress: row.in_progress,
    sums: row.sums.map((sum) => sum ?? 0),
    lastMs: row.last_ms,
    lastFailedMs: row.last_failed_ms,
    totalMs: row.total_ms ?? 0,
    maxMs: row.max_ms ?? null,
    pairs,
  };
}

/** Sums of one group over many slices. */
export class CallTotal {
  calls = 0;
  failures = 0;
  inProgress = 0;
  totalMs = 0;
  sums: number[] = [];
  /** Calls that have a duration. */
  ended = 0;
  #histogram: Histogram | undefined;

  constructor(
    readonly groups: readonly (string | null)[],
    readonly key: string,
  ) {}

  /** Made when the first duration comes: of sessions there may be ten thousands, and they have none. */
  get histogram(): Histogram {
    return (this.#histogram ??= emptyHistogram());
  }

  percentile(fraction: number): number | null {
    return this.#histogram ? percentileOf(this.#histogram, this.ended, fraction) : null;
  }

  /** @param sign 1 adds the slice, -1 takes it out again */
  apply(slice: CallSlice, sign: 1 | -1): void {
    this.calls += sign * slice.calls;
    this.failures += sign * slice.failures;
    this.inProgress += sign * slice.inProgress;
    this.totalMs += sign * slice.totalMs;
    for (const [index, sum] of slice.sums.entries()) {
      this.sums[index] = (this.sums[index] ?? 0) + sign * sum;
    }
    for (let index = 0; index < slice.pairs.length; index += 2) {
      const bucket = slice.pairs[index] ?? 0;
      const count = sign * (slice.pairs[index + 1] ?? 0);
      this.ended += count;
      this.histogram[bucket] = (this.histogram[bucket] ?? 0) + count;
    }
  }
}

/** Sums by group that slices can be added to and taken out of. */
export class CallTotals {
  readonly byKey = new Map<string, CallTotal>();

  apply(slices: readonly CallSlice[], sign: 1 | -1): void {
    for (const slice of slices) {
      const total = this.byKey.get(slice.key) ?? new CallTotal(slice.groups, slice.key);
      total.apply(slice, sign);
      if (total.calls === 0) this.byKey.delete(slice.key);
      else this.byKey.set(slice.key, total);
    }
  }

  /** What `read` makes of these sums with some slices added, which are taken out again. */
  with<Result>(slices: readonly CallSlice[], read: () => Result): Result {
    this.apply(slices, 1);
    const result = read();
    this.apply(slices, -1);
    return result;
  }
}
