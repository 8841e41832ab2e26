import type { Queryable } from '../../db/database.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import { columnOf, type CallSource } from './calls.js';

/** What usage is counted by. `agent`: the subagent, or the program where it is none. `day`: in UTC. */
export type UsageGrouping = 'model' | 'project' | 'agent' | 'user' | 'session' | 'day';

/** What a trace (or for `day` anything that has started) is counted under, as SQL; its first 200 characters. */
export function usageOf(shape: SchemaShape, grouping: UsageGrouping, alias: string): string {
  const column = columnOf(shape, 'execution_traces', alias);
  switch (grouping) {
    case 'project':
      return `left(${column('project', 'text')}, 200)`;
    case 'agent':
      return `left(COALESCE(${lastDecision(shape, alias)}, ${column('context', 'jsonb')} ->> 'agent'), 200)`;
    case 'user':
      return `left(${column('user_id', 'text')}, 200)`;
    case 'session':
      return `${column('session_id', 'uuid')}::text`;
    case 'day':
      return `to_char(${alias}.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')`;
    case 'model':
      return `left(${column('model', 'text')}, 200)`;
  }
}

/** By idx_routing_trace. */
function lastDecision(shape: SchemaShape, alias: string): string {
  if (!hasColumn(shape, 'agent_routing_decisions', 'trace_id')) return 'NULL::text';
  return `(SELECT d.agent_selected FROM agent_routing_decisions AS d WHERE d.trace_id = ${alias}.id
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
  FROM endpoint_calls AS c WHERE ${context} ->> 'model' IS NOT NULL`;
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
  };
}

/** A call has a model and a moment of its own; the rest is its trace's. */
function groupOfCall(shape: SchemaShape, grouping: UsageGrouping, context: string): string {
  if (grouping === 'model') return `left(${context} ->> 'model', 200)`;
  if (grouping === 'day') return usageOf(shape, 'day', 'c');
  return `(SELECT ${usageOf(shape, grouping, 't')} FROM execution_traces AS t WHERE t.id = c.trace_id)`;
}

function hasCalls(shape: SchemaShape): boolean {
  return shape.relations.get('endpoint_calls')?.select ?? false;
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
