import type { Queryable } from '../../db/database.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import { formatCount } from '../../core/format/number.js';
import { trendParts } from '../contract/column.js';
import { columnOf, groupKey, type CallSource, type CallTotal } from './calls.js';
import type { CallGroup, CallGroups } from './calls-reader.js';
import type { CallsBefore } from './comparison.js';
import { boundedText } from '../../db/quote.js';
import { timed } from './late-rows.js';

/** What usage is counted by. `agent`: the subagent, or the program where it is none. `day`: in UTC. */
export type UsageGrouping = 'model' | 'project' | 'agent' | 'user' | 'session' | 'day';

/** What a trace (or for `day` anything that has started) is counted under, as SQL; its first 200 characters. */
export function usageOf(shape: SchemaShape, grouping: UsageGrouping, alias: string): string {
  const column = columnOf(shape, 'execution_traces', alias);
  switch (grouping) {
    case 'project':
      return boundedText(column('project', 'text'), 200);
    case 'agent':
      return `COALESCE(${lastDecision(shape, alias)}, ${boundedText(`${column('context', 'jsonb')} ->> 'agent'`, 200)})`;
    case 'user':
      return boundedText(column('user_id', 'text'), 200);
    case 'session':
      return `${column('session_id', 'uuid')}::text`;
    case 'day':
      return `to_char(${alias}.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')`;
    case 'model':
      return boundedText(column('model', 'text'), 200);
  }
}

/** By idx_routing_trace. */
function lastDecision(shape: SchemaShape, alias: string): string {
  if (!hasColumn(shape, 'agent_routing_decisions', 'trace_id')) return 'NULL::text';
  return `(SELECT ${boundedText('d.agent_selected', 200)} FROM agent_routing_decisions AS d WHERE d.trace_id = ${alias}.id
    ORDER BY d.created_at DESC LIMIT 1)`;
}

/** Where the sums of {@link usageSource} stand. */
export const usageSums = {
  traces: 0,
  turns: 1,
  calls: 2,
  unpricedCalls: 3,
  unpricedTraces: 4,
  pricedTraces: 5,
  input: 6,
  cacheRead: 7,
  cacheWrite: 8,
  output: 9,
  cost: 10,
} as const;

/**
 * Traces with their tokens and cost, and calls of models, in one stream. Read by
 * idx_execution_traces_started_at and idx_endpoint_calls_started_at; a call looks up its trace by the primary key.
 */
export function usageSource(shape: SchemaShape, grouping: UsageGrouping): CallSource {
  const trace = columnOf(shape, 'execution_traces', 't');
  const call = columnOf(shape, 'endpoint_calls', 'c');
  const group = usageOf(shape, grouping, 't');
  const tokens = ['input_tokens', 'cache_read_tokens', 'cache_creation_tokens', 'output_tokens'];
  const has = tokens.map((column) => `${trace(column, 'bigint')} IS NOT NULL`).join(' OR ');
  const cost = trace('cost_usd', 'numeric');
  const one = (condition: string) => `CASE WHEN ${condition} THEN 1 ELSE 0 END`;
  const traces = `SELECT t.started_at, t.status = 'in_progress' AS running, ${group} AS grouped, 1 AS traces,
    ${one(`${trace('parent_id', 'uuid')} IS NULL`)} AS turns, 0 AS calls, 0 AS unpriced_calls,
    ${one(`(${has}) AND ${cost} IS NULL`)} AS unpriced_traces, ${one(`${cost} IS NOT NULL`)} AS priced_traces,
    ${tokens.map((column) => `${trace(column, 'bigint')} AS ${column}`).join(', ')}, ${cost} AS cost
  FROM execution_traces AS t`;
  const context = call('context', 'jsonb');
  const calls = `SELECT c.started_at, false, ${groupOfCall(shape, grouping, context)}, 0, 0, 1,
    ${one(`${context} ? 'usage' AND NOT ${context} ? 'cost'`)}, 0, 0, NULL, NULL, NULL, NULL, NULL
  FROM ${callsWithTraces(shape, grouping)} WHERE ${context} ->> 'model' IS NOT NULL`;
  return {
    from: `(${[traces, ...(hasCalls(shape) ? [calls] : [])].join('\n  UNION ALL ')}) AS u`,
    at: 'u.started_at',
    groups: ['u.grouped'],
    failed: 'false',
    // Its tokens grow until it ends.
    inProgress: 'u.running',
    sums: [
      ...['traces', 'turns', 'calls', 'unpriced_calls', 'unpriced_traces', 'priced_traces'],
      ...[...tokens, 'cost'],
    ].map((column) => `u.${column}`),
    reads: [timed.traces, ...(hasCalls(shape) ? [timed.calls] : [])],
  };
}

