import { shareColumn, textColumn, type SummaryLine } from './contract/column.js';
import type { Queryable } from '../db/database.js';
import { formatDuration, formatSpan } from '../core/format/time.js';
import { formatCount, formatRate, formatShare } from '../core/format/number.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  chooseLonger,
} from './contract/pane.js';
import { type SchemaShape, columnOrNull } from './contract/shape.js';
import { groupKey } from './reading/calls.js';
import { callsIn, WindowBefore, type CallsBefore } from './reading/comparison.js';
import { LateRows, timed } from './reading/late-rows.js';
import { SliceLedger, type Range, SliceReader } from './reading/slices.js';
import {
  traceCountsStatement,
  type TraceCountsRow,
  tracesInProgressStatement,
  type TracesInProgressRow,
  seriesOf,
  statusSource,
  totals,
  type SeriesPoint,
  type TraceCounts,
  type TraceStatusRow,
} from './reading/trace-counts.js';
import { isFailure, statusTone } from './trace/event.js';
import { tracesOpening } from './trace/traces-listed.js';
import { bucketMsFor, isCountedAtOnce, serverNowIn, sliceMsFor } from './reading/windows.js';
import { boundedText } from '../db/quote.js';

export type StuckTrace = {
  id: string;
  correlationId: string | null;
  source: string | null;
  project: string | null;
  /** Its first 200 characters. */
  prompt: string | null;
  startedAt: Date | null;
  ageMs: number;
};

export type RecentTracesExtras = {
  windowMs: number;
  /** Where the window ends, milliseconds since 1970; null: now. */
  untilMs: number | null;
  bucketMs: number;
  series: SeriesPoint[];
  /** In progress now, whenever they started; of a moment in the past: those of its window that still are. */
  running: number;
  /** In progress for longer than `stuckAfterMs`, the longest first; at most 20 of `stuckCount`. None of the past. */
  stuck: StuckTrace[];
  stuckCount: number;
  stuckAfterMs: number;
};

const stuckShown = 20;

/**
 * Counts are exact. Traces that end are noticed at once, however old they are: what is in progress is
 * asked with every reading, and a slice of time whose number of running traces has changed is counted
 * again. So is one to which traces came late (see {@link LateRows}). Only a trace that is changed from one final status to
 * another waits until its slice is counted again (see {@link SliceLedger}).
 */
class RecentTracesReader implements PaneReader<TraceStatusRow, RecentTracesExtras> {
  #slices = slicesOf(0);
  readonly #before = new WindowBefore({ source: statusSource });
  readonly #late = new LateRows();

