import type { Queryable } from '../db/database.js';
import { formatDuration, formatSpan } from '../shared/format/duration.js';
import { formatCount, formatShare } from '../shared/format/number.js';
import { bucketBounds, bucketError } from './duration-buckets.js';
import { HookTotals, hookKey, hookSliceOf, type HookSlice } from './hook-totals.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
} from './pane.js';
import { slowHooksColumns, slowHooksSorts } from './slow-hooks-columns.js';
import type { SchemaShape } from './shape.js';
import { SliceLedger, type Range } from './slice-ledger.js';
import { SliceReader } from './slice-reader.js';
import { hookHistogramStatement, type HookHistogramRow } from './statements/hook-histogram.js';
import {
  hookPercentilesStatement,
  type HookPercentilesRow,
} from './statements/hook-percentiles.js';
import { slowestHooksStatement } from './statements/slowest-hooks.js';
import { serverNowStatement, type ServerNowRow } from './statements/server-now.js';
import { sliceMsFor } from './windows.js';

/** One hook with one tool, over the window. Durations in milliseconds, of calls that have ended. */
export type SlowHookRow = {
  hook: string;
  tool: string | null;
  /** Calls that started in the window, those still in progress included. */
  calls: number;
  /** Those of them that failed or timed out. */
  failures: number;
  inProgress: number;
  p50Ms: number | null;
  p95Ms: number | null;
  maxMs: number | null;
  totalMs: number;
  /** Of the time that all hooks took together, 0..1. */
  share: number;
};

export type SlowHooksExtras = {
  windowMs: number;
  calls: number;
  failures: number;
  /** How far p50 and p95 can be off, as a share of them: 0 when they are exact. */
  percentileError: number;
};

/**
 * Closed slices of time are kept as histograms, so that a reading costs the open one whatever the window. Counts,
 * sums and maxima are exact; p50 and p95 are at most 3.1 % off (see duration-buckets). A hook that ends or
 * is written late is counted when its slice is asked for again (see {@link SliceLedger}): within seconds
 * for the youngest, at the latest after as long again as it was late (a quarter of that for one that was
 * seen in progress).
 *
 * On demand (`exact`) every row of the window is read, and the percentiles are exact, too.
 */
class SlowHooksReader implements PaneReader<SlowHookRow, SlowHooksExtras> {
  #totals = new HookTotals();
  #slices = this.#slicesOf(0);

  async read(request: ReadRequest): Promise<PaneResult<SlowHookRow, SlowHooksExtras>> {
    return request.transaction((tx) =>
      request.exact ? readExact(tx, request) : this.#readKept(tx, request),
    );
  }

  reset(): void {
    this.#slices.ledger.clear();
  }

  async #readKept(
    tx: Queryable,
    { shape, windowMs }: ReadRequest,
  ): Promise<PaneResult<SlowHookRow, SlowHooksExtras>> {
    const sliceMs = sliceMsFor(windowMs);
    if (this.#slices.ledger.sliceMs !== sliceMs) this.#slices = this.#slicesOf(sliceMs);
    const nowMs = await readServerNow(tx);
    const { fresh, share } = await this.#slices.read(
      { sinceMs: nowMs - windowMs, nowMs, whole: false },
      (ranges) => readHistograms(tx, shape, ranges, sliceMs),
    );
    return {
      ...resultOf(this.#rows(fresh), windowMs, bucketError),
      asOf: new Date(nowMs),
      ...(share < 1 ? { loading: { share } } : {}),
    };
  }

  #slicesOf(sliceMs: number): SliceReader<HookSlice[]> {
    const totals = new HookTotals();
    this.#totals = totals;
    return new SliceReader(
      new SliceLedger<HookSlice[]>(sliceMs, {
        empty: () => [],
        inProgress: (slices) => slices.reduce((sum, { inProgress }) => sum + inProgress, 0),
        added: (slices) => totals.apply(slices, 1),
        removed: (slices) => totals.apply(slices, -1),
      }),
    );
  }

  #rows(fresh: ReadonlyMap<number, HookSlice[]>): SlowHookRow[] {
    const highest = new Map<string, number>();
    const look = (slices: readonly HookSlice[]) => {
      for (const { key, maxMs } of slices) {
        if (maxMs !== null && maxMs >= (highest.get(key) ?? 0)) highest.set(key, maxMs);
      }
    };
    for (const [, slices] of this.#slices.ledger.kept()) look(slices);
    const added = [...fresh.values()].flat();
    look(added);
    return this.#totals.with(added, () =>
      [...this.#totals.byKey].map(([key, total]) => {
        const maxMs = highest.get(key) ?? null;
        return {
          hook: total.hook,
          tool: total.tool,
          calls: total.calls,
          failures: total.failures,
          inProgress: total.inProgress,
          p50Ms: atMost(total.percentile(0.5), maxMs),
          p95Ms: atMost(total.percentile(0.95), maxMs),
          maxMs,
          totalMs: total.totalMs,
          share: 0,
        };
      }),
    );
  }
}