/** A call has a model and a moment of its own; the rest is its trace's. */
function groupOfCall(shape: SchemaShape, grouping: UsageGrouping, context: string): string {
  if (grouping === 'model') return boundedText(`${context} ->> 'model'`, 200);
  return grouping === 'day' ? usageOf(shape, 'day', 'c') : 'own.grouped';
}

/**
 * The planner remembers the traces of the last calls (Memoize): three calls a trace take half the time that they take with a
 * subquery in the list of columns. OFFSET keeps it from reading all traces for a join by hash.
 */
function callsWithTraces(shape: SchemaShape, grouping: UsageGrouping): string {
  if (grouping === 'model' || grouping === 'day') return 'endpoint_calls AS c';
  return `endpoint_calls AS c LEFT JOIN LATERAL (
    SELECT ${usageOf(shape, grouping, 't')} AS grouped FROM execution_traces AS t WHERE t.id = c.trace_id OFFSET 0) AS own ON true`;
}

function hasCalls(shape: SchemaShape): boolean {
  return shape.relations.get('endpoint_calls')?.select ?? false;
}

type Sums = readonly number[];

/** Cost, or tokens where nothing has a cost. */
function weightOf(sums: Sums, all: Sums): number {
  return (all[usageSums.cost] ?? 0) > 0 ? (sums[usageSums.cost] ?? 0) : tokensOfSums(sums);
}

function tokensOfSums(sums: Sums): number {
  const { input, cacheRead, cacheWrite, output } = usageSums;
  return (
    (sums[input] ?? 0) + (sums[cacheRead] ?? 0) + (sums[cacheWrite] ?? 0) + (sums[output] ?? 0)
  );
}

/** A subagent whose calls nobody told of is no use of a model. */
function usesAnything(sums: Sums): boolean {
  const { turns, calls, pricedTraces } = usageSums;
  const counts = (sums[turns] ?? 0) + (sums[calls] ?? 0) + (sums[pricedTraces] ?? 0);
  return counts > 0 || tokensOfSums(sums) > 0;
}

/** What all groups come to. */
export type AllUses = { groups: number; sums: Sums };

/** Of all groups that use anything: their sums, and those with the largest share, in that order. */
export function largestUses(
  totals: Iterable<CallTotal>,
  most: number,
): { all: AllUses; largest: readonly CallTotal[] } {
  const used = [...totals].filter(({ sums }) => usesAnything(sums));
  const all: number[] = [];
  for (const { sums } of used) {
    for (let index = 0; index < sums.length; index += 1) {
      all[index] = (all[index] ?? 0) + (sums[index] ?? 0);
    }
  }
  const byShare = ({ sums: a }: CallTotal, { sums: b }: CallTotal) =>
    weightOf(b, all) - weightOf(a, all) ||
    tokensOfSums(b) - tokensOfSums(a) ||
    (b[usageSums.traces] ?? 0) - (a[usageSums.traces] ?? 0);
  return { all: { groups: used.length, sums: all }, largest: firstOf(used, most, byShare) };
}

/** The first `most` in an order, without sorting the rest. */
function firstOf<Item>(
  items: readonly Item[],
  most: number,
  compare: (a: Item, b: Item) => number,
): Item[] {
  let kept: Item[] = [];
  let last: Item | undefined;
  for (const item of items) {
    if (last !== undefined && compare(item, last) >= 0) continue;
    kept.push(item);
    if (kept.length < 2 * most) continue;
    kept = kept.toSorted(compare).slice(0, most);
    last = kept.at(-1);
  }
  return kept.toSorted(compare).slice(0, most);
}

/**
 * The traces of one group over the window, and the calls of models of one group. A trace's tokens and cost are its own,
 * without those of its subagents, which are traces themselves: everything is counted once.
 */
