import { formatDuration, formatSpan } from '../core/format/time.js';
import { countedShort, formatShare } from '../core/format/number.js';
import { groupKey, columnOf, type CallSource } from './reading/calls.js';
import { CallsReader, type CallGroup } from './reading/calls-reader.js';
import {
  beforeOf,
  callFigures,
  callsChangeColumn,
  comparedCalls,
  growthSort,
  p95ChangeColumn,
  slowedSort,
  WindowBefore,
  type CallsBefore,
  type ComparedRow,
} from './reading/comparison.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  chooseLonger,
} from './contract/pane.js';
import { knownDuration, toolInputText } from './trace/hook-columns.js';
import { eventsOpening } from './trace/events-opening.js';
import { columnOrNull, joinedSql, type SchemaShape } from './contract/shape.js';
import { timed } from './reading/late-rows.js';
import { within } from './reading/windows.js';
import {
  ageColumn,
  type Column,
  countColumn,
  durationColumn,
  failuresColumn,
  maxColumn,
  p95Column,
  shareColumn,
  type Sort,
  type SummaryLine,
  textColumn,
} from './contract/column.js';
import { boundedText } from '../db/quote.js';

/** One hook with one tool, over the window. Durations in milliseconds, of calls that have ended. */
export type SlowHookRow = ComparedRow & {
  hook: string;
  tool: string | null;
  /** Those of them that failed or timed out. */
  failures: number;
  inProgress: number;
  p50Ms: number | null;
  maxMs: number | null;
  totalMs: number;
  /** Of the time that all hooks took together, 0..1. */
  share: number;
  /** When the newest that failed began; null: none did. Recordings of earlier consoles do not have it. */
  lastFailure?: Date | null;
};

export type SlowHooksExtras = {
  windowMs: number;
  calls: number;
  failures: number;
  /** How far p50 and p95 can be off, as a share of them: 0 when they are exact. */
  percentileError: number;
};

class SlowHooksReader implements PaneReader<SlowHookRow, SlowHooksExtras> {
  #variant: string | undefined;
  readonly #source = (shape: SchemaShape) => hookSource(shape, this.#variant);
  readonly #calls = new CallsReader({ source: this.#source });
  readonly #before = new WindowBefore({ source: this.#source });

