import type { Queryable } from '../../db/database.js';
import type { DailyWindow } from './policy.js';

const dayMs = 86_400_000;

/** Milliseconds until the window closes; 0 while it is closed. Times of day are milliseconds since midnight. */
export function openForMs(fromMs: number, toMs: number, nowMs: number): number {
  const length = (toMs - fromMs + dayMs) % dayMs;
  const since = (nowMs - fromMs + dayMs) % dayMs;
  return since < length ? length - since : 0;
}

/** By the server's clock, in the window's own time zone; Infinity without a window. */
export async function readOpenForMs(tx: Queryable, window: DailyWindow | null): Promise<number> {
  if (window === null) return Infinity;
  const { rows } = await tx.query<{ ms: number }>(
    `SELECT 1000 * date_part('epoch', (now() AT TIME ZONE $1)::time) AS ms`,
    [window.timeZone],
  );
  return openForMs(timeOfDayMs(window.from), timeOfDayMs(window.to), rows[0]?.ms ?? 0);
}

/** Comes when the person cancels, or the window closes: purging and pruning stop then as archiving does. */
export function untilClosed(signal: AbortSignal, openForMs: number): AbortSignal {
  if (!Number.isFinite(openForMs)) return signal;
  return AbortSignal.any([signal, AbortSignal.timeout(Math.round(openForMs))]);
}

/** `01:30` → 5,400,000 */
function timeOfDayMs(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return (hours * 60 + minutes) * 60_000;
}

/** `01:00 to 05:00 (UTC)` */
export function windowText({ from, to, timeZone }: DailyWindow): string {
  return `${from} to ${to} (${timeZone})`;
}
