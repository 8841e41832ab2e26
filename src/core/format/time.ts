export type TimeZone = 'local' | 'utc';

let zone: TimeZone = 'local';

/** In which zone every moment of this process is written from now on; at first in the reader's. */
export function showTimesIn(next: TimeZone): void {
  zone = next;
}

/** The clock time of a moment in the chosen time zone, `14:03:27`; NULL is `–`. */
export function formatClock(time: Date | null | undefined): string {
  return formatTimestamp(time).split(' ').at(-1) ?? '–';
}

/** Date and time in the chosen time zone, `2026-03-01 14:03:27`; NULL is `–`. */
export function formatTimestamp(time: Date | null | undefined): string {
  if (!time || Number.isNaN(time.getTime())) return '–';
  const minutes = zone === 'utc' ? 0 : time.getTimezoneOffset();
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
  return `${text.endsWith(':00') ? text.slice(0, -3) : text} ${zone === 'utc' ? 'UTC' : 'local'}`;
}

/** The zone in which moments are written, and read. */
export function shownZone(): TimeZone {
  return zone;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
