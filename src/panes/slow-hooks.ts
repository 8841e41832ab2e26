import { formatDuration, formatSpan } from '../shared/format/duration.js';
import { formatCount, formatShare } from '../shared/format/number.js';
import { groupKey } from './call-totals.js';
import { CallsReader, type CallGroup } from './calls-reader.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
} from './pane.js';
import { slowHooksColumns, slowHooksSorts } from './slow-hooks-columns.js';
import { slowestHooksStatement, type SlowestHookRow } from './statements/slowest-hooks.js';
import { eventsOpening, joined } from './trace/events-opening.js';
import { isFailure } from './trace-status.js';
import { hookSource } from './statements/call-sources.js';

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

class SlowHooksReader implements PaneReader<SlowHookRow, SlowHooksExtras> {
  readonly #calls = new CallsReader({ source: hookSource });

  async read(request: ReadRequest): Promise<PaneResult<SlowHookRow, SlowHooksExtras>> {
    return request.transaction(async (tx) => {
      const { groups, endMs, percentileError, share } = await this.#calls.read(tx, request);
      return {
        ...resultOf(groups.map(rowOf), request.windowMs, percentileError),
        asOf: new Date(endMs),
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  reset(): void {
    this.#calls.reset();
  }
}

function rowOf({ groups, ...figures }: CallGroup): SlowHookRow {
  const [hook, tool] = groups;
  const { calls, failures, inProgress, p50Ms, p95Ms, maxMs, totalMs } = figures;
  return {
    hook: hook ?? '',
    tool: tool ?? null,
    calls,
    failures,
    inProgress,
    p50Ms,
    p95Ms,
    maxMs,
    totalMs,
    share: 0,
  };
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
  rowKey: ({ hook, tool }) => groupKey([hook, tool]),
  empty: 'No hook ran in this window. Choose a longer one with :window, or: trace-console demo',
  createReader: () => new SlowHooksReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ hook, tool }) =>
    eventsOpening<SlowestHookRow>({
      title: `Slowest calls: ${hook}${tool === null ? '' : ` (${tool})`}`,
      text: slowestHooksStatement,
      values: [hook, tool],
      eventOf: (row) => ({
        kind: 'hook',
        id: row.id,
        traceId: row.trace_id,
        startedAt: row.started_at,
        durationMs: row.duration_ms,
        failed: isFailure(row.status ?? ''),
        what: joined([row.hook_type, row.exit_code === null ? null : `exit ${row.exit_code}`]),
        text: joined([row.error_type, row.error_message ?? row.file_path], ': '),
      }),
    }),
};
