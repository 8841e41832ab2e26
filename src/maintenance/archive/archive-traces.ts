import type { ArchivedTable } from '../../shared/tables.js';
import { archivedTables } from '../../shared/tables.js';
import type { Action, ActionContext, Outcome, Progress } from '../action.js';
import { archivePreview, countDue } from './due-traces.js';
import { pauseUnlessAborted } from '../pause.js';
import { moveBatch, type Batch } from './move-batch.js';

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
  /** Traces older than the cutoff that are still in the live table. */
  remaining: number;
};

const defaults = { pauseMs: 50, targetMs: 200 };

/**
 * A batch's share of the whole is unknown before its first run: 1,000 traces take about 0.1 s. The
 * best rate was measured at 5,000; larger batches hold locks longer for little gain.
 */
const batchSizes = { first: 1_000, lowest: 100, highest: 5_000 };

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
  preview: ({ database }, { olderThan }) => archivePreview(database, olderThan),
  run,
};

function readInput(stored: unknown): ArchiveInput | undefined {
  const { olderThan, pauseMs, targetMs, maxTimeMs } = (stored ?? {}) as Record<string, unknown>;
  if (typeof olderThan !== 'string' || !/^\d{1,6} (second|minute|hour|day|week)s$/.test(olderThan))
    return undefined;
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
  const due = await countDue(database, olderThan);
  const moved = Object.fromEntries(archivedTables.map((table) => [table, 0])) as Record<
    ArchivedTable,
    number
  >;
  const skipped = { tooYoung: 0, inProgress: 0, locked: 0 };
  const started = performance.now();
  const expired = () =>
    input.maxTimeMs !== undefined && performance.now() - started > input.maxTimeMs;
  let size = batchSizes.first;
  let batch: Batch | undefined;
  while (!batch?.done && !signal.aborted && !expired()) {
    yield progressOf(moved.execution_traces, due.traces, started);
    batch = await moveBatch(database, { olderThan, asOf: due.asOf, size, after: batch });
    for (const table of archivedTables) moved[table] += batch.moved[table];
    skipped.tooYoung += batch.skipped.tooYoung;
    skipped.inProgress += batch.skipped.inProgress;
    skipped.locked += batch.skipped.locked;
    size = nextSize(size, batch.ms, targetMs);
    if (!batch.done) await pauseBetween(pauseMs, signal);
  }
  if (moved.execution_traces > 0) await analyze({ database, signal });
  const { traces: remaining } = await countDue(database, olderThan, due.asOf);
  yield progressOf(moved.execution_traces, due.traces, started);
  const result = { cutoff: due.cutoff, moved, skipped, remaining };
  const cancelled = signal.aborted && !batch?.done;
  return { summary: summaryOf(result, cancelled), cancelled, result };
}

/** Towards the time target, at most doubled or halved, so that one slow batch changes little. */
export function nextSize(size: number, ms: number, targetMs: number): number {
  const ideal = size * (targetMs / Math.max(ms, 1));
  const bounded = Math.min(size * 2, Math.max(size / 2, ideal));
  return Math.round(Math.min(batchSizes.highest, Math.max(batchSizes.lowest, bounded)));
}

function progressOf(done: number, total: number, started: number): Progress {
  const seconds = (performance.now() - started) / 1000;
  const rate = seconds > 0 && done > 0 ? done / seconds : undefined;
  return {
    phase: 'moving traces',
    done,
    total: Math.max(total, done),
    unit: 'traces',
    ...(rate === undefined ? {} : { rate, secondsLeft: Math.max(0, total - done) / rate }),
  };
}

/** The planner learns of the moved rows; a role that may not ANALYZE only gets a warning. */
async function analyze({ database }: ActionContext): Promise<void> {
  await database.transaction({ statementTimeoutMs: 60_000 }, (tx) =>
    tx.query(`ANALYZE ${archivedTables.join(', ')}`),
  );
}

async function pauseBetween(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0 && !signal.aborted) await pauseUnlessAborted(ms, signal);
}

function summaryOf({ moved, skipped, remaining }: ArchiveResult, cancelled: boolean): string {
  const children = moved.agent_routing_decisions + moved.hook_executions + moved.endpoint_calls;
  const held = skipped.tooYoung + skipped.inProgress + skipped.locked;
  const parts = [
    `${cancelled ? 'Cancelled after' : 'Archived'} ${moved.execution_traces} traces and ${children} rows that belong to them`,
    ...(held > 0 ? [`${held} trees held back`] : []),
    ...(remaining > 0 ? [`${remaining} due traces remain`] : []),
  ];
  return `${parts.join('; ')}.`;
}
