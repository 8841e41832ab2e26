import { groupBy } from '../../core/values.js';
import type { Queryable } from '../../db/queryable.js';
import {
  agentsInOrder,
  collapsed,
  depthOf,
  longestMs,
  overheadOf,
  type ErrorEvent,
  type ToolStep,
  type Turn,
} from './tree.js';

/** Times of rows are milliseconds since 1970. */
type TraceRow = {
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

type DecisionRow = { trace_id: string; agent_selected: string; routing_strategy: string };

type HookRow = {
  id: string;
  trace_id: string;
  hook_type: string;
  hook_name: string;
  tool_name: string | null;
  tool_use_id: string | null;
  failed: boolean | null;
  /** Null unless the hook failed; one that was cancelled did not. */
  error_type: string | null;
  error_message: string | null;
  command: string | null;
  started_at: number;
};

type CallRow = {
  trace_id: string;
  service_name: string;
  calls: number;
  failed_urls: string[] | null;
  /** The hook that made each call that failed. */
  by_hooks: (string | null)[] | null;
  error_types: string[] | null;
  messages: string[] | null;
  times: number[] | null;
};

type TreeRows = {
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
/** Longer sequences of tools are all different: none of them would be what most turns did. */
export const followedBy = 2;

/** Puts the rows of many trees together, one turn a root. */
function assembleTurns(roots: readonly string[], rows: TreeRows): Turn[] {
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
    agents: agentsInOrder(
      agentOf(root),
      tree.filter((trace) => trace !== root).map((t) => ({ agent: agentOf(t), at: t.started_at })),
    ).slice(0, mostAgents),
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
  const children = groupBy(tree, ({ parent_id }) => parent_id ?? '');
  for (const trace of tree) {
    const agent = agentOf(trace);
    const base = { agent, traceId: trace.id, hookType: null, endpointUrl: null, isFatal: false };
    const own: ErrorEvent[] = [];
    const byHook = new Map<string, ErrorEvent[]>();
    for (const call of calls.get(trace.id) ?? []) {
      for (const [index, at] of (call.times ?? []).entries()) {
        const event = {
          ...base,
          errorType: call.error_types?.[index] ?? '',
          message: call.messages?.[index] ?? '',
          endpointUrl: call.failed_urls?.[index] ?? null,
          then: after(at),
          at,
        };
        own.push(event);
        const hook = call.by_hooks?.[index] ?? '';
        byHook.set(hook, [...(byHook.get(hook) ?? []), event]);
      }
    }
    for (const hook of hooks.get(trace.id) ?? []) {
      if (hook.error_type === null && hook.error_message === null) continue;
      const event = {
        ...base,
        errorType: hook.error_type ?? '',
        message: hook.error_message ?? '',
        hookType: hook.hook_type,
        then: after(hook.started_at),
        at: hook.started_at,
      };
      if (!(byHook.get(hook.id) ?? []).some((call) => isSameFailure(event, call))) own.push(event);
    }
    events.push(...own);
    const failure = failureOf(trace);
    if (!failure) continue;
    const cause = own.findLast((event) => isSameFailure(failure, event));
    if (cause) cause.isFatal = true;
    const below = children.get(trace.correlation_id) ?? [];
    if (cause ?? below.map(failureOf).some((child) => child && isSameFailure(failure, child))) {
      continue;
    }
    const at = trace.completed_at ?? trace.started_at;
    events.push({ ...base, ...failure, isFatal: true, then: after(at), at });
  }
  return events.toSorted((one, other) => one.at - other.at);
}

type Failure = Pick<ErrorEvent, 'errorType' | 'message'>;

/** How a trace failed. A person who stops an agent is no error. */
function failureOf({ status, error_type: type, error_message: message }: TraceRow) {
  if (status === 'cancelled' || (type === null && message === null)) return undefined;
  return { errorType: type ?? '', message: message ?? '' };
}

/**
 * Whether a trace or hook failed by what failed directly below it: by its type, as the pane of errors counts it. Without a type by
 * the message, which may name the service or tool first.
 */
function isSameFailure(of: Failure, below: Failure): boolean {
  if (of.errorType !== below.errorType) return false;
  return of.errorType !== '' || of.message.endsWith(below.message);
}

/** The root of a tree that may be learned from; when it ended to the microsecond, as a Date cannot say it. */
export type Candidate = { correlationId: string; completedAt: string };

type CandidateQuery = {
  schema: string;
  /** Only trees that started since; null: all. */
  since: Date | null;
  /** Behind this one in the order of completion. */
  after: Candidate | undefined;
  limit: number;
  /** Whether there is a ledger yet; a dry run makes none. */
  hasLedger: boolean;
};

/** A tree whose child still runs waits for it, but not for ever: that child's writer may be gone. */
const waitsForChildren = "interval '1 day'";

/**
 * A router logs the use of a pattern about when the turn ends: learned from before that, the use would count twice. OFFSET keeps
 * the planner from reading all decisions at once, where those of the last minute are looked up.
 */
const waitsForRouter = "interval '1 minute'";

/** Roots that ended since `$1`, where that is given, and were not learned from in the schema `$2`. */
const endedRoots = (hasLedger: boolean) => `
  t.root_id = t.correlation_id AND t.status <> 'in_progress' AND isfinite(t.completed_at)
  AND ($1::timestamptz IS NULL OR t.started_at >= $1)
  AND NOT (t.completed_at BETWEEN now() - ${waitsForRouter} AND now() AND EXISTS (
    SELECT FROM agent_routing_decisions AS d
    WHERE d.trace_id = t.id AND d.pattern_id IS NOT NULL AND d.actual_success IS NULL OFFSET 0))
  ${
    hasLedger
      ? `AND NOT EXISTS (SELECT FROM trace_console.learned_traces AS l
           WHERE l.target_schema = $2 AND l.correlation_id = t.correlation_id)`
      : 'AND $2::name IS NOT NULL'
  }`;

/** How many {@link findCandidates} would find without a limit; a tree in which something still runs counts, too. */
export async function countCandidates(
  tx: Queryable,
  { since, schema, hasLedger }: Pick<CandidateQuery, 'since' | 'schema' | 'hasLedger'>,
): Promise<number> {
  const { rows } = await tx.query<{ turns: number }>(
    `SELECT count(*)::int AS turns FROM execution_traces AS t WHERE ${endedRoots(hasLedger)}`,
    [since, schema],
  );
  return rows[0]?.turns ?? 0;
}

/**
 * Turns that ended and were not learned from, in the order in which they ended. This order is what makes the
 * result independent of how often learning is interrupted. The anti-join goes over the ledger's primary key.
 */
export async function findCandidates(tx: Queryable, query: CandidateQuery): Promise<Candidate[]> {
  const { rows } = await tx.query<Candidate>(
    `SELECT t.correlation_id AS "correlationId", t.completed_at::text AS "completedAt"
     FROM execution_traces AS t
     WHERE ${endedRoots(query.hasLedger)}
       AND ($3::timestamptz IS NULL OR (t.completed_at, t.correlation_id) > ($3, $4::uuid))
     ORDER BY t.completed_at, t.correlation_id LIMIT $5`,
    [
      query.since,
      query.schema,
      query.after?.completedAt ?? null,
      query.after?.correlationId ?? null,
      query.limit,
    ],
  );
  return rows;
}

/** Shells, as the agents call them: only their commands are read. */
const shells = [
  'Bash',
  'bash',
  'shell',
  'exec_command',
  'local_shell',
  'run_shell_command',
  'terminal',
];

const milliseconds = (column: string) => `(1000 * EXTRACT(epoch FROM ${column}))::float8`;

const plausibleMs = (column: string) =>
  `CASE WHEN ${column} BETWEEN 0 AND ${longestMs} THEN ${column}::float8 END`;

/**
 * The trees of these roots, in the order given; without those in which something still runs. Texts are cut on the
 * server: a tool's output may be megabytes.
 */
export async function readTurns(tx: Queryable, roots: readonly string[]): Promise<Turn[]> {
  const { rows: traces } = await tx.query<TraceRow>(
    `SELECT t.id, t.correlation_id, t.root_id, t.parent_id, t.session_id, t.status, t.success,
       left(t.error_type, 512) AS error_type, left(t.error_message, 500) AS error_message,
       CASE WHEN t.correlation_id = t.root_id THEN left(t.prompt_text, 8000) END AS prompt,
       left(t.context->>'intent', 200) AS intent, left(t.context->>'agent', 200) AS agent,
       NULLIF(t.cost_usd, 'NaN')::float8 AS cost_usd, ${plausibleMs('t.duration_ms')} AS duration_ms, ${milliseconds('t.started_at')} AS started_at,
       ${milliseconds('t.completed_at')} AS completed_at,
       t.status = 'in_progress' AND t.started_at > now() - ${waitsForChildren} AS runs
     FROM execution_traces AS t
     WHERE t.root_id = ANY ($1) AND isfinite(t.started_at)
     ORDER BY t.started_at, t.correlation_id`,
    [roots],
  );
  const ids = traces.map(({ id }) => id);
  const { rows: decisions } = await tx.query<DecisionRow>(
    `SELECT DISTINCT ON (d.trace_id) d.trace_id, d.agent_selected, left(d.routing_strategy, 512) AS routing_strategy
     FROM agent_routing_decisions AS d WHERE d.trace_id = ANY ($1)
     ORDER BY d.trace_id, d.created_at DESC, d.id`,
    [ids],
  );
  const { rows: hooks } = await tx.query<HookRow>(
    `SELECT h.id, h.trace_id, h.hook_type, h.hook_name, h.tool_name, h.tool_use_id,
       h.success = false OR h.exit_code <> 0 AS failed,
       CASE WHEN e.is_error THEN left(COALESCE(h.error_type, ''), 512) END AS error_type,
       CASE WHEN e.is_error THEN left(h.error_message, 500) END AS error_message,
       CASE WHEN h.tool_name = ANY ($2) THEN left(h.input_data->>'command', 300) END AS command,
       ${milliseconds('h.started_at')} AS started_at
     FROM hook_executions AS h
     CROSS JOIN LATERAL (SELECT h.success = false AND h.status IS DISTINCT FROM 'cancelled' AS is_error) AS e
     WHERE h.trace_id = ANY ($1)
     ORDER BY h.started_at, h.execution_order, h.id`,
    [ids, shells],
  );
  const { rows: calls } = await tx.query<CallRow>(
    `SELECT c.trace_id, c.service_name, count(*)::int AS calls,
       array_agg(left(c.endpoint_url, 256) ORDER BY c.started_at, c.id) FILTER (WHERE c.success = false) AS failed_urls,
       array_agg(c.hook_execution_id ORDER BY c.started_at, c.id) FILTER (WHERE c.success = false) AS by_hooks,
       array_agg(left(COALESCE(c.error_type, 'HTTP ' || c.status_code, ''), 512) ORDER BY c.started_at, c.id)
         FILTER (WHERE c.success = false) AS error_types,
       array_agg(COALESCE(left(c.error_message, 500), '') ORDER BY c.started_at, c.id)
         FILTER (WHERE c.success = false) AS messages,
       array_agg(${milliseconds('c.started_at')} ORDER BY c.started_at, c.id)
         FILTER (WHERE c.success = false) AS times
     FROM endpoint_calls AS c WHERE c.trace_id = ANY ($1)
     GROUP BY c.trace_id, c.service_name ORDER BY c.trace_id, c.service_name`,
    [ids],
  );
  return assembleTurns(roots, { traces, decisions, hooks, calls });
}
