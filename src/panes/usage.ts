import { formatSpan } from '../core/format/time.js';
import { countedShort, formatCount, formatMoney, formatShare } from '../core/format/number.js';
import {
  changeColumn,
  countColumn,
  moneyColumn,
  shareColumn,
  type SummaryLine,
  textColumn,
  tokenColumns,
  trendColumn,
} from './contract/column.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  namedCommands,
} from './contract/pane.js';
import type { SchemaShape } from './contract/shape.js';
import { CallsReader } from './reading/calls-reader.js';
import { groupKey } from './reading/calls.js';
import { changeOf, WindowBefore } from './reading/comparison.js';
import {
  chartParts,
  DayCost,
  SessionProjects,
  largestUses,
  usageOfWindow,
  usageSource,
  usageSums,
  type AllUses,
  type UsageExtras,
  type UsageGrouping,
  type UsageRow,
} from './reading/usage.js';
import { tracesOpening } from './trace/traces-listed.js';

const mostRows = 500;
/** Sessions may be without number: a window with more of them is cut to its newest days. */
const mostGroups = 50_000;
const dayMs = 86_400_000;
/** A month beside the one before is what spending is judged by. */
const longestComparedMs = 30 * dayMs;

export class UsageReader implements PaneReader<UsageRow, UsageExtras> {
  readonly #mostGroups: number;
  #grouping: UsageGrouping = 'model';
  #all: AllUses = { groups: 0, sums: [] };
  readonly #source = (shape: SchemaShape) => usageSource(shape, this.#grouping);
  readonly #calls = new CallsReader({
    source: this.#source,
    trendParts: chartParts,
    trendSum: usageSums.cost,
    choose: (totals) => {
      const { all, largest } = largestUses(totals, mostRows);
      this.#all = all;
      return largest;
    },
  });
  readonly #before = new WindowBefore({ source: this.#source, longestMs: longestComparedMs });
  readonly #today = new DayCost();
  readonly #projects = new SessionProjects();
  #longestMs = Infinity;

  constructor(most = mostGroups) {
    this.#mostGroups = most;
  }

  async read(request: ReadRequest): Promise<PaneResult<UsageRow, UsageExtras>> {
    this.#grouping = groupings.find(({ id }) => id === request.grouping)?.id ?? 'model';
    return request.transaction(async (tx) => {
      let asking = this.#shortened(request);
      let found = await this.#calls.read(tx, asking);
      if (this.#all.groups > this.#mostGroups && asking.windowMs > dayMs) {
        const days = Math.floor((0.75 * found.share * asking.windowMs) / dayMs);
        this.#longestMs = Math.max(1, days) * dayMs;
        this.reset();
        asking = this.#shortened(request);
        found = await this.#calls.read(tx, asking);
      }
      const { before, share } = await this.#before.read(tx, asking, found);
      const { budgetUsdPerDay: perDayUsd, shape, windowMs, untilMs } = asking;
      const isPast = untilMs !== undefined;
      const budget =
        perDayUsd === undefined || isPast
          ? {}
          : { budget: { todayUsd: await this.#today.read(tx, shape, found.endMs), perDayUsd } };
      const part = found.share < 1 ? { partMs: wholePart(found.share * windowMs) } : {};
      const asked = { grouping: this.#grouping, windowMs, ...part, isPast, ...budget };
      const result = usageOfWindow(found, this.#all, before, asked);
      const isCut = windowMs < request.windowMs;
      const rows =
        this.#grouping === 'session'
          ? await this.#projects.of(tx, shape, result.rows)
          : result.rows;
      return {
        ...result,
        rows,
        notes: isCut
          ? [
              `of the last ${formatSpan(windowMs)} only: the window has over ${formatCount(this.#mostGroups)} groups`,
              ...result.notes,
            ]
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

/** A span of time in the unit that people would use: days, hours or minutes. */
function wholePart(ms: number): number {
  const unit = [dayMs, 3_600_000].find((each) => ms >= 2 * each) ?? 60_000;
  return Math.max(unit, Math.floor(ms / unit) * unit);
}

const sessionOf = ({ group, grouping }: UsageRow) => (grouping === 'session' ? group : null);

/** The name of a session for people: its project, and the first digits of its id to tell two of them apart. */
function groupText(row: UsageRow): string {
  const id = sessionOf(row);
  if (id === null) return row.group ?? 'unknown';
  return row.project ? `${id.slice(0, 8)} ${row.project}` : id;
}

function tokensOf(row: UsageRow): number {
  return row.inputTokens + row.cacheReadTokens + row.cacheWriteTokens + row.outputTokens;
}

function summaryOf(extras: UsageExtras): SummaryLine[] {
  const { windowMs, partMs, costUsd, costBeforeUsd, tokens, turns, calls, budget } = extras;
  const { unpricedCalls, unpricedTraces } = extras;
  const unpriced =
    unpricedCalls > 0
      ? `${countedShort(unpricedCalls, 'call')} unpriced`
      : unpricedTraces > 0
        ? `${countedShort(unpricedTraces, 'trace')} unpriced`
        : undefined;
  return [
    [
      {
        text: `${formatMoney(costUsd)} in ${formatSpan(partMs ?? windowMs)}${partMs === undefined ? '' : ` so far, of ${formatSpan(windowMs)}`}`,
      },
      ...(unpriced === undefined ? [] : [{ text: unpriced, tone: 'warning' as const }]),
      ...(budget ? [budgetSegment(budget)] : []),
      { text: countedShort(tokens, 'token') },
      { text: `${countedShort(turns, 'turn')}, ${countedShort(calls, 'call')}` },
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
      value: groupText,
      tone: ({ group }) => (group === null ? 'muted' : undefined),
      priority: 1,
      minWidth: 16,
    }),
    countColumn({ id: 'turns', title: 'turns', value: ({ turns }) => turns, priority: 5 }),
    countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 4 }),
    ...tokenColumns,
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
    { id: 'session', title: 'session', format: 'text', value: sessionOf },
    { id: 'project', title: 'project', format: 'text', value: (row) => row.project ?? null },
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
  idOf: ({ group }) => group ?? 'unknown',
  empty: `No trace started in this window. Choose a longer one with :${namedCommands.window}, or bring in sessions with trace-console import.`,
  createReader: () => new UsageReader(),
  summary: ({ extras, rows }) => (rows.length === 0 ? [] : summaryOf(extras)),
  chart: ({ extras: { series, windowMs, isPast } }) => ({
    title: 'cost in US dollars',
    bucketMs: windowMs / chartParts,
    isPast,
    format: 'money',
    isWhole: true,
    curves: [{ label: 'cost', tone: 'accent', values: series }],
  }),
  detail: ({ group, grouping }) =>
    tracesOpening(`Traces: ${group ?? `no ${grouping}`}`, { by: 'usage', grouping, group }),
};
