import { formatSpan } from '../core/format/duration.js';
import { formatCount, formatMoney, formatShare } from '../core/format/number.js';
import {
  changeColumn,
  countColumn,
  moneyColumn,
  shareColumn,
  textColumn,
  trendColumn,
  trendParts,
  type SummaryLine,
} from './contract/column.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import type { SchemaShape } from './contract/shape.js';
import { CallsReader, type CallGroup } from './reading/calls-reader.js';
import { groupKey } from './reading/calls.js';
import { changeOf, WindowBefore, type CallsBefore } from './reading/comparison.js';
import { DayCost, usageSource, usageSums, type UsageGrouping } from './reading/usage.js';
import { tracesOpening } from './trace/traces-listed.js';

/**
 * The traces of one group over the window, and the calls of models of one group. A trace's tokens and cost are its own,
 * without those of its subagents, which are traces themselves: everything is counted once.
 */
export type UsageRow = {
  /** What the traces have in common; null where they say nothing of it. */
  group: string | null;
  grouping: UsageGrouping;
  /** Prompts of users: traces without a parent. */
  turns: number;
  traces: number;
  calls: number;
  /** Calls that tell tokens, and of whose model no price is known. */
  unpricedCalls: number;
  /** Input that was not cached, input read from a cache, input written to it, and output. */
  inputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  /** Of all input, what came from a cache, 0..1; null without input. */
  cacheHitRate: number | null;
  /** US dollars of what has a price; null: nothing has. `costBeforeUsd`: of the window before, null where it is not counted. */
  costUsd: number | null;
  costBeforeUsd: number | null;
  callsBefore: number | null;
  /** Of the cost of all groups in the window before; null where nothing had a cost. */
  shareBefore: number | null;
  /** Of the cost of all groups, of their tokens where nothing has a cost. 0..1 */
  share: number;
  /** What all groups together cost an hour of the window, US dollars: for alerts. */
  allPerHourUsd: number;
  /** Cost by twelfth of the window, oldest first. */
  trend: readonly number[];
};

export type UsageExtras = {
  windowMs: number;
  groups: number;
  turns: number;
  calls: number;
  tokens: number;
  costUsd: number | null;
  costBeforeUsd: number | null;
  unpricedCalls: number;
  /** Traces that have tokens and no cost. */
  unpricedTraces: number;
  /** Cost by part of the window, oldest first. */
  series: readonly number[];
  /** Since midnight in UTC, and what somebody wants to spend a day at most; absent: no budget is set. */
  budget?: { todayUsd: number; perDayUsd: number };
  isPast: boolean;
};

/** Parts of the window for the chart; a row's trend adds up four of them. */
const chartParts = 4 * trendParts;
const mostRows = 500;
/** Sessions may be without number: a window with more of them than this is cut, so that the console stays quick. */
const mostGroups = 2_000;
const cutWindowMs = 86_400_000;

