import { sleepOn, type Clock } from '../core/clock.js';
import { type World, Office } from './simulation/tree.js';
import type { Writer } from './writing/writer.js';
import { Random } from './random.js';
import { runPrompt } from './simulation/prompt.js';
import { Scheduler } from './simulation/scheduler.js';
import { Batch, OpenWork } from './writing/batch.js';

export type LiveOptions = {
  seed: number;
  start: number;
  /** The first so many milliseconds are written in no time: they are past. */
  leadMs: number;
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
  const { leadMs, clock, signal } = options;
  const begun = clock.wallNow();
  const start = options.start + leadMs;
  const end = start + Math.round(options.seconds * 1_000);
  const schedule = new LiveTraffic(world, options);
  const state = { traces: 0, open: 0, lagMs: 0, longestLagMs: 0, missed: 0, cancelled: 0 };
  const elapsed = () => start + (clock.wallNow() - begun);
  if (leadMs > 0) {
    schedule.runUntil(start);
    await writer.write(schedule.takeBatch(), 'live');
  }
  const led = schedule.started;

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

    state.traces = schedule.started - led;
    state.missed = schedule.missed;
    state.open = schedule.open;
    state.cancelled = schedule.cancelled;
    state.lagMs = Math.max(0, Math.min(end, elapsed()) - until);
    state.longestLagMs = Math.max(state.longestLagMs, state.lagMs);
    options.onStep(state);
    if (last) return state;
    at = until;
    const rest = Math.min(at + stepMs, end) - elapsed();
    if (rest > 0) await sleepOn(clock, rest, signal);
  }
}

/** Share of the turns that go to waiting delegations; the others start a new prompt. */
const delegationShare = 0.75;
const widestTree = 12;

/**
 * The traffic of a live run on its own clock. A turn to start a trace comes every 1/rate seconds
 * and goes to a delegation that waits or to a new prompt, so that every second starts as many traces.
 */
class LiveTraffic {
  readonly #world: World;
  readonly #options: { seed: number; start: number; rate: number };
  readonly #scheduler: Scheduler;
  readonly #office: Office;
  readonly #random: Random;
  readonly #open = new OpenWork();
  #batch = new Batch();
  #turn = 0;
  #missed = 0;
  #cancelled = 0;

  constructor(world: World, options: { seed: number; start: number; rate: number }) {
    const { seed, start, rate } = options;
    this.#world = world;
    this.#options = options;
    this.#scheduler = new Scheduler(start, { waitForTurns: true });
    // A person sends a prompt every few seconds at most: more traffic means more people.
    this.#office = new Office(seed, start, 6 + Math.ceil(2 * rate));
    this.#random = new Random('turns', seed, start);
  }

  get started(): number {
    return this.#turn - this.#missed;
  }

  /** Turns that were left out. */
  get missed(): number {
    return this.#missed;
  }

  get cancelled(): number {
    return this.#cancelled;
  }

  get open(): number {
    return this.#open.traces.size;
  }

  /** Everything up to this time happens. A turn at the very moment belongs to the next step. */
  runUntil(time: number): void {
    for (let at = this.#turnAt(); at < time; at = this.#turnAt()) {
      this.#scheduler.runUntil(at);
      this.#takeTurn();
    }
    this.#scheduler.runUntil(time);
    this.#open.follow(this.#batch);
  }

  /** Leaves out the turns before this time. */
  skipTo(time: number): void {
    const due = Math.ceil(((time - this.#options.start) * this.#options.rate) / 1_000);
    if (due <= this.#turn) return;
    this.#missed += due - this.#turn;
    this.#turn = due;
  }

  /** Cancels what is open. */
  close(time: number): void {
    this.#cancelled = this.#open.cancel(this.#batch, time);
  }

  /** What has happened since the last call. */
  takeBatch(): Batch {
    const batch = this.#batch;
    this.#batch = new Batch();
    return batch;
  }

  #turnAt(): number {
    // Whole milliseconds, as the durations of the tables.
    return this.#options.start + Math.floor((this.#turn * 1_000) / this.#options.rate);
  }

  #takeTurn(): void {
    const { seed, start } = this.#options;
    const turn = this.#turn;
    this.#turn += 1;
    const delegates = this.#random.chance(delegationShare);
    if (delegates && this.#scheduler.giveTurn()) return;
    const visit = this.#office.next(this.#scheduler.now);
    const process = runPrompt({
      world: this.#world,
      visit,
      // Rows of a later step must not go to the batch of an earlier one.
      recorder: {
        put: (table, row) => this.#batch.put(table, row),
        usage: (row) => this.#batch.usage(row),
        chain: (row) => this.#batch.chain(row),
        error: (row) => this.#batch.error(row),
      },
      clock: this.#scheduler,
      key: [seed, start, 'live', turn],
      mostTraces: widestTree,
    });
    this.#scheduler.spawn(process, true);
  }
}
