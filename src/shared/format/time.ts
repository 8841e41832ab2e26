/** The clock time of a moment in the reader's time zone, `14:03:27`; NULL is `–`. */
export function formatClock(time: Date | null | undefined): string {
  if (!time || Number.isNaN(time.getTime())) return '–';
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':');
}

/** Date and time in the reader's time zone, `2026-03-01 14:03:27`; NULL is `–`. */
export function formatTimestamp(time: Date | null | undefined): string {
  if (!time || Number.isNaN(time.getTime())) return '–';
  const date = [time.getFullYear(), twoDigits(time.getMonth() + 1), twoDigits(time.getDate())];
  return `${date.join('-')} ${formatClock(time)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
