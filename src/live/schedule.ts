import type { Clock } from '../core/clock.js';
import { formatSpan, parseDuration } from '../core/format/time.js';

/** What `+` and `-` step through, milliseconds. */
export const cadencesMs: readonly number[] = [500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
export const defaultCadenceMs = 2_000;

/** A timer of Node takes 24 days at most, and who refreshes less often than once a day means something else. */
const fastestCadenceMs = 500;
const slowestCadenceMs = 86_400_000;

/** What may be given as a cadence, in words. */
export const cadenceRange = `${formatSpan(fastestCadenceMs)} to ${formatSpan(slowestCadenceMs)}, such as 3s or 1m`;

/** How often to refresh, as it was typed, in milliseconds; undefined for what is no time, or is out of {@link cadenceRange}. */
export function readCadence(text: string): number | undefined {
  const ms = parseDuration(text);
  return ms !== undefined && ms >= fastestCadenceMs && ms <= slowestCadenceMs ? ms : undefined;
}

/** The result of one run: what it cost the server, and whether there is more to fetch at once. */
export type RunResult = { costMs: number; again?: boolean };

export type Task = {
  id: string;
  /** The task's own shortest interval; the chosen cadence limits it, too. */
  minIntervalMs: number;
  /** Behind the others at the start, for whose first answers somebody waits. */
  startsLast?: boolean;
  /** Never called while an earlier call of this task runs. What it throws counts as no cost. */
  run(): Promise<RunResult>;
};

export type ScheduleOptions = {
  clock: Clock;
  cadenceMs: number;
  /** Tasks that run at the same time at most: a blocked one must not hold up all others. */
  concurrency: number;
  /** The share of one server core for all tasks together. */
  share?: number | undefined;
};

type Entry = Task & {
  visible: boolean;
  running: boolean;
  /** Asked for while it ran, or while there was no room. */
  wanted: boolean;
  /** When it last started; a start that was a little late counts as on time. */
  startedAt: number | undefined;
  /** Of the last few runs, in milliseconds. */
  costs: number[];
  /** How long the last run took, with the wait for its answer. */
  tookMs: number;
  intervalMs: number;
};

/**
 * Tasks start together, on beats this far apart at most: their answers come together, so that a round is
 * one frame and wakes the process once. Started each when it fell due, six panes cost three times the frames.
 */
const longestBeatMs = 2_000;

/** Between two runs of a task that has more to fetch. */
const pauseBetweenChunksMs = 20;

/** Runs whose cost is remembered. */
const costsKept = 5;
/** The first run finds cold caches: one measurement alone does not put a task off for a minute. */
const runsToTrust = 3;
const untrustedFactor = 4;

/**
 * What a run costs the server. Cost is measured as time, to which a busy machine only ever adds, so
 * that the least of the last few is the nearest: averages put panes off for a minute at load 7.
 */
function costOf(costs: readonly number[]): number {
  return costs.length === 0 ? 0 : Math.min(...costs);
}

/**
 * Decides when each task runs: at its cadence, never overlapping itself, only while it is visible, and
 * never so often that all together cost the server more than their share.
 */
export class Schedule {
  readonly #clock: Clock;
  readonly #concurrency: number;
  readonly #share: number;
  readonly #entries = new Map<string, Entry>();
  #cadenceMs: number;
  #paused = false;
  #suspended = true;
  /** When the beats began. */
  #beganAt = 0;
  #running = 0;
  #cancelTimer: (() => void) | undefined;
  #whenIdle: (() => void)[] = [];

  constructor({ clock, cadenceMs, concurrency, share = guestShare }: ScheduleOptions) {
    this.#clock = clock;
    this.#cadenceMs = cadenceMs;
    this.#concurrency = concurrency;
    this.#share = share;
  }

  add(task: Task, visible: boolean): void {
    this.#entries.set(task.id, {
      ...task,
      run: () => task.run(),
      visible,
      running: false,
      wanted: false,
      startedAt: undefined,
      costs: [],
      tookMs: 0,
      intervalMs: Math.max(task.minIntervalMs, this.#cadenceMs),
    });
    this.#fit();
  }

  /** Milliseconds from one start of a task to the next, as it is now: longer than planned where a run takes longer. */
  intervalOf(id: string): number | undefined {
    const entry = this.#entries.get(id);
    if (!entry) return undefined;
    return Math.max(entry.intervalMs, Math.ceil(entry.tookMs / this.#beatMs) * this.#beatMs);
  }

  /** Begins, or goes on after `suspend`: everything visible is due. */
  start(): void {
    this.#suspended = false;
    this.#beganAt = this.#clock.now();
    for (const entry of this.#entries.values()) entry.startedAt = undefined;
    this.#advance();
  }

  /** Starts nothing until `start`: while there is no connection. */
  suspend(): void {
    this.#suspended = true;
    this.#advance();
  }

  /** Ends for good; resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.suspend();
    this.#entries.clear();
    if (this.#running > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Its rows are of another window or moment: it is due as soon as it is visible. */
  setDue(id: string, minIntervalMs?: number): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.minIntervalMs = minIntervalMs ?? entry.minIntervalMs;
    entry.startedAt = undefined;
    // While paused also a hidden one: nothing else would read it later.
    if (entry.visible || this.#paused) entry.wanted = true;
    this.#fit();
    this.#advance();
  }

  /** While paused only `runNow` starts a task. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#advance();
  }

  setCadence(cadenceMs: number): void {
    this.#cadenceMs = cadenceMs;
    this.#fit();
    this.#advance();
  }

  setVisible(isVisible: (id: string) => boolean): void {
    for (const entry of this.#entries.values()) entry.visible = isVisible(entry.id);
    this.#fit();
    this.#advance();
  }

  /** Runs a task, or all visible ones, as soon as may be; one that is running runs once more. */
  runNow(id?: string): void {
    for (const entry of this.#entries.values()) {
      if (id === undefined ? entry.visible : entry.id === id) entry.wanted = true;
    }
    this.#advance();
  }

  /** Runs a task now, unless what it costs would be more than `share` of the time since its last start. */
  hurry(id: string, share: number): void {
    const entry = this.#entries.get(id);
    if (!entry || entry.running) return;
    const sinceMs = this.#clock.now() - (entry.startedAt ?? -Infinity);
    if (costOf(entry.costs) <= share * sinceMs) this.runNow(id);
  }

  #dueAt(entry: Entry): number {
    if (entry.running) return Infinity;
    if (entry.wanted) return -Infinity;
    if (this.#paused || !entry.visible) return Infinity;
    if (entry.startedAt === undefined) return entry.startsLast ? this.#beganAt : -Infinity;
    return this.#nextBeat(entry);
  }

  /** A whole number of them makes the cadence. */
  get #beatMs(): number {
    return this.#cadenceMs / Math.ceil(this.#cadenceMs / longestBeatMs);
  }

  /** The beat nearest to where an interval ends; intervals are whole numbers of beats. */
  #nextBeat({ startedAt = 0, intervalMs }: Entry): number {
    const beats = Math.round((startedAt + intervalMs - this.#beganAt) / this.#beatMs);
    return this.#beganAt + beats * this.#beatMs;
  }

  /** Starts what is due, and sets one timer for what comes next. */
  #advance(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#suspended) return;
    const waiting = [...this.#entries.values()]
      .map((entry) => ({ entry, dueAt: this.#dueAt(entry) }))
      .filter(({ dueAt }) => dueAt < Infinity)
      .sort((a, b) => a.dueAt - b.dueAt);
    for (const { entry, dueAt } of waiting) {
      // The end of a running task advances the schedule again.
      if (this.#running >= this.#concurrency) return;
      if (dueAt > this.#clock.now()) {
        this.#cancelTimer = this.#clock.after(dueAt - this.#clock.now(), () => this.#advance());
        return;
      }
      void this.#run(entry, dueAt);
    }
  }

  async #run(entry: Entry, dueAt: number): Promise<void> {
    entry.running = true;
    entry.wanted = false;
    const now = this.#clock.now();
    // A timer is always a little late: counted from when it fires, tasks would drift apart.
    entry.startedAt = now - dueAt < this.#beatMs / 2 ? dueAt : now;
    this.#running += 1;
    let result: RunResult | undefined;
    try {
      result = await entry.run();
    } catch {
      // The task reports its own failures; the schedule only goes on.
    }
    entry.running = false;
    entry.tookMs = this.#clock.now() - now;
    this.#running -= 1;
    if (result?.again) {
      this.#clock.after(pauseBetweenChunksMs, () => this.runNow(entry.id));
    } else if (result) {
      entry.costs = [...entry.costs, result.costMs].slice(-costsKept);
      this.#fit();
    }
    if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    this.#advance();
  }

  /** Spreads the share over the visible tasks. */
  #fit(): void {
    const visible = [...this.#entries.values()].filter((entry) => entry.visible);
    const intervals = fairIntervals(
      visible.map(({ costs, minIntervalMs }) => ({
        costMs: costOf(costs),
        minIntervalMs: Math.max(minIntervalMs, this.#cadenceMs),
      })),
      this.#share,
    );
    for (const [index, entry] of visible.entries()) {
      const wanted = Math.max(entry.minIntervalMs, this.#cadenceMs);
      const fair = intervals[index] ?? entry.intervalMs;
      const trusted =
        entry.costs.length < runsToTrust ? Math.min(fair, untrustedFactor * wanted) : fair;
      // Rounded, because a third of the cadence is no exact number: three beats must not become four.
      entry.intervalMs = Math.ceil(trusted / this.#beatMs - 1e-9) * this.#beatMs;
    }
  }
}

/** The share of one server core that the console may use for all its panes together. */
const guestShare = 0.02;

export type Load = { costMs: number; minIntervalMs: number };

/**
 * How often each pane may be asked, so that together they stay within `share` of one core: the
 * interval of each, in the order given. A pane that is cheap keeps its own interval; what is left of
 * the share is divided evenly among the expensive ones, which are asked less often.
 */
export function fairIntervals(loads: readonly Load[], share: number = guestShare): number[] {
  const intervals = loads.map(({ minIntervalMs }) => minIntervalMs);
  const byLoad = loads
    .map((load, index) => ({ ...load, index }))
    .sort((a, b) => a.costMs / a.minIntervalMs - b.costMs / b.minIntervalMs);
  let left = share;
  for (const [position, { costMs, minIntervalMs, index }] of byLoad.entries()) {
    const granted = left / (byLoad.length - position);
    const used = Math.min(costMs / minIntervalMs, granted);
    if (costMs / minIntervalMs > granted) intervals[index] = costMs / granted;
    left -= used;
  }
  return intervals;
}
