import type { PaneSnapshot } from '../../live/state.js';
import { formatAge } from '../../shared/format/duration.js';

/** Rows this much older than the interval are not what the reader believes to see. */
const lateMs = 5_000;

/**
 * How old a pane's rows are, in words, where they are not fresh: it failed, is paused, lost its
 * connection, or the answer is overdue. Undefined while they are.
 */
export function ageOf(
  snapshot: PaneSnapshot,
  nowMs: number,
  state: { connected: boolean; paused: boolean },
): string | undefined {
  const { receivedAtMs, intervalMs, error } = snapshot;
  if (receivedAtMs === null) return undefined;
  const age = nowMs - receivedAtMs;
  if (age < 1_000) return undefined;
  const suspicious = error !== null || !state.connected || state.paused;
  return suspicious || age > intervalMs + lateMs ? `${formatAge(age)} ago` : undefined;
}