/** The middle of the last bucket may lie above the longest duration in it. */
function atMost(value: number | null, maxMs: number | null): number | null {
  return value === null || maxMs === null ? value : Math.min(value, maxMs);
}

async function readServerNow(tx: Queryable): Promise<number> {
  const { rows } = await tx.query<ServerNowRow>(serverNowStatement);
  return rows[0]?.now_ms ?? Date.now();
}

async function readHistograms(
  tx: Queryable,
  shape: SchemaShape,
  ranges: readonly Range[],
  sliceMs: number,
): Promise<Map<number, HookSlice[]>> {
  const { rows } = await tx.query<HookHistogramRow>(hookHistogramStatement(shape, ranges.length), [
    sliceMs / 1000,
    bucketBounds,
    ...ranges.flatMap(({ fromMs, untilMs }) => [fromMs / 1000, untilMs / 1000]),
  ]);
  const bySlice = new Map<number, HookSlice[]>();
  for (const row of rows) {
    const slices = bySlice.get(row.slice) ?? [];
    slices.push(hookSliceOf(row));
    bySlice.set(row.slice, slices);
  }
  return bySlice;
}

async function readExact(
  tx: Queryable,
  { shape, windowMs }: ReadRequest,
): Promise<PaneResult<SlowHookRow, SlowHooksExtras>> {
  const nowMs = await readServerNow(tx);
  const { rows } = await tx.query<HookPercentilesRow>(hookPercentilesStatement(shape), [
    windowMs / 1000,
  ]);
  const exact = rows.map((row) => ({
    hook: row.hook,
    tool: row.tool,
    calls: row.calls,
    failures: row.failures,
    inProgress: row.in_progress,
    p50Ms: row.p50_ms,
    p95Ms: row.p95_ms,
    maxMs: row.max_ms,
    totalMs: row.total_ms ?? 0,
    share: 0,
  }));
  return { ...resultOf(exact, windowMs, 0), asOf: new Date(nowMs) };
}

function resultOf(rows: readonly SlowHookRow[], windowMs: number, percentileError: number) {
  const sum = (value: (row: SlowHookRow) => number) =>
    rows.reduce((total, row) => total + value(row), 0);
  const totalMs = sum((row) => row.totalMs);
  const slowestFirst = rows
    .map((row) => ({ ...row, share: totalMs > 0 ? row.totalMs / totalMs : 0 }))
    .sort((a, b) => (b.p95Ms ?? -1) - (a.p95Ms ?? -1) || b.totalMs - a.totalMs);
  return {
    rows: slowestFirst,
    extras: {
      windowMs,
      calls: sum((row) => row.calls),
      failures: sum((row) => row.failures),
      percentileError,
    },
    notes: [],
  };
}

function summaryOf(rows: readonly SlowHookRow[], extras: SlowHooksExtras): SummaryLine[] {
  const [slowest] = rows;
  const { calls, failures, windowMs, percentileError } = extras;
  return [
    [
      { text: `${formatCount(calls)} calls in ${formatSpan(windowMs)}` },
      failures > 0
        ? { text: `${formatShare(failures / calls)} failed`, tone: 'error' as const }
        : { text: 'none failed', tone: 'success' as const },
      ...(slowest ? [{ text: `slowest p95 ${formatDuration(slowest.p95Ms)}` }] : []),
      {
        text: percentileError > 0 ? `p50, p95 ±${formatShare(percentileError)}` : 'exact',
        tone: 'muted' as const,
      },
    ],
  ];
}

export const slowHooks: Pane<SlowHookRow, SlowHooksExtras> = {
  id: 'slow-hooks',
  title: 'Slow hooks',
  question: 'Which hooks, with which tools, take the time, and which fail?',
  needs: {
    hook_executions: {
      required: ['hook_name', 'started_at', 'duration_ms'],
      optional: ['tool_name', 'status'],
    },
  },
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: slowHooksColumns,
  sorts: slowHooksSorts,
  rowKey: ({ hook, tool }) => hookKey(hook, tool),
  empty: 'No hook ran in this window. Choose a longer one with w, or: trace-console demo',
  createReader: () => new SlowHooksReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ hook, tool }, shape, windowMs) => ({
    title: `Slowest calls: ${hook}${tool === null ? '' : ` (${tool})`}`,
    text: slowestHooksStatement(shape),
    values: [windowMs / 1000, hook, tool],
  }),
};
