import { readNumber } from '../values.js';

/** Spans of time and moments, as text and read from it: the one grammar of flags, config file, console and demo. */

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

/** How long ago, in one unit and at most 4 columns: `now`, `12s`, `5m`, `3h`, `90d`, `2.9y`. */
export function formatAge(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms < second) return 'now';
  if (ms < minute) return `${Math.floor(ms / second)}s`;
  if (ms < hour) return `${Math.floor(ms / minute)}m`;
  if (ms < day) return `${Math.floor(ms / hour)}h`;
  if (ms < 1_000 * day) return `${Math.floor(ms / day)}d`;
  const years = ms / (365.25 * day);
  if (years < 10) return `${(Math.floor(years * 10) / 10).toFixed(1)}y`;
  return years < 1_000 ? `${Math.floor(years)}y` : '>99y';
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
  const rounded = Math.round(readNumber(count) * (unitMs.get(name) ?? NaN));
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

/** A time span as a person would set it: `90s`, `5m`, `1h`, `7d`; else as {@link formatDuration}. */
export function formatSpan(ms: number): string {
  for (const [unit, size] of [
    ['d', day],
    ['h', hour],
    ['m', minute],
    ['s', second],
  ] as const) {
    if (ms >= size && ms % size === 0 && (unit !== 's' || ms < 2 * minute)) {
      return `${ms / size}${unit}`;
    }
  }
  return formatDuration(ms);
}

export type TimeZone = 'local' | 'utc';

let shownZone: TimeZone = 'local';

/** In which zone every moment of this process is written from now on; at first in the reader's. */
export function showTimesIn(next: TimeZone): void {
  shownZone = next;
}

export function timesAreIn(): TimeZone {
  return shownZone;
}

/** The clock time of a moment in the chosen time zone, `14:03:27`; NULL is `–`. */
export function formatClock(time: Date | null | undefined): string {
  return formatTimestamp(time).split(' ').at(-1) ?? '–';
}

/** As {@link formatClock}, with the date where that is another than now's: `02-28 14:03:27`. */
export function formatClockNear(time: Date, nowMs: number): string {
  const text = formatTimestamp(time);
  const isToday = text.slice(0, 10) === formatTimestamp(new Date(nowMs)).slice(0, 10);
  return isToday ? formatClock(time) : text.slice(text.indexOf('-') + 1);
}

/** Date and time in the chosen time zone, `2026-03-01 14:03:27`; NULL is `–`. */
export function formatTimestamp(time: Date | null | undefined): string {
  if (!time || Number.isNaN(time.getTime())) return '–';
  const minutes = shownZone === 'utc' ? 0 : time.getTimezoneOffset();
  const shown = new Date(time.getTime() - minutes * 60_000);
  const date = [
    shown.getUTCFullYear(),
    twoDigits(shown.getUTCMonth() + 1),
    twoDigits(shown.getUTCDate()),
  ];
  const clock = [shown.getUTCHours(), shown.getUTCMinutes(), shown.getUTCSeconds()];
  return `${date.join('-')} ${clock.map(twoDigits).join(':')}`;
}

