import { hasColumn, type SchemaShape } from '../contract/shape.js';
import { quoteIdent } from '../../db/quote.js';
import type { TimedTable } from './late-rows.js';

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
  /** Further numbers that are added up. */
  sums: readonly string[];
  /** The tables whose rows these are; where they come late is watched. */
  reads?: readonly TimedTable[];
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
 * float8 throughout: sums of bigint go by way of numeric. Names and histograms come as text, which stays one string a
 * row: the driver's arrays were a quarter of all that the overview allocated.)
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
    `array_to_json(ARRAY[${names.join(', ')}]::text[])::text AS groups`,
    'sum(calls) AS calls',
    'sum(failures) AS failures',
    'sum(in_progress) AS in_progress',
    ...(sums.length === 0
      ? []
      : [`ARRAY[${sums.map((_, index) => `sum(sum_${index})`).join(', ')}]::float8[] AS sums`]),
    'max(last_at) * 1000 AS last_ms',
    'max(last_failed_at) * 1000 AS last_failed_ms',
    ...(duration === undefined
      ? []
      : [
          'sum(total_ms) AS total_ms',
          'max(max_ms) AS max_ms',
          'array_agg(bucket) FILTER (WHERE bucket IS NOT NULL)::text AS buckets',
          'array_agg(calls) FILTER (WHERE bucket IS NOT NULL)::text AS bucket_calls',
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
  calls: number;
  failures: number;
  in_progress: number;
  last_ms: number;
  last_failed_ms: number | null;
};

export type CallHistogramRow = CallCountsRow & {
  slice: number;
  /** As JSON. */
  groups: string;
  sums?: (number | null)[];
  total_ms?: number | null;
  max_ms?: number | null;
  /** As PostgreSQL writes arrays: `{3,17}`. */
  buckets?: string | null;
  bucket_calls?: string | null;
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
  groups: (string | null)[];
  sums: (number | null)[];
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

/** The bounds as text for the statement, made once: the driver would format an array each time. */
export const bucketBoundsText = `{${bucketBounds.join(',')}}`;

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

/** A fixed array of 1.8 kB: percentiles are found by adding up its buckets, without sorting. */
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

/** Key of a group; its parts may be absent. */
export function groupKey(groups: readonly (string | null)[]): string {
  return JSON.stringify(groups);
}

/** A group by its names; one object for all slices that have it. */
export type CallGroupName = Readonly<{ key: string; groups: readonly (string | null)[] }>;

/** Where the figures of a group stand in a slice's array; its sums come behind. */
export const figureAt = {
  calls: 0,
  failures: 1,
  inProgress: 2,
  totalMs: 3,
  lastMs: 4,
  lastFailedMs: 5,
  maxMs: 6,
  pairs: 7,
  sums: 8,
} as const;

/** Stands for a missing moment or duration. It is a number because typed arrays hold numbers only. */
const none = -Infinity;
const noPairs = new Int32Array(0);

/**
 * All groups of one slice of time. A window and the one before it hold twenty thousand of them: as numbers in two
 * arrays a slice they take a fifth of what an object each took, and the garbage collector does not visit them.
 */
export class CallSlice {
  readonly names: readonly CallGroupName[];
  /** Numbers a group. */
  readonly width: number;
  readonly figures: Float64Array;
  /** The histograms, one behind the other: bucket, calls, bucket, calls, … */
  readonly pairs: Int32Array;

  /** @param nameOf the name that is known by the text of its groups */
  constructor(rows: readonly CallHistogramRow[], nameOf: (groups: string) => CallGroupName) {
    this.names = rows.map(({ groups }) => nameOf(groups));
    const [first] = rows;
    this.width = figureAt.sums + (first?.sums?.length ?? 0);
    this.figures = new Float64Array(rows.length * this.width);
    const buckets = rows.reduce((sum, row) => sum + numbersIn(row.buckets), 0);
    this.pairs = buckets === 0 ? noPairs : new Int32Array(2 * buckets);
    let at = 0;
    let pair = 0;
    for (const row of rows) {
      const count = 2 * numbersIn(row.buckets);
      putNumbers(row.buckets, this.pairs, pair);
      putNumbers(row.bucket_calls, this.pairs, pair + 1);
      pair += count;
      this.figures.set(figuresOf(row, count), at);
      at += this.width;
    }
  }

  /** Of all groups together. */
  sum(figure: 'calls' | 'inProgress'): number {
    let sum = 0;
    const { figures, width } = this;
    for (let at = figureAt[figure]; at < figures.length; at += width) sum += figures[at] ?? 0;
    return sum;
  }
}

function figuresOf(row: CallHistogramRow, pairs: number): number[] {
  return [
    row.calls,
    row.failures,
    row.in_progress,
    row.total_ms ?? 0,
    row.last_ms,
    row.last_failed_ms ?? none,
    row.max_ms ?? none,
    pairs,
    ...(row.sums ?? []).map((sum) => sum ?? 0),
  ];
}

const comma = 44;

function numbersIn(array: string | null | undefined): number {
  if (typeof array !== 'string') return 0;
  let count = 1;
  for (let index = 0; index < array.length; index += 1) {
    if (array.charCodeAt(index) === comma) count += 1;
  }
  return count;
}

/** Writes the whole numbers of an array's text to every other place. */
function putNumbers(array: string | null | undefined, target: Int32Array, from: number): void {
  if (typeof array !== 'string') return;
  let value = 0;
  let at = from;
  // Behind the opening brace; the closing one ends the last number as a comma ends the others.
  for (let index = 1; index < array.length; index += 1) {
    const digit = array.charCodeAt(index) - 48;
    if (digit >= 0 && digit <= 9) {
      value = 10 * value + digit;
    } else {
      target[at] = value;
      at += 2;
      value = 0;
    }
  }
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

  constructor(readonly name: CallGroupName) {}

  get groups(): readonly (string | null)[] {
    return this.name.groups;
  }

  /** Made when the first duration comes: of sessions there may be ten thousands, and they have none. */
  get histogram(): Histogram {
    return (this.#histogram ??= emptyHistogram());
  }

  percentile(fraction: number): number | null {
    return this.#histogram ? percentileOf(this.#histogram, this.ended, fraction) : null;
  }

  /**
   * @param at where the group's figures begin
   * @param pair where its histogram begins
   * @param sign 1 adds it, -1 takes it out again
   * @returns where the next histogram begins
   */
  apply({ figures, width, pairs }: CallSlice, at: number, pair: number, sign: 1 | -1): number {
    const figure = (index: number) => sign * (figures[at + index] ?? 0);
    this.calls += figure(figureAt.calls);
    this.failures += figure(figureAt.failures);
    this.inProgress += figure(figureAt.inProgress);
    this.totalMs += figure(figureAt.totalMs);
    for (let index = figureAt.sums; index < width; index += 1) {
      const place = index - figureAt.sums;
      this.sums[place] = (this.sums[place] ?? 0) + figure(index);
    }
    const end = pair + (figures[at + figureAt.pairs] ?? 0);
    for (let index = pair; index < end; index += 2) {
      const bucket = pairs[index] ?? 0;
      const count = sign * (pairs[index + 1] ?? 0);
      this.ended += count;
      this.histogram[bucket] = (this.histogram[bucket] ?? 0) + count;
    }
    return end;
  }
}
