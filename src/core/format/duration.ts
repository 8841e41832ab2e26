const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/**
 * A duration in milliseconds for people, at most 6 columns wide: `7ms`, `1.25s`, `12.3s`, `4m05s`,
 * `2h05m`, `3d04h`, `412d`. What cannot be measured (NULL, infinite) is `–`; more than 100,000 days, which a writer's slip
 * must be, is `>273y`.
 */
export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 999.5) return `${Math.round(ms)}ms`;
  if (ms < 9_995) return `${(ms / second).toFixed(2)}s`;
  if (ms < 59_950) return `${(ms / second).toFixed(1)}s`;
  if (ms < hour - second / 2) return pair(Math.round(ms / second), 60, 'm', 's');
  if (ms < day - minute / 2) return pair(Math.round(ms / minute), 60, 'h', 'm');
  if (ms < 100 * day - hour / 2) return pair(Math.round(ms / hour), 24, 'd', 'h');
  return ms < mostDays * day ? `${Math.round(ms / day)}d` : '>273y';
}

/** As many as have room in 6 columns. */
const mostDays = 99_999.5;

/** How long ago, in one unit and at most 4 columns: `now`, `12s`, `5m`, `3h`, `90d`. */
export function formatAge(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms < second) return 'now';
  if (ms < minute) return `${Math.floor(ms / second)}s`;
  if (ms < hour) return `${Math.floor(ms / minute)}m`;
  if (ms < day) return `${Math.floor(ms / hour)}h`;
  return `${Math.floor(ms / day)}d`;
}

function pair(total: number, base: number, large: string, small: string): string {
  const rest = String(total % base).padStart(2, '0');
  return `${Math.floor(total / base)}${large}${rest}${small}`;
}

/** The longest span that is read: what is longer is a slip, and would leave the range of a timestamp. */
const longest = 36_525 * day;

const units: readonly [names: readonly string[], ms: number][] = [
  [['ms', 'millisecond', 'milliseconds'], 1],
  [['s', 'sec', 'second', 'seconds'], second],
  [['m', 'min', 'minute', 'minutes'], minute],
  [['h', 'hour', 'hours'], hour],
  [['d', 'day', 'days'], day],
  [['w', 'week', 'weeks'], 7 * day],
];

const unitMs = new Map(units.flatMap(([names, ms]) => names.map((name) => [name, ms] as const)));

/** What is understood everywhere, as a hint after an error. */
export const spanHint = 'A number and a unit, 100 years at most: 30s, 15m, 1.5h, 90d, 2w.';

/**
 * Reads a span of time, in milliseconds: `500ms`, `90s`, `15m`, `1.5h`, `2d`, `2w`, `1 day`. The one
 * grammar of spans, for flags, the config file, the palette, the demo and stored ages. Undefined for anything else,
 * for zero, and for more than a hundred years.
 */
export function parseDuration(text: string): number | undefined {
  const [, count, name = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text.trim().toLowerCase()) ?? [];
  const rounded = Math.round(Number(count) * (unitMs.get(name) ?? NaN));
  return rounded > 0 && rounded <= longest ? rounded : undefined;
}

/** A span as PostgreSQL's `interval` reads it, in the largest unit without a fraction: `90 days`, `36 hours`. */
export function intervalText(ms: number): string {
  for (const [word, size] of [
    ['day', day],
    ['hour', hour],
    ['minute', minute],
    ['second', second],
  ] as const) {
    if (ms % size === 0) return `${ms / size} ${word}${ms === size ? '' : 's'}`;
  }
  return `${ms} milliseconds`;
}

/** A time span as a person would set it: `5m`, `1h`, `7d`; else as {@link formatDuration}. */
export function formatSpan(ms: number): string {
  for (const [unit, size] of [
    ['d', day],
    ['h', hour],
    ['m', minute],
    ['s', second],
  ] as const) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return formatDuration(ms);
}
