import type { Clock } from './clock.js';
import { LiveSchedule } from './live-schedule.js';
import type { World } from './simulation/tree.js';
import type { Writer } from './writing/writer.js';

export type LiveOptions = {
  seed: number;
  start: number;
  rate: number;
  seconds: number;
  clock: Clock;
  signal: AbortSignal | undefined;
  onStep: (state: LiveState) => void;
};

export type LiveState = {
  traces: number;
  /** Traces in progress. */
  open: number;
  lagMs: number;
  longestLagMs: number;
  missed: number;
  cancelled: number;
};

/** How often rows are written: one transaction a step. */
const stepMs = 100;
/** A step that is behind covers no more than this, so that transactions stay small. */
const longestStepMs = 1_000;
/** Further behind than this, traces are left out rather than queued without end. */
const mostLagMs = 10_000;

/**
 * Open-loop traffic: the schedule goes on whether or not the server kept up, and rows carry its
 * times. What is late is made up for in larger steps, up to `mostLagMs`.
 *
 * Ends after `seconds` or by the signal; what is open then is cancelled, with all its rows written.
 */
export async function runLive(
  world: World,
  writer: Writer,
  options: LiveOptions,
): Promise<LiveState> {
  const { start, clock, signal } = options;
  const begun = clock.now();
  const end = start + Math.round(options.seconds * 1_000);
  const schedule = new LiveSchedule(world, options);
  const state = { traces: 0, open: 0, lagMs: 0, longestLagMs: 0, missed: 0, cancelled: 0 };
  const elapsed = () => start + (clock.now() - begun);

  for (let at = start; ;) {
    const now = Math.min(end, Math.max(at, elapsed()));
    state.longestLagMs = Math.max(state.longestLagMs, now - at - stepMs);
    if (now - at > mostLagMs) {
      at = now - mostLagMs;
      schedule.skipTo(at);
    }
    const until = Math.min(now, at + longestStepMs);
    const last = until >= end || signal?.aborted === true;
    schedule.runUntil(until);
    if (last) schedule.close(until);
    await writer.write(schedule.takeBatch(), 'live');

    state.traces = schedule.started;
    state.missed = schedule.missed;
    state.open = schedule.open;
    state.cancelled = schedule.cancelled;
    state.lagMs = Math.max(0, Math.min(end, elapsed()) - until);
    state.longestLagMs = Math.max(state.longestLagMs, state.lagMs);
    options.onStep(state);
    if (last) return state;
    at = until;
    const rest = Math.min(at + stepMs, end) - elapsed();
    if (rest > 0) await clock.sleep(rest, signal);
  }
}
