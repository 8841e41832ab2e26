/**
 * Whether a moment lies in the window, as SQL: the parameters are its length in seconds and its end in seconds since
 * 1970, NULL for a window that goes on.
 */
export function within(at: string, length: string, end: string): string {
  const until = `to_timestamp(${end}::float8)`;
  return `${at} > COALESCE(${until}, now()) - ${length}::float8 * interval '1 second' AND ${at} < COALESCE(${until}, 'infinity')`;
}

/** The values of {@link within}. */
export function windowValues({
  windowMs,
  untilMs,
}: {
  windowMs: number;
  untilMs?: number | undefined;
}): [length: number, end: number | null] {
  return [windowMs / 1000, untilMs === undefined ? null : untilMs / 1000];
}