export type UsageRow = {
  /** What the traces have in common; null where they say nothing of it. */
  group: string | null;
  grouping: UsageGrouping;
  /** Of a session; null: none of its traces says one. */
  project?: string | null;
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
  /** While a long window is being fetched, newest first: of which part of it, the last, everything else is. */
  partMs?: number;
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

export type AskedUsage = { grouping: UsageGrouping } & Pick<
  UsageExtras,
  'windowMs' | 'partMs' | 'isPast' | 'budget'
>;

/** Parts of the window for the chart; a row's trend adds up four of them. */
export const chartParts = 4 * trendParts;

/** The rows and sums of a window. */
export function usageOfWindow(
  { groups, series }: CallGroups,
  all: AllUses,
  before: CallsBefore | null,
  asked: AskedUsage,
) {
  const sum = (name: keyof typeof usageSums) => all.sums[usageSums[name]] ?? 0;
  const costs = sum('cost');
  const weights = weightOf(all.sums, all.sums);
  const costsBefore =
    before &&
    [...before.values()].reduce((total, { sums }) => total + (sums[usageSums.cost] ?? 0), 0);
  const allPerHourUsd = (costs * 3_600_000) / (asked.partMs ?? asked.windowMs);
  const rows = groups.map((group) => {
    const row = rowOf(group, before, asked.grouping);
    return {
      ...row,
      share: weights > 0 ? weightOf(group.sums, all.sums) / weights : 0,
      shareBefore: costsBefore ? (row.costBeforeUsd ?? 0) / costsBefore : null,
      allPerHourUsd,
    };
  });
  const extras: UsageExtras = {
    windowMs: asked.windowMs,
    ...(asked.partMs === undefined ? {} : { partMs: asked.partMs }),
    groups: all.groups,
    turns: sum('turns'),
    calls: sum('calls'),
    tokens: tokensOfSums(all.sums),
    costUsd: sum('pricedTraces') > 0 ? costs : null,
    costBeforeUsd: costsBefore,
    unpricedCalls: sum('unpricedCalls'),
    unpricedTraces: sum('unpricedTraces'),
    series,
    ...(asked.budget ? { budget: asked.budget } : {}),
    isPast: asked.isPast,
  };
  const isCut = all.groups > rows.length;
  const notes = isCut
    ? [`the ${formatCount(rows.length)} that used most of ${formatCount(all.groups)}`]
    : [];
  return { rows, extras, notes };
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

/** The projects of sessions, which are looked up once a session. */
export class SessionProjects {
  readonly #known = new Map<string, string | null>();

  /** By idx_execution_traces_session. */
  async of(
    tx: Queryable,
    shape: SchemaShape,
    rows: readonly UsageRow[],
  ): Promise<(UsageRow & { project: string | null })[]> {
    const unknown = rows.flatMap(({ group }) =>
      group === null || this.#known.has(group) ? [] : [group],
    );
    if (unknown.length > 0 && hasColumn(shape, 'execution_traces', 'project')) {
      const found = await tx.query<{ session: string; project: string | null }>(
        `SELECT session::text, (
  SELECT ${boundedText('t.project', 200)} FROM execution_traces AS t
  WHERE t.session_id = session AND t.project IS NOT NULL ORDER BY t.started_at DESC LIMIT 1) AS project
FROM unnest($1::uuid[]) AS session`,
        [unknown],
      );
      // One without a project may yet get one.
      for (const { session, project } of found.rows) {
        if (project !== null) this.#known.set(session, project);
      }
    }
    return rows.map((row) => ({ ...row, project: this.#known.get(row.group ?? '') ?? null }));
  }
}

/** It changes little from one reading to the next, and a day may hold ten thousands of traces. */
const readEveryMs = 30_000;

/** What the traces of today (UTC) have cost so far, US dollars. */
export class DayCost {
  #kept: { atMs: number; usd: number } | undefined;

  /** @param nowMs the server's clock; what was read less than half a minute ago, on the same day, is used again */
  async read(tx: Queryable, shape: SchemaShape, nowMs: number): Promise<number> {
    const kept = this.#kept;
    const isSameDay = kept && utcDay(kept.atMs) === utcDay(nowMs);
    if (isSameDay && nowMs - kept.atMs < readEveryMs) return kept.usd;
    const { rows } = await tx.query<{ usd: number }>(dayCostStatement(shape));
    const usd = rows[0]?.usd ?? 0;
    this.#kept = { atMs: nowMs, usd };
    return usd;
  }
}

const utcDay = (ms: number) => Math.floor(ms / 86_400_000);

/** Reads idx_execution_traces_started_at from midnight on. */
export function dayCostStatement(shape: SchemaShape): string {
  return `
SELECT COALESCE(sum(${columnOrNull(shape, 'execution_traces', 'cost_usd', 'numeric')}), 0)::float8 AS usd
FROM execution_traces
WHERE started_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`;
}