/** A moment that was chosen, with its zone, and seconds where they matter: `2026-03-01 14:03 UTC`, `… 14:03:27 local`. */
export function formatMoment(time: Date): string {
  const text = formatTimestamp(time);
  return `${text.endsWith(':00') ? text.slice(0, -3) : text} ${shownZone === 'utc' ? 'UTC' : 'local'}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** A moment that was named: `undefined` is now. */
export type NamedMoment = { untilMs: number | undefined } | { error: string; hint: string };

const momentHint = 'Try 14:05, yesterday 14:05, 2026-11-24 14:05, 2h ago.';

/**
 * Reads a moment in the past as a person names it: `14:05` (the last time it was that), `2026-11-24 14:05`,
 * `yesterday 14:05`, `2h ago`, `-2h`, `now`. Seconds may follow the minutes, `UTC`, `Z` or an offset (`+01:00`) the
 * time; without one it is in the zone in which moments are shown.
 *
 * @param nowMs the server's clock, milliseconds since 1970
 */
export function parseMoment(text: string, nowMs: number): NamedMoment {
  const words = text.trim().replace(/\s+/g, ' ').toLowerCase();
  if (words === 'now') return { untilMs: undefined };
  const ago = /^(?:-\s?(.+)|(.+) ago)$/.exec(words);
  const span = ago && parseDuration(ago[1] ?? ago[2] ?? '');
  if (span !== undefined && span !== null) return { untilMs: nowMs - span };
  const named = ago ? undefined : readNamed(words, nowMs);
  if (named === undefined) return { error: `"${text.trim()}" is no moment.`, hint: momentHint };
  if (typeof named === 'string') return { error: named, hint: momentHint };
  if (named > nowMs) {
    return { error: `${formatMoment(new Date(named))} is still to come.`, hint: momentHint };
  }
  return { untilMs: named };
}

const form =
  /^(?:(?<day>yesterday|today|\d{4}-\d{1,2}-\d{1,2})[ t])?(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2}))? ?(?<zone>z|utc|[+-]\d{2}:?\d{2})?$/;

/** A text says what is wrong; undefined: it has another form. */
function readNamed(words: string, nowMs: number): number | string | undefined {
  const groups = form.exec(words)?.groups;
  if (!groups) {
    return /^\d{4}-\d{1,2}-\d{1,2}$/.test(words) ? `${words} needs a time, too.` : undefined;
  }
  const clock = [groups.hour, groups.minute, groups.second].map((part) => readNumber(part ?? '0'));
  const [hour = 0, minute = 0, second = 0] = clock;
  if (hour > 23 || minute > 59 || second > 59) return `There is no ${clockText(words)}.`;
  const zone = zoneOf(groups.zone);
  const timeOn = (date: CalendarDay) => at(date, { hour, minute, second }, zone);
  const { day } = groups;
  const today = dayOf(nowMs, zone);
  if (day === undefined) {
    const latest = timeOn(today);
    return latest > nowMs ? timeOn(dayBefore(today)) : latest;
  }
  if (day === 'today') return timeOn(today);
  if (day === 'yesterday') return timeOn(dayBefore(today));
  const [year = 0, month = 0, date = 0] = day.split('-').map(readNumber);
  const isThere = new Date(Date.UTC(year, month - 1, date)).getUTCDate() === date;
  return month <= 12 && isThere ? timeOn({ year, month, date }) : `There is no ${day}.`;
}

function clockText(words: string): string {
  return /\d{1,2}:\d{2}(?::\d{2})?/.exec(words)?.[0] ?? words;
}

/** The zone moments are shown in, or minutes east of UTC. */
type Zone = TimeZone | number;

function zoneOf(text: string | undefined): Zone {
  if (text === undefined) return shownZone;
  if (text === 'z' || text === 'utc') return 'utc';
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(text) ?? [];
  return (sign === '-' ? -1 : 1) * (60 * readNumber(hours) + readNumber(minutes));
}

type CalendarDay = { year: number; month: number; date: number };
type Clock = { hour: number; minute: number; second: number };

function dayOf(ms: number, zone: Zone): CalendarDay {
  const local = new Date(ms);
  if (zone === 'local') {
    return { year: local.getFullYear(), month: local.getMonth() + 1, date: local.getDate() };
  }
  const shifted = new Date(ms + (zone === 'utc' ? 0 : zone) * 60_000);
  return {
    year: shifted.getUTCFullYear(),
    month: shifted.getUTCMonth() + 1,
    date: shifted.getUTCDate(),
  };
}

/** By the calendar: a day may have 23 hours. */
function dayBefore({ year, month, date }: CalendarDay): CalendarDay {
  return dayOf(Date.UTC(year, month - 1, date) - day, 'utc');
}

function at(
  { year, month, date }: CalendarDay,
  { hour, minute, second }: Clock,
  zone: Zone,
): number {
  if (zone === 'local') return new Date(year, month - 1, date, hour, minute, second).getTime();
  const offsetMs = zone === 'utc' ? 0 : zone * 60_000;
  return Date.UTC(year, month - 1, date, hour, minute, second) - offsetMs;
}
