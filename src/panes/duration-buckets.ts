/**
 * Log-linear buckets for durations in whole milliseconds: every value up to 31 has its own; from there
 * each doubling is divided into 16 equal parts. A bucket is at most 1/16 of its lower bound wide, and its
 * middle stands for its values: a percentile is wrong by 1/32, 3.1 %, at most (and by half a millisecond
 * from rounding). Durations up to 24 days have buckets; longer ones share the last.
 */
const partsOfDoubling = 16;
const largestMs = 2 ** 31;

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
