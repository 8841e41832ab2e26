import { formatBytes } from '../../core/format/bytes.js';
import { formatDuration, parseDuration } from '../../core/format/duration.js';
import { withSeparators } from '../../core/format/number.js';
import type { ArchivedTable } from '../../core/tables.js';
import { archivedTables } from '../../core/tables.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Action, ActionContext, Outcome, Progress } from '../action.js';
import {
  archivePreview,
  countDue,
  countTimeoutMs,
  batchSizes,
  nextSize,
  sizeAfterFailure,
  moveBatch,
  passLockedTrace,
  type Batch,
  type NextBatch,
} from './move-batch.js';
import { pauseUnlessAborted } from '../long-statement.js';
import { archiveBytes, Brakes } from './brakes.js';
import { noCounts } from './export-lines.js';

export type ArchiveInput = {
  /** An interval in PostgreSQL's words: `90 days`. */
  olderThan: string;
  /** Milliseconds between two batches; default 50. */
  pauseMs?: number;
  /** Milliseconds that one batch should take; default 200. */
  targetMs?: number;
  /** Stop after this many milliseconds; default: when nothing is due. */
  maxTimeMs?: number;
};

export type ArchiveResult = {
  /** Traces that started before this moment were due; frozen at the start. */
  cutoff: string;
  moved: Record<ArchivedTable, number>;
  /** Trees held back, by reason. */
  skipped: { tooYoung: number; inProgress: number; locked: number };
  /** Traces older than the cutoff that are still in the live table; null where counting them took too long. */
  remaining: number | null;
  /** By which the archive tables and their indexes have grown; null where one was locked. */
  bytes: number | null;
  milliseconds: number;
};

const defaults = { pauseMs: 50, targetMs: 200 };

/**
 * Moves old traces to the archive in batches that adapt to a time target, each a transaction of its
 * own. Whole trees move or stay (see archive_traces in 011). Killed or cancelled between two batches
 * nothing is half-done, and a rerun goes on.
 */
export const archiveTraces: Action<ArchiveInput, ArchiveResult> = {
  id: 'archive',
  title: 'Archive old traces',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'archive', whenTaken: 'follow' },
  subject: ({ olderThan }) => `older than ${olderThan}`,
  readInput,
  tables: () => archivedTables,
  offers: [
    {
      command: {
        id: 'archive-traces',
        key: 'a',
        title: 'archive traces older than 90 days, after a preview',
        bar: 'archive',
        priority: 7,
      },
      choose: () => ({ title: 'Archive old traces', input: { olderThan: '90 days' } }),
    },
  ],
  preview: ({ database }, { olderThan }) => archivePreview(database, olderThan),
  run,
};

function readInput(stored: unknown): ArchiveInput | undefined {
  const { olderThan, pauseMs, targetMs, maxTimeMs } = (stored ?? {}) as Record<string, unknown>;
  if (typeof olderThan !== 'string' || parseDuration(olderThan) === undefined) return undefined;
  const numbers = { pauseMs, targetMs, maxTimeMs };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  if (!given.every(([, value]) => typeof value === 'number' && value >= 0)) return undefined;
  return { olderThan, ...Object.fromEntries(given) };
}

async function* run(
  { database, signal }: ActionContext,
  input: ArchiveInput,
): AsyncGenerator<Progress, Outcome<ArchiveResult>> {
  const { olderThan, pauseMs = defaults.pauseMs, targetMs = defaults.targetMs } = input;
  const started = performance.now();
  const bytesBefore = await archiveBytes(database);
  const due = await countDue(database, olderThan);
  const brakes = new Brakes(database);
  const moved = noCounts();
  const stopped = () =>
    signal.aborted ||
    (input.maxTimeMs !== undefined && performance.now() - started > input.maxTimeMs);
  let skipped = noTrees();
  let size: number = batchSizes.first;
  let batch: Batch | undefined;
  const progress = () => progressOf(moved.execution_traces, due.traces, started);
  // What others had locked may be free at the end: it is gone through once more.
  for (let pass = 1; pass === 1 || (pass === 2 && skipped.locked > 0 && !stopped()); pass += 1) {
    skipped = noTrees();
    batch = undefined;
    yield progress();
    while (!batch?.done && !stopped()) {
      const next: NextBatch = { olderThan, asOf: due.asOf, size, after: batch };
      const tried = yield* moveNext(database, next, progress, stopped);
      if (!tried) break;
      batch = tried.batch;
      addTo(moved, batch.moved);
      addTo(skipped, batch.skipped);
      if (batch.done) break;
      const brake = await brakes.look(batch.waiting);
      size = nextSize(tried.size, batch.ms, targetMs, batch.waiting);
      // Before the pause, which may be long: who looks on hears of what was moved at once.
      yield brake ? { ...progress(), blockedBy: brake.reason } : progress();
      await pauseBetween(Math.max(pauseMs, brake?.pauseMs ?? 0), signal);
    }
  }
  const analyzed = moved.execution_traces === 0 || (await analyze(database));
  const { traces: remaining } = await countDue(database, olderThan, due.asOf);
  const bytesAfter = await archiveBytes(database);
  yield progress();
  const result: ArchiveResult = {
    cutoff: due.cutoff,
    moved,
    skipped,
    remaining,
    bytes: bytesBefore === undefined || bytesAfter === undefined ? null : bytesAfter - bytesBefore,
    milliseconds: Math.round(performance.now() - started),
  };
  const cancelled = signal.aborted && !batch?.done;
  return { summary: summaryOf(result, cancelled, analyzed), cancelled, result };
}

