import { emptyHistogram, percentileOf, type Histogram } from './duration-buckets.js';
import type { CallHistogramRow } from './statements/calls.js';

/** What was counted of one group in one slice of time; the histogram as flat pairs. */
export type CallSlice = {
  key: string;
  groups: readonly (string | null)[];
  calls: number;
  failures: number;
  inProgress: number;
  sums: readonly number[];
  /** When the newest began, milliseconds since 1970. */
  lastMs: number;
  totalMs: number;
  maxMs: number | null;
  /** bucket, calls, bucket, calls, …: a day of minutes holds a hundred thousand of these. */
  pairs: Int32Array;
};

/** Key of a group; its parts may be absent. */
export function groupKey(groups: readonly (string | null)[]): string {
  return JSON.stringify(groups);
}

export function callSliceOf(row: CallHistogramRow): CallSlice {
  const buckets = row.buckets ?? [];
  const pairs = new Int32Array(buckets.length * 2);
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
  readonly histogram: Histogram = emptyHistogram();

  constructor(readonly groups: readonly (string | null)[]) {}

  percentile(fraction: number): number | null {
    return percentileOf(this.histogram, this.ended, fraction);
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
      const total = this.byKey.get(slice.key) ?? new CallTotal(slice.groups);
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
