import { parseDuration } from './duration.js';
import { formatMoment, shownZone, type TimeZone } from './time.js';

/** A moment that was named: `undefined` is now. */
export type NamedMoment = { untilMs: number | undefined } | { error: string; hint: string };

const momentHint = 'Try 14:05, yesterday 14:05, 2026-11-24 14:05, 2h ago.';

const dayMs = 86_400_000;

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
  const clock = ['hour', 'minute', 'second'].map((part) => Number(groups[part] ?? 0));
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
  const [year = 0, month = 0, date = 0] = day.split('-').map(Number);
  const isThere = new Date(Date.UTC(year, month - 1, date)).getUTCDate() === date;
  return month <= 12 && isThere ? timeOn({ year, month, date }) : `There is no ${day}.`;
}

function clockText(words: string): string {
  return /\d{1,2}:\d{2}(?::\d{2})?/.exec(words)?.[0] ?? words;
}

/** The zone moments are shown in, or minutes east of UTC. */
type Zone = TimeZone | number;

function zoneOf(text: string | undefined): Zone {
  if (text === undefined) return shownZone();
  if (text === 'z' || text === 'utc') return 'utc';
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(text) ?? [];
  return (sign === '-' ? -1 : 1) * (60 * Number(hours) + Number(minutes));
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
  return dayOf(Date.UTC(year, month - 1, date) - dayMs, 'utc');
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