  async read(request: ReadRequest): Promise<PaneResult<SlowHookRow, SlowHooksExtras>> {
    this.#variant = request.variant;
    return request.transaction(async (tx) => {
      const { found, before, share } = await this.#before.readWith(this.#calls, tx, request);
      const { groups, endMs, percentileError } = found;
      const rows = groups.map((group) => rowOf(group, before));
      return {
        ...resultOf(rows, request.windowMs, percentileError),
        asOf: new Date(endMs),
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  reset(): void {
    this.#calls.reset();
    this.#before.reset();
  }
}

function rowOf({ groups, ...figures }: CallGroup, before: CallsBefore | null): SlowHookRow {
  const [hook, tool] = groups;
  const { calls, failures, inProgress, p50Ms, p95Ms, maxMs, totalMs, lastFailedMs } = figures;
  return {
    hook: hook ?? '',
    tool: tool ?? null,
    calls,
    failures,
    inProgress,
    // Of none of them a transcript tells how long it took.
    ...(maxMs === 0 ? { p50Ms: null, p95Ms: null, maxMs: null } : { p50Ms, p95Ms, maxMs }),
    totalMs,
    share: 0,
    lastFailure: lastFailedMs === null ? null : new Date(lastFailedMs),
    ...beforeOf(before, groupKey(groups)),
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
      { text: `${countedShort(calls, 'call')} in ${formatSpan(windowMs)}` },
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

/** Tools are called by the agent, hooks run beside them: both are rows of hook_executions, told apart by their type. */
const conditions: ReadonlyMap<string | undefined, string> = new Map([
  ['hooks', "IS DISTINCT FROM 'ToolUse'"],
  ['tools', "= 'ToolUse'"],
]);

/** Hooks and tool calls by name and tool. */
export function hookSource(shape: SchemaShape, variant: string | undefined): CallSource {
  const column = columnOf(shape, 'hook_executions', 'h');
  const condition = conditions.get(variant);
  const from =
    condition === undefined
      ? 'hook_executions AS h'
      : `(SELECT * FROM hook_executions AS h WHERE ${column('hook_type', 'text')} ${condition}) AS h`;
  return {
    from,
    at: 'h.started_at',
    groups: [boundedText('h.hook_name', 512), boundedText(column('tool_name', 'text'), 512)],
    failed: `${column('status', 'text')} IN ('failed', 'timeout')`,
    inProgress: `${column('status', 'text')} = 'in_progress'`,
    duration: 'h.duration_ms',
    sums: [],
    reads: [timed.hooks],
  };
}

/**
 * The calls of one hook with one tool. `$1`, `$2`: window, `$3`: hook, `$4`: tool or NULL. The slowest are found in
 * idx_hook_executions_window, and their rows in the table. Texts are cut.
 */
export function callsOfHookStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'hook_executions', column, type);
  const detail = `COALESCE(${boundedText(optional('error_message', 'text'), 300)}, ${toolInputText(optional)}, ${boundedText(optional('file_path', 'text'), 300)})`;
  return `
SELECT
  'hook' AS kind,
  ${optional('id', 'uuid')} AS id,
  ${optional('trace_id', 'uuid')} AS trace_id,
  started_at,
  ${knownDuration(optional, 'metadata')} AS duration_ms,
  COALESCE(${optional('status', 'text')} IN ('failed', 'timeout'), false) AS failed,
  ${joinedSql(' ', boundedText(optional('hook_type', 'text'), 200), `'exit ' || ${optional('exit_code', 'integer')}`)} AS what,
  ${joinedSql(': ', boundedText(optional('error_type', 'text'), 200), detail)} AS text
FROM hook_executions
WHERE ${within('started_at', '$1', '$2')}
  AND hook_name = $3
  AND ${optional('tool_name', 'text')} IS NOT DISTINCT FROM $4`;
}

export const slowHooksColumns: readonly Column<SlowHookRow>[] = [
  textColumn({
    id: 'hook',
    title: 'hook',
    value: ({ hook }) => hook,
    priority: 1,
    minWidth: 8,
  }),
  textColumn({
    id: 'tool',
    title: 'tool',
    value: ({ tool }) => tool,
    tone: ({ tool }) => (tool === null ? 'muted' : undefined),
    priority: 2,
    minWidth: 5,
    maxWidth: 24,
  }),
  countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 3 }),
  callsChangeColumn(7),
  durationColumn({ id: 'p50Ms', title: 'p50', value: ({ p50Ms }) => p50Ms, priority: 4 }),
  p95Column(1),
  p95ChangeColumn(6),
  maxColumn(5),
  failuresColumn(2),
  shareColumn({ id: 'share', title: 'time', value: ({ share }) => share, priority: 3 }),
  ageColumn({
    id: 'lastFailure',
    title: 'last failed',
    value: ({ lastFailure }) => lastFailure ?? null,
    priority: 8,
  }),
];

export const slowHooksSorts: readonly [Sort<SlowHookRow>, ...Sort<SlowHookRow>[]] = [
  { id: 'p95', title: 'slowest p95', direction: 'desc', value: ({ p95Ms }) => p95Ms },
  { id: 'share', title: 'most time', direction: 'desc', value: ({ share }) => share },
  { id: 'calls', title: 'most calls', direction: 'desc', value: ({ calls }) => calls },
  { id: 'failures', title: 'most failures', direction: 'desc', value: ({ failures }) => failures },
  { id: 'max', title: 'longest call', direction: 'desc', value: ({ maxMs }) => maxMs },
  slowedSort,
  growthSort,
  { id: 'hook', title: 'hook', direction: 'asc', value: ({ hook }) => hook },
];

export const slowHooks: Pane<SlowHookRow, SlowHooksExtras, 'slow-hooks'> = {
  id: 'slow-hooks',
  title: 'Slow hooks',
  question: 'Which hooks, with which tools, take the time, and which fail?',
  needs: {
    hook_executions: {
      required: ['hook_name', 'started_at', 'duration_ms'],
      optional: ['tool_name', 'status'],
    },
  },
  isInOverview: true,
  firstReadingMs: 15,
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  variants: [
    { id: 'all', title: 'hooks and tool calls' },
    { id: 'hooks', title: 'hooks only' },
    { id: 'tools', title: 'tool calls only' },
  ],
  columns: slowHooksColumns,
  comparison: { names: 2, figures: callFigures, of: comparedCalls },
  sorts: slowHooksSorts,
  rowKey: ({ hook, tool }) => groupKey([hook, tool]),
  empty: `No hook ran in this window. ${chooseLonger}`,
  hasExamples: true,
  createReader: () => new SlowHooksReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ hook, tool }) =>
    eventsOpening({
      title: `Calls: ${hook}${tool === null ? '' : ` (${tool})`}`,
      text: callsOfHookStatement,
      values: [hook, tool],
      orders: ['slowest', 'newest'],
    }),
};