/**
 * The next batch. One that takes too long, or meets rows that somebody keeps locked, is tried again with
 * fewer traces; a single one that is locked is passed over, like a tree whose traces are.
 */
async function* moveNext(
  database: Database,
  next: NextBatch,
  progress: () => Progress,
  stopped: () => boolean,
): AsyncGenerator<Progress, { batch: Batch; size: number } | undefined> {
  for (let { size } = next; !stopped();) {
    try {
      return { batch: await moveBatch(database, { ...next, size }), size };
    } catch (error) {
      const smaller = sizeAfterFailure(size, error);
      const isLocked = error instanceof ConsoleError && error.code === 'lock_timeout';
      if (smaller === undefined && !isLocked) throw error;
      if (smaller === undefined) return { batch: await passLockedTrace(database, next), size };
      size = smaller;
      const reason = isLocked ? 'rows that another session has locked' : 'a batch of fewer traces';
      yield { ...progress(), blockedBy: reason };
    }
  }
  return undefined;
}

const noTrees = () => ({ tooYoung: 0, inProgress: 0, locked: 0 });

function addTo<Key extends string>(sums: Record<Key, number>, more: Record<Key, number>): void {
  for (const key in sums) sums[key] += more[key];
}

function progressOf(done: number, total: number | null, started: number): Progress {
  const seconds = (performance.now() - started) / 1000;
  const rate = seconds > 0 && done > 0 ? done / seconds : undefined;
  return {
    phase: 'moving traces',
    done,
    unit: 'traces',
    ...(total === null ? {} : { total: Math.max(total, done) }),
    ...(rate === undefined ? {} : { rate }),
    ...(rate === undefined || total === null
      ? {}
      : { secondsLeft: Math.max(0, total - done) / rate }),
  };
}

/**
 * The planner learns of the moved rows; a role that may not ANALYZE only gets a warning. False when it
 * could not be done: an autovacuum gives way only after a second, other maintenance does not at all.
 */
async function analyze(database: Database): Promise<boolean> {
  try {
    await database.transaction({ statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 }, (tx) =>
      tx.query(`ANALYZE ${archivedTables.join(', ')}`),
    );
    return true;
  } catch {
    return false;
  }
}

async function pauseBetween(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0 && !signal.aborted) await pauseUnlessAborted(ms, signal);
}

function summaryOf(result: ArchiveResult, cancelled: boolean, analyzed: boolean): string {
  const { moved, skipped, remaining, bytes, milliseconds } = result;
  const children = moved.agent_routing_decisions + moved.hook_executions + moved.endpoint_calls;
  const count = (value: number, one: string, many: string) =>
    `${withSeparators(value)} ${value === 1 ? one : many}`;
  const rows = moved.execution_traces + children;
  const rate = (1000 * rows) / Math.max(1, milliseconds);
  const held = [
    ...(skipped.tooYoung > 0 ? [`${withSeparators(skipped.tooYoung)} with a younger trace`] : []),
    ...(skipped.inProgress > 0 ? [`${withSeparators(skipped.inProgress)} in progress`] : []),
    ...(skipped.locked > 0 ? [`${withSeparators(skipped.locked)} locked by others`] : []),
  ];
  const trees = skipped.tooYoung + skipped.inProgress + skipped.locked;
  const parts = [
    `${cancelled ? 'Cancelled after' : 'Archived'} ${count(moved.execution_traces, 'trace', 'traces')} and ` +
      `${count(children, 'row that belongs', 'rows that belong')} to them`,
    ...(rows > 0
      ? [`${formatDuration(milliseconds)}, ${withSeparators(Math.round(rate))} rows/s`]
      : []),
    ...(bytes !== null && bytes > 0 ? [`${formatBytes(bytes)} more in the archive`] : []),
    ...(held.length > 0 ? [`${count(trees, 'tree', 'trees')} held back (${held.join(', ')})`] : []),
    ...(remaining === null
      ? [`what remains could not be counted in ${formatDuration(countTimeoutMs)}`]
      : remaining > 0
        ? [count(remaining, 'due trace remains', 'due traces remain')]
        : []),
    ...(analyzed ? [] : ['the statistics could not be updated: ANALYZE the tables later']),
  ];
  return `${parts.join('; ')}.`;
}