class UsageReader implements PaneReader<UsageRow, UsageExtras> {
  #grouping: UsageGrouping = 'model';
  readonly #source = (shape: SchemaShape) => usageSource(shape, this.#grouping);
  readonly #calls = new CallsReader({
    source: this.#source,
    trendParts: chartParts,
    trendOf: ({ sums }) => sums[usageSums.cost] ?? 0,
  });
  readonly #before = new WindowBefore({ source: this.#source });
  readonly #today = new DayCost();
  #longestMs = Infinity;

  async read(request: ReadRequest): Promise<PaneResult<UsageRow, UsageExtras>> {
    this.#grouping = groupings.find(({ id }) => id === request.grouping)?.id ?? 'model';
    return request.transaction(async (tx) => {
      const whole = await this.#calls.read(tx, this.#shortened(request));
      const isTooLong = whole.groups.length > mostGroups && request.windowMs > cutWindowMs;
      if (isTooLong && this.#longestMs !== cutWindowMs) {
        this.#longestMs = cutWindowMs;
        this.#calls.reset();
      }
      const asking = this.#shortened(request);
      const found = isTooLong ? await this.#calls.read(tx, asking) : whole;
      const { before, share } = await this.#before.read(tx, asking, found);
      const { budgetUsdPerDay: perDayUsd, shape, windowMs, untilMs } = asking;
      const isPast = untilMs !== undefined;
      const budget =
        perDayUsd === undefined || isPast
          ? {}
          : { budget: { todayUsd: await this.#today.read(tx, shape, found.endMs), perDayUsd } };
      const asked = { grouping: this.#grouping, windowMs, isPast, ...budget };
      const result = resultOf(found.groups, before, asked);
      const isCut = windowMs < request.windowMs;
      return {
        ...result,
        notes: isCut
          ? [`of the last ${formatSpan(windowMs)} only: the window has too many`, ...result.notes]
          : result.notes,
        asOf: new Date(found.endMs),
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  #shortened(request: ReadRequest): ReadRequest {
    return { ...request, windowMs: Math.min(request.windowMs, this.#longestMs) };
  }

  reset(): void {
    this.#calls.reset();
    this.#before.reset();
  }
}

type Asked = { grouping: UsageGrouping } & Pick<UsageExtras, 'windowMs' | 'isPast' | 'budget'>;

function resultOf(groups: readonly CallGroup[], before: CallsBefore | null, asked: Asked) {
  const all = groups.map((group) => rowOf(group, before, asked.grouping)).filter(usesAnything);
  const sum = (value: (row: UsageRow) => number) =>
    all.reduce((total, row) => total + value(row), 0);
  const costs = sum(({ costUsd }) => costUsd ?? 0);
  const weight = (row: UsageRow) => (costs > 0 ? (row.costUsd ?? 0) : tokensOf(row));
  const weights = sum(weight);
  const costsBefore =
    before &&
    [...before.values()].reduce((total, { sums }) => total + (sums[usageSums.cost] ?? 0), 0);
  const allPerHourUsd = (costs * 3_600_000) / asked.windowMs;
  const rows = all
    .map((row) => ({
      ...row,
      share: weights > 0 ? weight(row) / weights : 0,
      shareBefore: costsBefore ? (row.costBeforeUsd ?? 0) / costsBefore : null,
      allPerHourUsd,
    }))
    .toSorted((a, b) => b.share - a.share || tokensOf(b) - tokensOf(a) || b.traces - a.traces);
  const unpricedTraces = groups.reduce(
    (total, { sums }) => total + (sums[usageSums.unpricedTraces] ?? 0),
    0,
  );
  const extras: UsageExtras = {
    windowMs: asked.windowMs,
    groups: rows.length,
    turns: sum(({ turns }) => turns),
    calls: sum(({ calls }) => calls),
    tokens: sum(tokensOf),
    costUsd: rows.some(({ costUsd }) => costUsd !== null) ? costs : null,
    costBeforeUsd: costsBefore,
    unpricedCalls: sum(({ unpricedCalls }) => unpricedCalls),
    unpricedTraces,
    series: Array.from({ length: chartParts }, (_, part) =>
      groups.reduce((total, { trend }) => total + (trend[part] ?? 0), 0),
    ),
    ...(asked.budget ? { budget: asked.budget } : {}),
    isPast: asked.isPast,
  };
  const cut = rows.length > mostRows;
  const notes = cut ? [`the ${mostRows} that used most of ${formatCount(rows.length)}`] : [];
  return { rows: rows.slice(0, mostRows), extras, notes };
}

function rowOf(
  { groups, sums, trend }: CallGroup,
  before: CallsBefore | null,
  grouping: UsageGrouping,
): UsageRow {
  const figure = (name: keyof typeof usageSums) => sums[usageSums[name]] ?? 0;
  const [input, read, written] = [figure('input'), figure('cacheRead'), figure('cacheWrite')];
  const allInput = input + read + written;
  return {
    group: groups[0] ?? null,
    grouping,
    turns: figure('turns'),
    traces: figure('traces'),
    calls: figure('calls'),
    unpricedCalls: figure('unpricedCalls'),
    inputTokens: input,
    cacheReadTokens: read,
    cacheWriteTokens: written,
    outputTokens: figure('output'),
    cacheHitRate: allInput > 0 ? read / allInput : null,
    costUsd: figure('pricedTraces') > 0 ? figure('cost') : null,
    costBeforeUsd: before && (before.get(groupKey(groups))?.sums[usageSums.cost] ?? 0),
    callsBefore: before && (before.get(groupKey(groups))?.sums[usageSums.calls] ?? 0),
    shareBefore: null,
    share: 0,
    allPerHourUsd: 0,
    trend: Array.from({ length: trendParts }, (_, part) =>
      trend.slice(4 * part, 4 * part + 4).reduce((total, cost) => total + cost, 0),
    ),
  };
}

/** A subagent whose calls nobody told of is no use of a model. */
function usesAnything(row: UsageRow): boolean {
  return row.turns > 0 || row.calls > 0 || row.costUsd !== null || tokensOf(row) > 0;
}

function tokensOf(row: UsageRow): number {
  return row.inputTokens + row.cacheReadTokens + row.cacheWriteTokens + row.outputTokens;
}

function summaryOf(extras: UsageExtras): SummaryLine[] {
  const { windowMs, costUsd, costBeforeUsd, tokens, turns, calls, budget } = extras;
  const { unpricedCalls, unpricedTraces } = extras;
  const unpriced =
    unpricedCalls > 0
      ? `${formatCount(unpricedCalls)} calls unpriced`
      : unpricedTraces > 0
        ? `${formatCount(unpricedTraces)} traces unpriced`
        : undefined;
  return [
    [
      { text: `${formatMoney(costUsd)} in ${formatSpan(windowMs)}` },
      ...(unpriced === undefined ? [] : [{ text: unpriced, tone: 'warning' as const }]),
      ...(budget ? [budgetSegment(budget)] : []),
      { text: `${formatCount(tokens)} tokens` },
      { text: `${formatCount(turns)} turns, ${formatCount(calls)} calls` },
      ...(typeof costBeforeUsd === 'number'
        ? [{ text: `${formatMoney(costBeforeUsd)} before`, tone: 'muted' as const }]
        : []),
    ],
  ];
}

function budgetSegment({ todayUsd, perDayUsd }: NonNullable<UsageExtras['budget']>) {
  const share = todayUsd / perDayUsd;
  const text = `today ${formatMoney(todayUsd)} of ${formatMoney(perDayUsd)} (${formatShare(share)})`;
  const tone = share >= 1 ? 'error' : share >= 0.8 ? 'warning' : 'success';
  return { text, tone } as const;
}

const groupings = [
  { id: 'model', title: 'by model' },
  { id: 'project', title: 'by project' },
  { id: 'agent', title: 'by agent' },
  { id: 'user', title: 'by user' },
  { id: 'session', title: 'by session' },
  { id: 'day', title: 'by day (UTC)' },
] as const satisfies readonly { id: UsageGrouping; title: string }[];

export const usage: Pane<UsageRow, UsageExtras, 'usage'> = {
  id: 'usage',
  title: 'Usage',
  question: 'Who and what uses tokens, what does it cost, and how much comes from a cache?',
  needs: {
    execution_traces: {
      required: ['id', 'status', 'started_at'],
      optional: [
        ...['model', 'project', 'user_id', 'session_id', 'parent_id'],
        ...['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens'],
        'cost_usd',
      ],
    },
  },
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  groupings,
  columns: [
    textColumn({
      id: 'group',
      title: 'group',
      value: ({ group }) => group ?? 'unknown',
      tone: ({ group }) => (group === null ? 'muted' : undefined),
      priority: 1,
      minWidth: 16,
    }),
    countColumn({ id: 'turns', title: 'turns', value: ({ turns }) => turns, priority: 5 }),
    countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 4 }),
    countColumn({
      id: 'inputTokens',
      title: 'input',
      value: (row) => row.inputTokens,
      priority: 3,
    }),
    countColumn({
      id: 'cacheReadTokens',
      title: 'cache read',
      value: (row) => row.cacheReadTokens,
      priority: 4,
    }),
    countColumn({
      id: 'cacheWriteTokens',
      title: 'cache write',
      value: (row) => row.cacheWriteTokens,
      priority: 5,
    }),
    countColumn({
      id: 'outputTokens',
      title: 'output',
      value: (row) => row.outputTokens,
      priority: 3,
    }),
    shareColumn({
      id: 'cacheHitRate',
      title: 'cached',
      value: (row) => row.cacheHitRate,
      priority: 4,
    }),
    countColumn({
      id: 'unpricedCalls',
      title: 'unpriced',
      value: (row) => row.unpricedCalls,
      tone: ({ unpricedCalls }) => (unpricedCalls > 0 ? 'warning' : 'muted'),
      priority: 6,
    }),
    moneyColumn({ id: 'costUsd', title: 'cost', value: ({ costUsd }) => costUsd, priority: 1 }),
    moneyColumn({
      id: 'costBeforeUsd',
      title: 'before',
      value: (row) => row.costBeforeUsd,
      tone: () => 'muted',
      priority: 6,
    }),
    changeColumn({
      id: 'change',
      title: 'change',
      value: ({ costUsd, costBeforeUsd }) => changeOf(costUsd, costBeforeUsd),
      priority: 5,
    }),
    shareColumn({ id: 'share', title: 'share', value: ({ share }) => share, priority: 2 }),
    trendColumn(7, 'accent'),
  ],
  fields: [
    { id: 'traces', title: 'traces', format: 'count', value: ({ traces }) => traces },
    { id: 'allPerHour', title: 'all per hour', format: 'money', value: (row) => row.allPerHourUsd },
  ],
  sorts: [
    { id: 'share', title: 'largest share', direction: 'desc', value: ({ share }) => share },
    { id: 'cost', title: 'highest cost', direction: 'desc', value: ({ costUsd }) => costUsd },
    { id: 'tokens', title: 'most tokens', direction: 'desc', value: tokensOf },
    { id: 'output', title: 'most output', direction: 'desc', value: (row) => row.outputTokens },
    { id: 'calls', title: 'most calls', direction: 'desc', value: ({ calls }) => calls },
    { id: 'cached', title: 'least cached', direction: 'asc', value: (row) => row.cacheHitRate },
    { id: 'group', title: 'group', direction: 'asc', value: ({ group }) => group },
  ],
  comparison: {
    names: 1,
    figures: ['calls', 'costUsd', 'share'],
    of: (row) => ({
      calls: { now: row.calls, before: row.callsBefore },
      costUsd: { now: row.costUsd, before: row.costBeforeUsd },
      share: { now: row.share, before: row.shareBefore },
    }),
  },
  rowKey: ({ group }) => groupKey([group]),
  empty:
    'No trace started in this window. Choose a longer one with :window, or bring in sessions with trace-console import.',
  createReader: () => new UsageReader(),
  summary: ({ extras, rows }) => (rows.length === 0 ? [] : summaryOf(extras)),
  chart: ({ extras: { series, windowMs, isPast } }) => ({
    title: 'cost in US dollars',
    bucketMs: windowMs / chartParts,
    isPast,
    format: 'money',
    // The first is taken for one that the window cuts, as buckets of the clock are.
    curves: [{ label: 'cost', tone: 'accent', values: [0, ...series] }],
  }),
  detail: ({ group, grouping }) =>
    tracesOpening(`Traces: ${group ?? `no ${grouping}`}`, { by: 'usage', grouping, group }),
};
