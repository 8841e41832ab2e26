import { Random } from './random.js';
import { Rhythm } from './options.js';
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
  /** As many traces start in each minute of the last so many milliseconds. */
  steadyMs: number;
  /** Later than this it is there already. */
  before?: number | undefined;
  /** Rows of a transaction, about half a second of writing: others wait for it where the engine has one session. */
  rowsPerTransaction: number;
  signal: AbortSignal | undefined;
  onProgress: (progress: BackfillProgress) => void;
};

export type BackfillProgress = {
  traces: number;
  ofTraces: number;
  /** All that is later is written, milliseconds since 1970. */
  since: number;
};

/** Traces that are written together, the newest part of history first: a few, so that there is something to see at once. */
const firstPart = 60;
const mostParts = 24;
/** Transactions begin so small: whoever waits for the first rows reads between them. */
const firstTransaction = 250;
/** Usages wait in memory, so that a pattern's counters move once and not with each batch. */
const usagesPerTransaction = 20_000;
/** By these shares of the traces somebody's agent got stuck for good; others do by chance. */
const stuckAt = [0.35, 0.6, 0.8];
const stuckChance = 1 / 1_500;
const widestTree = 12;

/**
 * Writes `traces` traces of history, less what is there already: the newest part first, each part in the order of time.
 * Gives the number written.
 */
export async function backfill(
  world: World,
  writer: Writer,
  options: BackfillOptions,
): Promise<number> {
  const { end, lengthMs, steadyMs, before, onProgress, signal } = options;
  const rhythm = new Rhythm(end, lengthMs, steadyMs);
  const all = options.traces;
  const ofTraces = before === undefined ? all : Math.floor(rhythm.shareAt(before) * all);
  let traces = 0;
  let since = before ?? end;
  onProgress({ traces, ofTraces, since });
  let rowsPerTransaction = Math.min(firstTransaction, options.rowsPerTransaction);
  for (let until = ofTraces, size = firstPart; until > 0 && !signal?.aborted;) {
    const from = Math.max(0, until - size);
    const done = traces;
    traces += await writePart(world, writer, {
      ...{ options: { ...options, rowsPerTransaction }, rhythm, from, until },
      onTraces: (written) => onProgress({ traces: done + written, ofTraces, since }),
    });
    since = rhythm.timeAt(from / all);
    onProgress({ traces, ofTraces, since });
    until = from;
    rowsPerTransaction = Math.min(2 * rowsPerTransaction, options.rowsPerTransaction);
    size = Math.max(2 * size, Math.ceil(all / mostParts));
  }
  return traces;
}

type Part = {
  options: BackfillOptions;
  rhythm: Rhythm;
  /** Numbers of its traces, from the beginning of history. */
  from: number;
  until: number;
  onTraces: (written: number) => void;
};

async function writePart(
  world: World,
  writer: Writer,
  { options, rhythm, from, until, onTraces }: Part,
): Promise<number> {
  const { seed, end, rowsPerTransaction, signal } = options;
  const office = new Office(seed, rhythm.timeAt(from / options.traces), 14);
  const random = new Random('backfill', seed, end, from);
  const learned = new Batch();
  const due = stuckAt.map((share) => Math.floor(share * options.traces));
  let traces = from;
  let batch = new Batch();
  let writing = Promise.resolve();

  for (let index = from; traces < until && !signal?.aborted; index += 1) {
    const share = (traces + random.next()) / options.traces;
    const startAt = rhythm.timeAt(share);
    const visit = office.next(startAt);
    const isDue = due.some((at) => at >= from && at <= traces && at < until);
    if (isDue)
      due.splice(
        due.findIndex((at) => at >= from && at <= traces),
        1,
      );
    const stuck = random.chance(stuckChance) || isDue;
    const mostTraces = Math.min(widestTree, until - traces);
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
      onTraces(traces - from);
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
  return traces - from;
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
