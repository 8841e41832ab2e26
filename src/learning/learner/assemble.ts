import { groupBy } from '../../core/values.js';
import { collapsed, type ErrorEvent, type ToolStep, type Turn } from './tree.js';

/** Times of rows are milliseconds since 1970. */
export type TraceRow = {
  id: string;
  correlation_id: string;
  root_id: string;
  parent_id: string | null;
  session_id: string;
  status: string;
  success: boolean | null;
  error_type: string | null;
  error_message: string | null;
  prompt: string | null;
  intent: string | null;
  agent: string | null;
  cost_usd: number | null;
  duration_ms: number | null;
  started_at: number;
  completed_at: number | null;
  runs: boolean;
};

export type DecisionRow = { trace_id: string; agent_selected: string; routing_strategy: string };

export type HookRow = {
  trace_id: string;
  hook_type: string;
  hook_name: string;
  tool_name: string | null;
  tool_use_id: string | null;
  failed: boolean | null;
  /** Null unless the hook failed. */
  error_type: string | null;
  error_message: string | null;
  command: string | null;
  started_at: number;
};

export type CallRow = {
  trace_id: string;
  service_name: string;
  calls: number;
  failed_urls: string[] | null;
  error_types: string[] | null;
  messages: string[] | null;
  times: number[] | null;
};

export type TreeRows = {
  traces: readonly TraceRow[];
  decisions: readonly DecisionRow[];
  hooks: readonly HookRow[];
  calls: readonly CallRow[];
};

/** What an import writes for a turn that it never saw end. */
const unknownEnd = 'no_end';

const mostTools = 60;
const mostHooks = 20;
const mostAgents = 12;
const mostErrors = 50;
/** Levels that are followed; deeper ones, or a circle of parents, count as so deep. */
const deepest = 32;
const followedBy = 4;

/** Puts the rows of many trees together, one turn a root. */
export function assembleTurns(roots: readonly string[], rows: TreeRows): Turn[] {
  const traces = groupBy(rows.traces, ({ root_id }) => root_id);
  const decisions = new Map(rows.decisions.map((row) => [row.trace_id, row]));
  const hooks = groupBy(rows.hooks, ({ trace_id }) => trace_id);
  const calls = groupBy(rows.calls, ({ trace_id }) => trace_id);
  return roots.flatMap((rootId) => {
    const tree = traces.get(rootId) ?? [];
    const root = tree.find(({ correlation_id }) => correlation_id === rootId);
    if (typeof root?.completed_at !== 'number' || tree.some(({ runs }) => runs)) return [];
    return [assembleTurn(root, tree, { decisions, hooks, calls })];
  });
}

type Children = {
  decisions: ReadonlyMap<string, DecisionRow>;
  hooks: ReadonlyMap<string, readonly HookRow[]>;
  calls: ReadonlyMap<string, readonly CallRow[]>;
};

function assembleTurn(root: TraceRow, tree: readonly TraceRow[], children: Children): Turn {
  const agentOf = (trace: TraceRow) =>
    children.decisions.get(trace.id)?.agent_selected ?? trace.agent ?? 'unknown';
  const hooks = tree
    .flatMap(({ id }) => children.hooks.get(id) ?? [])
    .toSorted((one, other) => one.started_at - other.started_at);
  const steps = toolSteps(hooks);
  const costs = tree.flatMap(({ cost_usd }) => (cost_usd === null ? [] : [cost_usd]));
  return {
    correlationId: root.correlation_id,
    traceId: root.id,
    sessionId: root.session_id,
    prompt: root.prompt,
    intent: root.intent,
    status: root.status,
    isEndKnown: root.error_type !== unknownEnd,
    success: root.success,
    startedAt: root.started_at,
    endedAt: root.completed_at ?? root.started_at,
    durationMs: root.duration_ms,
    costUsd: costs.length === 0 ? null : costs.reduce((sum, cost) => sum + cost, 0),
    agent: agentOf(root),
    strategy: children.decisions.get(root.id)?.routing_strategy ?? null,
    agents: collapsed([
      agentOf(root),
      ...tree.filter((trace) => trace !== root).map(agentOf),
    ]).slice(0, mostAgents),
    depth: depthOf(tree),
    overheadMs: overheadOf(tree),
    tools: steps.slice(0, mostTools),
    hooks: [
      ...new Set(
        hooks
          .filter(({ hook_type }) => hook_type !== 'ToolUse')
          .map(({ hook_type, hook_name }) => `${hook_type} ${hook_name}`),
      ),
    ].slice(0, mostHooks),
    services: serviceCounts(tree, children.calls),
    errors: errorsOf(tree, agentOf, children, steps).slice(0, mostErrors),
  };
}

type TimedStep = ToolStep & { at: number };

