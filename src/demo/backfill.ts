import { Random } from './random.js';
import { Rhythm } from './rhythm.js';
import { Office, type Visit } from './simulation/office.js';
import { runPrompt } from './simulation/prompt.js';
import { Scheduler } from './simulation/scheduler.js';
import type { World } from './simulation/tree.js';
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
