import { Random } from './random.js';
import { Office, type Visit, type World } from './simulation/tree.js';
import { runPrompt } from './simulation/prompt.js';
import { Scheduler } from './simulation/scheduler.js';
import { Batch } from './writing/batch.js';
import type { Writer } from './writing/writer.js';

export type BackfillOptions = {
  seed: number;
  /** Nothing of history is later than this. */
  end: number;
  lengthMs: number;
  traces: number;
  signal: AbortSignal | undefined;
  onProgress: (traces: number) => void;
};

/** About half a second of writing; larger transactions hold more memory for no gain. */
const rowsPerTransaction = 10_000;
/** Usages wait in memory, so that a pattern's counters move once and not with each batch. */
const usagesPerTransaction = 20_000;
/** By these shares of the traces somebody's agent got stuck for good; others do by chance. */
const stuckAt = [0.35, 0.6, 0.8];
const stuckChance = 1 / 1_500;
const widestTree = 12;

/** Writes `traces` traces of history in the order of time; gives the number written. */
export async function backfill(
  world: World,
  writer: Writer,
  options: BackfillOptions,
): Promise<number> {
  const { seed, end, signal } = options;
  const rhythm = new Rhythm(end, options.lengthMs);
  const office = new Office(seed, end - options.lengthMs, 14);
  const random = new Random('backfill', seed, end);
  const learned = new Batch();
  let traces = 0;
  let stuckSoFar = 0;
  let batch = new Batch();
  let writing = Promise.resolve();

  for (let index = 0; traces < options.traces && !signal?.aborted; index += 1) {
    const share = (traces + random.next()) / options.traces;
    const startAt = rhythm.timeAt(share);
    const visit = office.next(startAt);
    const isDue = traces >= (stuckAt[stuckSoFar] ?? Infinity) * options.traces;
    if (isDue) stuckSoFar += 1;
    const stuck = random.chance(stuckChance) || isDue;
    const mostTraces = Math.min(widestTree, options.traces - traces);
    const key = [seed, end, 'history', index];
    const tree = { world, visit, key, mostTraces };
    const grown = stuck
      ? growTree(tree, startAt, (scheduler) => scheduler.runSteps(random.integer(2, 4)))
      : growBefore(end, tree, startAt);
    traces += grown.rows.execution_traces.size;
    batch.take(grown, learned);
    if (batch.size >= rowsPerTransaction) {
      // One batch is written while the next one is made.
      const full = batch;
      batch = new Batch();
      await writing;
      options.onProgress(traces);
      writing = writer.write(full, 'history');
      writing.catch(() => undefined);
      if (learned.usages.length >= usagesPerTransaction) {
        await writing;
        await writeLearned(learned, writer, end);
      }
    }
  }
  await writing;
  await writer.write(batch, 'history');
  await writeLearned(learned, writer, end);
  options.onProgress(traces);
  return traces;
}

type TreeOptions = {
  world: World;
  visit: Visit;
  key: readonly (string | number)[];
  mostTraces: number;
};

function growTree(tree: TreeOptions, startAt: number, run: (scheduler: Scheduler) => void): Batch {
  const clock = new Scheduler(startAt, { waitForTurns: false });
  const recorder = new Batch();
  clock.spawn(runPrompt({ ...tree, recorder, clock }));
  run(clock);
  return recorder;
}

/** History has no open ends: what would end too late starts so much earlier. */
function growBefore(end: number, tree: TreeOptions, startAt: number): Batch {
  for (let from = startAt; ;) {
    let endedAt = 0;
    const grown = growTree(tree, from, (scheduler) => {
      scheduler.runToEnd();
      endedAt = scheduler.now;
    });
    if (endedAt <= end) return grown;
    from -= endedAt - end;
  }
}

async function writeLearned(learned: Batch, writer: Writer, end: number): Promise<void> {
  for (const error of learned.errors.values()) {
    // What has not been seen for two days and has a remedy was resolved.
    const isOld = error.last_occurrence_at < end - 2 * 86_400_000;
    if (isOld && error.resolution_pattern !== null) {
      error.resolved_at = error.last_occurrence_at + 4 * 3_600_000;
    }
  }
  await writer.write(learned, 'history');
  learned.usages.length = 0;
  learned.chains.clear();
  learned.errors.clear();
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Work by hour of the day (UTC): two offices, a low night, never quite nothing. */
const byHour = [
  0.12, 0.08, 0.06, 0.06, 0.08, 0.14, 0.3, 0.6, 0.9, 1, 1, 0.92, 0.78, 0.9, 1, 1, 0.95, 0.85, 0.7,
  0.6, 0.5, 0.38, 0.28, 0.18,
];
/** Sunday first. */
const byWeekday = [0.16, 1, 1, 1, 1, 0.9, 0.2];

/**
 * Spreads traces over the time before `end`: a trace is the likelier the more recent it is (every
 * doubling of its age, beyond half an hour, holds about as many), times the rhythm of day and week.
 * A console that is opened right after a backfill has full panes, and there is something to archive.
 */
export class Rhythm {
  readonly #from: number;
  readonly #edges: number[] = [];
  readonly #cumulated: number[] = [];

  constructor(end: number, lengthMs: number) {
    this.#from = end - lengthMs;
    let total = 0;
    for (let until = this.#from; until < end;) {
      const from = until;
      const age = end - from;
      until = Math.min(end, from + (age > 2 * day ? hour : age > 2 * hour ? 10 * minute : minute));
      const middle = (from + until) / 2;
      total += ((until - from) / (end - middle + 0.5 * hour)) * activity(middle, end - middle);
      this.#edges.push(until);
      this.#cumulated.push(total);
    }
  }

  /** The time by which this share (0 to 1) of all traces has started. Rises with the share. */
  timeAt(share: number): number {
    const total = this.#cumulated.at(-1) ?? 0;
    const wanted = Math.min(1, Math.max(0, share)) * total;
    let low = 0;
    let high = this.#cumulated.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cumulated[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    const before = low === 0 ? 0 : (this.#cumulated[low - 1] ?? 0);
    const from = low === 0 ? this.#from : (this.#edges[low - 1] ?? this.#from);
    const until = this.#edges[low] ?? from;
    const weight = (this.#cumulated[low] ?? 0) - before;
    return Math.round(from + (weight > 0 ? (wanted - before) / weight : 0) * (until - from));
  }
}

/** The last hours are never quiet, whenever the demo is started. */
function activity(time: number, age: number): number {
  const date = new Date(time);
  const rhythm = (byHour[date.getUTCHours()] ?? 1) * (byWeekday[date.getUTCDay()] ?? 1);
  return age < 6 * hour ? Math.max(0.7, rhythm) : rhythm;
}