/**
 * One step a use of a tool: a writer has a row for the use itself (ToolUse), or only the hooks before and after it.
 * Rows of one use share its id; without an id only ToolUse and PreToolUse rows begin a step.
 */
function toolSteps(hooks: readonly HookRow[]): TimedStep[] {
  const steps: TimedStep[] = [];
  const byUse = new Map<string, TimedStep>();
  for (const { hook_type, tool_name, tool_use_id, failed, command, started_at } of hooks) {
    if (tool_name === null) continue;
    const failedUse =
      hook_type === 'PostToolUseFailure' || (hook_type === 'ToolUse' && (failed ?? false));
    const known = tool_use_id === null ? undefined : byUse.get(tool_use_id);
    if (known) {
      known.isFailed ||= failedUse;
      known.command ??= command;
      continue;
    }
    if (tool_use_id === null && hook_type !== 'ToolUse' && hook_type !== 'PreToolUse') continue;
    const step = { name: tool_name, command, isFailed: failedUse, at: started_at };
    steps.push(step);
    if (tool_use_id !== null) byUse.set(tool_use_id, step);
  }
  return steps;
}

function serviceCounts(
  tree: readonly TraceRow[],
  calls: ReadonlyMap<string, readonly CallRow[]>,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { id } of tree) {
    for (const { service_name, calls: more } of calls.get(id) ?? []) {
      counts.set(service_name, (counts.get(service_name) ?? 0) + more);
    }
  }
  return counts;
}

function depthOf(tree: readonly TraceRow[]): number {
  const parents = new Map(tree.map(({ correlation_id, parent_id }) => [correlation_id, parent_id]));
  let most = 0;
  for (const { parent_id } of tree) {
    let depth = 0;
    for (let id = parent_id; id !== null && depth < deepest; depth += 1) {
      id = parents.get(id) ?? null;
    }
    most = Math.max(most, depth);
  }
  return most;
}

/** For each trace with children: its time less the time in which at least one child ran. */
function overheadOf(tree: readonly TraceRow[]): number {
  const byParent = groupBy(tree, ({ parent_id }) => parent_id ?? '');
  let overhead = 0;
  for (const trace of tree) {
    const children = byParent.get(trace.correlation_id);
    if (!children || trace.completed_at === null) continue;
    const end = trace.completed_at;
    let covered = 0;
    let reached = trace.started_at;
    // Rows are in the order of their start.
    for (const child of children) {
      const from = Math.max(child.started_at, reached);
      const to = Math.min(child.completed_at ?? end, end);
      if (to <= from) continue;
      covered += to - from;
      reached = to;
    }
    overhead += Math.max(0, end - trace.started_at - covered);
  }
  return Math.round(overhead);
}

function errorsOf(
  tree: readonly TraceRow[],
  agentOf: (trace: TraceRow) => string,
  { hooks, calls }: Children,
  steps: readonly TimedStep[],
): ErrorEvent[] {
  const after = (at: number) =>
    collapsed(steps.filter((step) => step.at > at && !step.isFailed).map(({ name }) => name)).slice(
      0,
      followedBy,
    );
  const events: ErrorEvent[] = [];
  for (const trace of tree) {
    const agent = agentOf(trace);
    const base = { agent, traceId: trace.id, hookType: null, endpointUrl: null, isFatal: false };
    for (const hook of hooks.get(trace.id) ?? []) {
      if (hook.error_type === null && hook.error_message === null) continue;
      events.push({
        ...base,
        errorType: hook.error_type ?? '',
        message: hook.error_message ?? '',
        hookType: hook.hook_type,
        then: after(hook.started_at),
        at: hook.started_at,
      });
    }
    for (const call of calls.get(trace.id) ?? []) {
      for (const [index, at] of (call.times ?? []).entries()) {
        events.push({
          ...base,
          errorType: call.error_types?.[index] ?? '',
          message: call.messages?.[index] ?? '',
          endpointUrl: call.failed_urls?.[index] ?? null,
          then: after(at),
          at,
        });
      }
    }
    // A person who stops an agent is no error.
    if (trace.status === 'cancelled') continue;
    if (trace.error_type === null && trace.error_message === null) continue;
    const errorType = trace.error_type ?? '';
    const message = trace.error_message ?? '';
    // The hook or call that failed and the trace that it ended tell of one error; the trace's may name the service first.
    const cause = events.findLast(
      (event) =>
        event.traceId === trace.id &&
        event.errorType === errorType &&
        message.endsWith(event.message),
    );
    if (cause) {
      cause.isFatal = true;
      continue;
    }
    const at = trace.completed_at ?? trace.started_at;
    events.push({ ...base, errorType, message, isFatal: true, then: after(at), at });
  }
  return events.toSorted((one, other) => one.at - other.at);
}