  async read(request: ReadRequest): Promise<PaneResult<TraceStatusRow, RecentTracesExtras>> {
    const { windowMs, untilMs, stuckAfterMs, exact, shape } = request;
    const sliceMs = sliceMsFor(windowMs);
    const bucketMs = bucketMsFor(windowMs);
    if (exact || this.#slices.ledger.sliceMs !== sliceMs) this.#slices = slicesOf(sliceMs);
    const slices = this.#slices;
    const whole = exact || isCountedAtOnce(request);

    return request.transaction(async (tx) => {
      const nowMs = await serverNowIn(tx);
      const endMs = untilMs ?? nowMs;
      const sinceMs = endMs - windowMs;
      const late = exact ? undefined : await this.#late.look(tx, request, [timed.traces], nowMs);
      slices.ledger.noteChanged(late?.ranges ?? []);
      const readProgress = () => readInProgress(tx, sliceMs, stuckAfterMs);
      // What is counted whole holds nothing yet that could have changed, and needs no answer before it is asked.
      const known = whole ? undefined : await readProgress();
      // Those in which traces have ended or begun since they were counted.
      const changed = known && slices.ledger.changed((slice) => known.by_slice[slice] ?? 0);
      const counting = slices.read(
        {
          sinceMs,
          untilMs,
          nowMs,
          isWritten: late?.isWritten ?? false,
          whole,
          ...(changed && { changed }),
        },
        (ranges) => readCounts(tx, ranges, sliceMs),
      );
      const compare = ({ share }: { share: number }) =>
        this.#before.read(tx, request, { endMs, share, fittingMs: slices.fittingMs });
      const [progress, { fresh }, compared] = await Promise.all([
        known ?? readProgress(),
        counting,
        whole ? compare({ share: 1 }) : counting.then(compare),
      ]);
      const bySlice = new Map(fresh);
      slices.ledger.look((slice, counts) => bySlice.set(slice, counts));
      const counted = totals(bySlice);
      const rows = withBefore(counted, compared.before);
      const { running, stuckCount } = untilMs === undefined ? nowOf(progress) : thenOf(rows);
      const stuck = stuckCount > 0 ? await readStuck(tx, shape, stuckAfterMs) : [];
      return {
        rows,
        extras: {
          windowMs,
          untilMs: untilMs ?? null,
          bucketMs,
          series: seriesOf(bySlice, { sliceMs, bucketMs, sinceMs, endMs }),
          running,
          stuck,
          stuckCount,
          stuckAfterMs,
        },
        asOf: new Date(endMs),
        notes: [],
        ...(compared.share < 1 ? { loading: { share: compared.share } } : {}),
      };
    });
  }

  reset(): void {
    this.#slices.ledger.clear();
    this.#before.reset();
  }
}

function withBefore(rows: readonly TraceStatusRow[], before: CallsBefore | null): TraceStatusRow[] {
  const all = callsIn(before);
  return rows.map((row) => {
    const countBefore = before && (before.get(groupKey([row.status]))?.calls ?? 0);
    const shareBefore = countBefore === null || !all ? null : countBefore / all;
    return { ...row, countBefore, shareBefore };
  });
}

function nowOf({ running, stuck }: TracesInProgressRow) {
  return { running, stuckCount: stuck };
}

/** For a moment in the past: only traces that still run are counted as running. Those that have ended since could only be found by reading every trace before. */
function thenOf(rows: readonly TraceStatusRow[]) {
  return {
    running: rows.find(({ status }) => status === 'in_progress')?.count ?? 0,
    stuckCount: 0,
  };
}

function slicesOf(sliceMs: number): SliceReader<TraceCounts> {
  return new SliceReader(
    new SliceLedger<TraceCounts>(sliceMs, {
      empty: () => new Map(),
      inProgress: (counts) => counts.get('in_progress') ?? 0,
      rows: (counts) => [...counts.values()].reduce((sum, count) => sum + count, 0),
    }),
  );
}

async function readInProgress(tx: Queryable, sliceMs: number, stuckAfterMs: number) {
  const { rows } = await tx.query<TracesInProgressRow>(tracesInProgressStatement, [
    sliceMs / 1000,
    stuckAfterMs / 1000,
  ]);
  const [row] = rows;
  if (!row) throw new Error('an aggregate without rows');
  return row;
}

async function readCounts(
  tx: Queryable,
  ranges: readonly Range[],
  sliceMs: number,
): Promise<Map<number, TraceCounts>> {
  const { rows } = await tx.query<TraceCountsRow>(traceCountsStatement, [
    ranges.map(({ fromMs }) => fromMs / 1000),
    ranges.map(({ untilMs }) => untilMs / 1000),
    sliceMs / 1000,
  ]);
  const bySlice = new Map<number, TraceCounts>();
  for (const { slice, status, traces } of rows) {
    const counts = bySlice.get(slice) ?? new Map<string, number>();
    counts.set(status, (counts.get(status) ?? 0) + traces);
    bySlice.set(slice, counts);
  }
  return bySlice;
}

async function readStuck(
  tx: Queryable,
  shape: SchemaShape,
  stuckAfterMs: number,
): Promise<StuckTrace[]> {
  const { rows } = await tx.query<TraceStuckRow>(tracesStuckStatement(shape), [
    stuckAfterMs / 1000,
    stuckShown,
  ]);
  return rows.map((row) => ({
    id: row.id,
    correlationId: row.correlation_id,
    source: row.source,
    project: row.project,
    prompt: row.prompt,
    startedAt: row.started_at,
    ageMs: Math.round(row.age_ms),
  }));
}

/** Recordings of earlier consoles do not say. */
function isPast({ untilMs }: RecentTracesExtras): boolean {
  return typeof untilMs === 'number';
}

function summaryOf(rows: readonly TraceStatusRow[], extras: RecentTracesExtras): SummaryLine[] {
  const all = rows.reduce((sum, { count }) => sum + count, 0);
  const failed = rows.reduce((sum, { status, count }) => sum + (isFailure(status) ? count : 0), 0);
  const perSecond = all / (extras.windowMs / 1000);
  const line: SummaryLine = [
    { text: `${formatCount(all)} in ${formatSpan(extras.windowMs)}` },
    { text: formatRate(perSecond), tone: 'muted' },
    {
      text: `${formatCount(extras.running)} ${isPast(extras) ? 'still running' : 'running'}`,
      tone: 'running',
    },
    failed > 0
      ? { text: `${formatShare(failed / all)} failed`, tone: 'error' }
      : { text: 'none failed', tone: 'success' },
  ];
  const [oldest] = extras.stuck;
  if (!oldest) return [line];
  return [
    line,
    [
      {
        text: `${formatCount(extras.stuckCount)} stuck over ${formatSpan(extras.stuckAfterMs)}, the longest ${formatDuration(oldest.ageMs)}: ${oldest.correlationId ?? oldest.id}`,
        tone: 'warning',
      },
    ],
  ];
}

/**
 * The traces that have been in progress for longest. `$1`: limit in seconds, `$2`: how many.
 * idx_execution_traces_running is read from its old end, in order: no sort, `$2` rows.
 */
export function tracesStuckStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'execution_traces', column, type);
  return `
SELECT
  id,
  ${optional('correlation_id', 'uuid')} AS correlation_id,
  ${boundedText(optional('source', 'text'), 200)} AS source,
  ${boundedText(optional('project', 'text'), 200)} AS project,
  ${boundedText(optional('prompt_text', 'text'), 200)} AS prompt,
  CASE WHEN isfinite(started_at) THEN started_at END AS started_at,
  (1000 * date_part('epoch', now() - started_at))::float8 AS age_ms
FROM execution_traces
WHERE status = 'in_progress' AND started_at < now() - $1::float8 * interval '1 second' AND isfinite(started_at)
ORDER BY started_at
LIMIT $2`;
}

