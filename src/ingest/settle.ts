import { isEndTold } from './merge-hook.js';
import type { Course } from './merge.js';
import type { CallRow, HookRow, Json, TraceRow } from './rows.js';
import type { Usage } from './events.js';

/** What is known of a trace besides its own row, when its outcome is found. */
export type TraceParts = {
  /** What was told of its course, also by events that named no turn. */
  course: Course;
  calls: readonly CallRow[];
  tools: readonly Pick<HookRow, 'status' | 'started_at' | 'completed_at' | 'metadata'>[];
  /** When the next turn of the session began, the session ended, or the trace it belongs to was closed. */
  closedAt: number | undefined;
};

/**
 * The trace with its sums, its status and its end, found from all that is known of it, so that the order in
 * which events came makes no difference.
 */
export function settled(trace: TraceRow, parts: TraceParts): TraceRow {
  return withOutcome(withSums(trace, parts.calls), parts);
}

/** @param calls the trace's own, in the order of their beginnings */
export function withSums(trace: TraceRow, calls: readonly CallRow[]): TraceRow {
  const models = new Map<string, { usage: Usage; costUsd: number | null }>();
  let isBound = false;
  let isPartlyPriced = false;
  for (const { context } of calls) {
    const usage = context.usage as Usage | undefined;
    const cost = (context.cost as { usd?: number } | undefined)?.usd;
    isBound ||= context.usage_bound === true;
    if (usage !== undefined && cost === undefined) isPartlyPriced = true;
    const name = typeof context.model === 'string' ? context.model : 'unknown';
    const known = models.get(name) ?? { usage: noUsage, costUsd: null };
    models.set(name, {
      usage: usage === undefined ? known.usage : addUsage(known.usage, usage),
      costUsd: cost === undefined ? known.costUsd : (known.costUsd ?? 0) + cost,
    });
  }
  const total = [...models.values()].reduce((sum, { usage }) => addUsage(sum, usage), noUsage);
  const costs = [...models.values()].flatMap(({ costUsd }) => (costUsd === null ? [] : [costUsd]));
  const [main] = [...models].toSorted(
    ([a, one], [b, other]) => other.usage.output - one.usage.output || (a < b ? -1 : 1),
  );
  const hasUsage = calls.some(({ context }) => context.usage !== undefined);
  const context: Json = { ...trace.context };
  delete context.usage;
  delete context.usage_bound;
  delete context.cost_partial;
  delete context.cost;
  if (models.size > 1) {
    context.usage = Object.fromEntries([...models].map(([name, { usage }]) => [name, usage]));
  }
  if (isBound) context.usage_bound = true;
  if (isPartlyPriced && costs.length > 0) context.cost_partial = true;
  const cost = calls.find((call) => call.context.cost !== undefined)?.context.cost as
    Json | undefined;
  // A key without a value would differ from what is stored: the row would be written again each time.
  if (cost)
    context.cost =
      cost.table === undefined
        ? { source: cost.source }
        : { source: cost.source, table: cost.table };
  return {
    ...trace,
    model: main && main[0] !== 'unknown' ? main[0] : null,
    provider: calls[0]?.service_name ?? null,
    input_tokens: hasUsage ? total.input : null,
    output_tokens: hasUsage ? total.output : null,
    cache_read_tokens: hasUsage ? total.cacheRead : null,
    cache_creation_tokens: hasUsage ? total.cacheCreation : null,
    cost_usd: costOf(costs),
    context,
  };
}

const noUsage: Usage = { input: 0, output: 0, cacheRead: 0, cacheCreation: 0, cacheCreation1h: 0 };

function addUsage(one: Usage, other: Usage): Usage {
  return {
    input: sumOf(one.input, other.input),
    output: sumOf(one.output, other.output),
    cacheRead: sumOf(one.cacheRead, other.cacheRead),
    cacheCreation: sumOf(one.cacheCreation, other.cacheCreation),
    cacheCreation1h: sumOf(one.cacheCreation1h, other.cacheCreation1h),
  };
}

/** Anybody may send any number: the database would refuse the trace for a sum that no column holds. */
const sumOf = (one: number, other: number) => Math.min(Number.MAX_SAFE_INTEGER, one + other);

/** Likewise (US dollars): such a cost is none. */
const costLimit = 1e8;

function costOf(costs: readonly number[]): number | null {
  const sum = toMicros(costs.reduce((all, usd) => all + usd, 0));
  return costs.length === 0 || sum >= costLimit ? null : sum;
}

/** As the column holds it: six decimals of a dollar. */
export function toMicros(usd: number): number {
  return Math.round(usd * 1e6) / 1e6;
}

function withOutcome(trace: TraceRow, { course, calls, tools, closedAt }: TraceParts): TraceRow {
  const { endedAt, failed, interruptedAt } = course;
  if (interruptedAt !== undefined && interruptedAt >= (endedAt ?? 0)) {
    return closed(trace, 'cancelled', interruptedAt, { type: 'interrupted' });
  }
  if (failed !== undefined && failed.at >= (endedAt ?? 0)) {
    return closed(trace, 'failed', failed.at, failed);
  }
  if (endedAt !== undefined) return closed(trace, 'completed', endedAt);
  if (closedAt === undefined) {
    return {
      ...trace,
      status: 'in_progress',
      completed_at: null,
      duration_ms: null,
      error_type: null,
      error_message: null,
    };
  }
  // No source told the end. The turn was answered if the model spoke last and no tool was still running.
  const lastCall = Math.max(0, ...calls.map(({ completed_at: at }) => at ?? 0));
  const isOpen = tools.some((tool) => !isEndTold(tool));
  const lastTool = Math.max(
    0,
    ...tools.map(({ completed_at: at, started_at: started }) => at ?? started),
  );
  const end = Math.max(trace.started_at, lastCall, lastTool);
  const isAnswered = lastCall > 0 && !isOpen && lastCall >= lastTool;
  return isAnswered
    ? closed(trace, 'completed', end)
    : closed(trace, 'cancelled', end, { type: 'no_end', message: 'No source told of its end.' });
}

function closed(
  trace: TraceRow,
  status: 'completed' | 'failed' | 'cancelled',
  at: number,
  error?: { type: string; message?: string | undefined },
): TraceRow {
  const end = Math.max(at, trace.started_at);
  return {
    ...trace,
    status,
    completed_at: end,
    duration_ms: Math.round(end - trace.started_at),
    error_type: error?.type ?? null,
    error_message: error?.message ?? null,
  };
}

/** A tool without an end of its own: it runs as long as its trace does. */
export function abandoned(tool: HookRow, trace: TraceRow): HookRow {
  if (trace.status === 'in_progress')
    return { ...tool, status: 'in_progress', completed_at: null, duration_ms: null };
  const end = Math.max(tool.started_at, trace.completed_at ?? tool.started_at);
  return {
    ...tool,
    status: 'cancelled',
    completed_at: end,
    duration_ms: Math.round(end - tool.started_at),
  };
}
