import { isFailure } from './trace-status.js';

/** Traces of one status that started in the window. */
export type TraceStatusRow = { status: string; count: number; share: number };

export type SeriesPoint = {
  /** Where the bucket begins. */
  at: Date;
  /** Traces that started in the bucket. */
  started: number;
  /** Those of them that have failed or timed out by now. */
  failed: number;
};

/** Traces by status. */
export type TraceCounts = Map<string, number>;

/** Over all slices, the most frequent status first. */
export function totals(bySlice: ReadonlyMap<number, TraceCounts>): TraceStatusRow[] {
  const counts = new Map<string, number>();
  for (const slice of bySlice.values()) {
    for (const [status, count] of slice) counts.set(status, (counts.get(status) ?? 0) + count);
  }
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return [...counts]
    .map(([status, count]) => ({ status, count, share: count / all }))
    .sort((a, b) => b.count - a.count || a.status.localeCompare(b.status));
}

/** Buckets that begin at whole multiples of their size; rows from the future go into the last. */
export function seriesOf(
  bySlice: ReadonlyMap<number, TraceCounts>,
  span: { sliceMs: number; bucketMs: number; sinceMs: number; endMs: number },
): SeriesPoint[] {
  const { sliceMs, bucketMs, sinceMs, endMs } = span;
  const first = Math.floor(sinceMs / bucketMs);
  const last = Math.floor(endMs / bucketMs);
  const points = Array.from({ length: last - first + 1 }, (_, index) => ({
    at: new Date((first + index) * bucketMs),
    started: 0,
    failed: 0,
  }));
  for (const [slice, counts] of bySlice) {
    const bucket = Math.min(Math.floor((slice * sliceMs) / bucketMs), last);
    const point = points[bucket - first];
    if (!point) continue;
    for (const [status, count] of counts) {
      point.started += count;
      if (isFailure(status)) point.failed += count;
    }
  }
  return points;
}
