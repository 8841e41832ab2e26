import { formatSpan, parseDuration } from '../../core/format/time.js';
import { ConsoleError } from '../../db/errors.js';
import type { Queryable } from '../../db/queryable.js';
import type { ReadRequest } from '../contract/pane.js';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** The windows that `w` steps through. */
export const windowsMs: readonly number[] = [
  5 * minute,
  15 * minute,
  hour,
  6 * hour,
  day,
  7 * day,
  30 * day,
];

export const defaultWindowMs = hour;

/** The limits of a window. With a shorter one, slices would be shorter than a second and hold no figures. */
const shortestWindowMs = 10 * second;
const longestWindowMs = 366 * day;

/** What may be given as a window, in words. */
export const windowRange = `${formatSpan(shortestWindowMs)} to ${formatSpan(longestWindowMs)}, such as 15m, 2h or 3d`;

/** The length of a window as it was typed, in milliseconds; undefined for what is none, or is out of {@link windowRange}. */
export function readWindow(text: string): number | undefined {
  const ms = parseDuration(text);
  return ms !== undefined && ms >= shortestWindowMs && ms <= longestWindowMs ? ms : undefined;
}

/** A trace that is in progress for longer counts as stuck, unless another limit is given. */
export const defaultStuckAfterMs = 30 * minute;

const bucketSizes = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * second),
  ...[1, 2, 5, 10, 15, 20, 30].map((n) => n * minute),
  ...[1, 2, 3, 6, 12].map((n) => n * hour),
  ...[1, 2, 7, 14, 28, 91, 364].map((n) => n * day),
];

/** Size of the buckets of a series over a window: as many as fit a chart, 90 at most. */
export function bucketMsFor(windowMs: number): number {
  return bucketSizes.find((size) => windowMs / size <= 90) ?? windowMs / 90;
}

const sliceSizes = [15 * second, minute, 5 * minute, 10 * minute, hour, day];
const mostSlices = 1_500;

/**
 * Size of the slices in which counts of a window are kept by the console; a bucket is made of whole slices.
 * Small, because the slice that the window's far edge cuts is asked anew each time, and so is the youngest;
 * not smaller, because each slice has its own histograms: 15 s for an hour, 1 min for a day.
 */
export function sliceMsFor(windowMs: number): number {
  const bucketMs = bucketMsFor(windowMs);
  const fitting = sliceSizes.find(
    (size) => size <= bucketMs && bucketMs % size === 0 && windowMs / size <= mostSlices,
  );
  return fitting ?? bucketMs;
}

/** Whether a first, brief reading counts its window in one statement: of so short a one the parts take longer than the rows. */
export function isCountedAtOnce({ brief = false, windowMs }: ReadRequest): boolean {
  return brief && windowMs <= 3_600_000;
}

/** How many slices make a long one: four of those are a window, for what is counted once or seldom. */
export function longSliceOf(windowMs: number): number {
  return Math.max(1, Math.round(windowMs / 4 / sliceMsFor(windowMs)));
}

/**
 * Whether a moment lies in the window, as SQL: the parameters are its length in seconds and its end in seconds since
 * 1970, NULL for a window that goes on.
 */
export function within(at: string, length: string, end: string): string {
  const until = `to_timestamp(${end}::float8)`;
  return `${at} > COALESCE(${until}, now()) - ${length}::float8 * interval '1 second' AND ${at} < COALESCE(${until}, 'infinity')`;
}

/** The server's clock at the start of the transaction, in milliseconds since 1970. */
export const serverNowStatement = `SELECT date_part('epoch', now()) * 1000 AS now_ms`;

export type ServerNowRow = { now_ms: number };

const startedMs = new WeakMap<Queryable, number>();

/** The same in an open transaction, which is asked once: it is the same for all of its statements. */
export async function serverNowIn(tx: Queryable): Promise<number> {
  const known = (await tx.startedMs) ?? startedMs.get(tx);
  if (known !== undefined) return known;
  const { rows } = await tx.query<ServerNowRow>(serverNowStatement);
  const nowMs = rows[0]?.now_ms ?? Date.now();
  startedMs.set(tx, nowMs);
  return nowMs;
}

/** What was locked between the look at the locks and the measuring is passed over the second time. */
export async function askTwice<Result>(read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ConsoleError && error.code === 'lock_timeout') return read();
    throw error;
  }
}
