import { emptyHistogram, percentileOf, type Histogram } from './duration-buckets.js';
import type { HookHistogramRow } from './statements/hook-histogram.js';

/** What was counted of one hook with one tool in one slice of time; the histogram as flat pairs. */
export type HookSlice = {
  key: string;
  hook: string;
  tool: string | null;
  calls: number;
  failures: number;
  inProgress: number;
  totalMs: number;
  maxMs: number | null;
  /** bucket, calls, bucket, calls, …: a day of minutes holds a hundred thousand of these. */
  pairs: Int32Array;
};

/** Key of a hook with a tool; a tool may be absent. */
export function hookKey(hook: string, tool: string | null): string {
  return JSON.stringify([hook, tool]);
}

export function hookSliceOf(row: HookHistogramRow): HookSlice {
  const buckets = row.buckets ?? [];
  const pairs = new Int32Array(buckets.length * 2);
  for (const [index, bucket] of buckets.entries()) {
    pairs[index * 2] = bucket;
    pairs[index * 2 + 1] = row.bucket_calls?.[index] ?? 0;
  }
  return {
    key: hookKey(row.hook, row.tool),
    hook: row.hook,
    tool: row.tool,
    calls: row.calls,
    failures: row.failures,
    inProgress: row.in_progress,
    totalMs: row.total_ms ?? 0,
    maxMs: row.max_ms,
    pairs,
  };
}

/** Sums of one hook with one tool over many slices. */
export class HookTotal {
  calls = 0;
  failures = 0;
  inProgress = 0;
  totalMs = 0;
  /** Calls that have a duration. */
  ended = 0;
  readonly histogram: Histogram = emptyHistogram();

  constructor(
    readonly hook: string,
    readonly tool: string | null,
  ) {}

  percentile(fraction: number): number | null {
    return percentileOf(this.histogram, this.ended, fraction);
  }

  /** @param sign 1 adds the slice, -1 takes it out again */
  apply(slice: HookSlice, sign: 1 | -1): void {
    this.calls += sign * slice.calls;
    this.failures += sign * slice.failures;
    this.inProgress += sign * slice.inProgress;
    this.totalMs += sign * slice.totalMs;
    for (let index = 0; index < slice.pairs.length; index += 2) {
      const bucket = slice.pairs[index] ?? 0;
      const count = sign * (slice.pairs[index + 1] ?? 0);
      this.ended += count;
      this.histogram[bucket] = (this.histogram[bucket] ?? 0) + count;
    }
  }
}

/** Sums by hook and tool that slices can be added to and taken out of. */
export class HookTotals {
  readonly byKey = new Map<string, HookTotal>();

  apply(slices: readonly HookSlice[], sign: 1 | -1): void {
    for (const slice of slices) {
      const total = this.byKey.get(slice.key) ?? new HookTotal(slice.hook, slice.tool);
      total.apply(slice, sign);
      if (total.calls === 0) this.byKey.delete(slice.key);
      else this.byKey.set(slice.key, total);
    }
  }

  /** What `read` makes of these sums with some slices added, which are taken out again. */
  with<Result>(slices: readonly HookSlice[], read: () => Result): Result {
    this.apply(slices, 1);
    const result = read();
    this.apply(slices, -1);
    return result;
  }
}