export type TraceStuckRow = {
  id: string;
  correlation_id: string | null;
  source: string | null;
  project: string | null;
  prompt: string | null;
  started_at: Date | null;
  age_ms: number;
};

export const recentTraces: Pane<TraceStatusRow, RecentTracesExtras, 'recent-traces'> = {
  id: 'recent-traces',
  title: 'Recent traces',
  question: 'How many traces started in the window, how did they end, what runs and what is stuck?',
  needs: {
    execution_traces: {
      required: ['id', 'status', 'started_at'],
      optional: ['correlation_id', 'source', 'prompt_text'],
    },
  },
  isInOverview: true,
  showsEvents: true,
  layout: { height: 1.2 },
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: [
    textColumn({
      id: 'status',
      title: 'status',
      value: ({ status }) => status,
      tone: ({ status }) => statusTone(status),
      priority: 1,
      minWidth: 9,
      maxWidth: 14,
    }),
    {
      id: 'count',
      title: 'traces',
      align: 'right',
      format: 'count',
      value: ({ count }) => count,
      priority: 1,
      minWidth: 6,
      maxWidth: 8,
    },
    shareColumn({
      id: 'share',
      title: 'share',
      value: ({ share }) => share,
      tone: () => 'muted',
      priority: 2,
    }),
  ],
  sorts: [
    { id: 'count', title: 'most traces', direction: 'desc', value: ({ count }) => count },
    { id: 'status', title: 'status', direction: 'asc', value: ({ status }) => status },
  ],
  comparison: {
    names: 1,
    figures: ['calls', 'share'],
    of: ({ count, countBefore = null, share, shareBefore = null }) => ({
      calls: { now: count, before: countBefore },
      share: { now: share, before: shareBefore },
    }),
  },
  rowKey: ({ status }) => status,
  empty: `No trace started in this window. ${chooseLonger}`,
  hasExamples: true,
  createReader: () => new RecentTracesReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  chart: ({ extras }) => ({
    title: 'traces started, failed of them',
    bucketMs: extras.bucketMs,
    isPast: isPast(extras),
    curves: [
      { label: 'started', tone: 'accent', values: extras.series.map(({ started }) => started) },
      { label: 'failed', tone: 'error', values: extras.series.map(({ failed }) => failed) },
    ],
  }),
  detail: ({ status }) => tracesOpening(`Traces: ${status}`, { by: 'status', status }),
};
