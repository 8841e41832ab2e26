import { formatDuration, formatSpan } from '../core/format/time.js';
import { counted, countedShort, formatShare } from '../core/format/number.js';
import { groupKey, columnOf, type CallSource } from './reading/calls.js';
import { timed } from './reading/late-rows.js';
import { CallsReader, type CallGroup } from './reading/calls-reader.js';
import {
  beforeOf,
  beforeSegment,
  type ComparedRow,
  callsIn,
  WindowBefore,
  callsChangeColumn,
  growthSort,
  p95ChangeColumn,
  slowedSort,
  callFigures,
  comparedCalls,
} from './reading/comparison.js';
import {
  ageColumn,
  type Column,
  countColumn,
  durationColumn,
  failuresColumn,
  rateTone,
  shareColumn,
  type Sort,
  type SummaryLine,
  textColumn,
  trendColumn,
  trendParts,
} from './contract/column.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  chooseLonger,
} from './contract/pane.js';
import { tracesOpening } from './trace/traces-listed.js';
import type { SchemaShape } from './contract/shape.js';

/** One agent, over the decisions of the window that chose it. Durations are those of the traces. */
export type AgentRow = ComparedRow & {
  agent: string;
  /** Decisions. */
  calls: number;
  /** Of their traces: those that failed or timed out, and those in progress. */
  failures: number;
  inProgress: number;
  /** Of the traces with an outcome, 0..1; null before the first. */
  successRate: number | null;
  p50Ms: number | null;
  maxMs: number | null;
  /** 0..1, the mean of the decisions. */
  confidence: number | null;
  /** Decisions under 70 % confidence. */
  unsure: number;
  lastUsed: Date;
  /** Decisions by twelfth of the window, oldest first. */
  trend: readonly number[];
};

export type AgentsExtras = {
  windowMs: number;
  calls: number;
  /** Of the window before; null where that is not counted (windows over a day). */
  callsBefore: number | null;
  successRate: number | null;
  percentileError: number;
};

class AgentsReader implements PaneReader<AgentRow, AgentsExtras> {
  readonly #calls = new CallsReader({ source: agentSource, trendParts });
  readonly #before = new WindowBefore({ source: agentSource });

  async read(request: ReadRequest): Promise<PaneResult<AgentRow, AgentsExtras>> {
    return request.transaction(async (tx) => {
      const { found, before, share } = await this.#before.readWith(this.#calls, tx, request);
      const { groups, endMs, percentileError } = found;
      const rows = groups
        .map((group) => ({ ...rowOf(group), ...beforeOf(before, groupKey(group.groups)) }))
        .sort((a, b) => b.calls - a.calls);
      const [successes, outcomes] = [0, 1].map((index) => sumOf(groups, index));
      return {
        rows,
        extras: {
          windowMs: request.windowMs,
          calls: rows.reduce((sum, { calls }) => sum + calls, 0),
          callsBefore: callsIn(before),
          successRate: rateOf(successes, outcomes),
          percentileError,
        },
        asOf: new Date(endMs),
        notes: [],
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  reset(): void {
    this.#calls.reset();
    this.#before.reset();
  }
}

function sumOf(groups: readonly CallGroup[], index: number): number {
  return groups.reduce((sum, { sums }) => sum + (sums[index] ?? 0), 0);
}

function rateOf(successes: number | undefined, outcomes: number | undefined): number | null {
  return successes !== undefined && outcomes ? successes / outcomes : null;
}

function rowOf(group: CallGroup): Omit<AgentRow, 'callsBefore' | 'failuresBefore' | 'p95BeforeMs'> {
  const { groups, calls, failures, inProgress, p50Ms, p95Ms, maxMs, lastMs, trend } = group;
  const [successes, outcomes, confidence = 0, unsure = 0] = group.sums;
  return {
    agent: groups[0] ?? '',
    calls,
    failures,
    inProgress,
    successRate: rateOf(successes, outcomes),
    p50Ms,
    p95Ms,
    maxMs,
    confidence: calls > 0 ? confidence / calls : null,
    unsure,
    lastUsed: new Date(lastMs),
    trend,
  };
}

function summaryOf(rows: readonly AgentRow[], extras: AgentsExtras): SummaryLine[] {
  const [first] = rows;
  if (!first) return [];
  const { calls, callsBefore, windowMs, successRate } = extras;
  const slowest = rows.reduce((top, row) => ((row.p95Ms ?? 0) > (top.p95Ms ?? 0) ? row : top));
  return [
    [
      {
        text: `${countedShort(calls, 'decision')} for ${counted(rows.length, 'agent')} in ${formatSpan(windowMs)}`,
      },
      {
        text: `${formatShare(successRate)} successful`,
        tone: rateTone(successRate, calls) ?? 'muted',
      },
      { text: `slowest p95 ${formatDuration(slowest.p95Ms)}: ${slowest.agent}`, tone: 'muted' },
      ...beforeSegment(calls, callsBefore, windowMs),
    ],
  ];
}

/**
 * Routing decisions by agent, each with how its trace went: as agent_performance counts them, but only those of a
 * window. Sums: traces that succeeded, traces that succeeded or failed (not the cancelled ones), confidence, decisions
 * under 70 % confidence.
 */
export function agentSource(shape: SchemaShape): CallSource {
  const trace = columnOf(shape, 'execution_traces', 'e');
  return {
    // A lookup a decision: the planner would rather read all traces for a window of some thousand decisions.
    from: `agent_routing_decisions AS d CROSS JOIN LATERAL (
    SELECT e.status, ${trace('duration_ms', 'bigint')} AS duration_ms, ${trace('success', 'boolean')} AS success
    FROM execution_traces AS e WHERE e.id = d.trace_id LIMIT 1) AS t`,
    at: 'd.created_at',
    groups: ['d.agent_selected'],
    failed: `CASE WHEN t.success IS NULL THEN t.status IN ('failed', 'timeout')
      ELSE NOT t.success AND t.status <> 'cancelled' END`,
    inProgress: "t.status = 'in_progress'",
    duration: 't.duration_ms',
    sums: [
      'CASE WHEN t.success THEN 1 ELSE 0 END',
      "CASE WHEN t.success OR (NOT t.success AND t.status <> 'cancelled') THEN 1 ELSE 0 END",
      'd.confidence_score',
      'CASE WHEN d.confidence_score < 0.7 THEN 1 ELSE 0 END',
    ],
    reads: [timed.decisions],
  };
}

export const agentsColumns: readonly Column<AgentRow>[] = [
  textColumn({
    id: 'agent',
    title: 'agent',
    value: ({ agent }) => agent,
    priority: 1,
    minWidth: 14,
  }),
  countColumn({ id: 'calls', title: 'chosen', value: ({ calls }) => calls, priority: 2 }),
  callsChangeColumn(4),
  shareColumn({
    id: 'successRate',
    title: 'success',
    value: ({ successRate }) => successRate,
    tone: ({ successRate, calls }) => rateTone(successRate, calls),
    priority: 1,
  }),
  failuresColumn(2),
  countColumn({
    id: 'inProgress',
    title: 'running',
    value: ({ inProgress }) => inProgress,
    tone: ({ inProgress }) => (inProgress > 0 ? 'running' : 'muted'),
    priority: 6,
  }),
  durationColumn({ id: 'p50Ms', title: 'p50', value: ({ p50Ms }) => p50Ms, priority: 5 }),
  durationColumn({ id: 'p95Ms', title: 'p95', value: ({ p95Ms }) => p95Ms, priority: 3 }),
  p95ChangeColumn(3),
  shareColumn({
    id: 'confidence',
    title: 'sure',
    value: ({ confidence }) => confidence,
    tone: ({ confidence }) => (confidence !== null && confidence < 0.7 ? 'warning' : undefined),
    priority: 3,
  }),
  countColumn({
    id: 'unsure',
    title: 'unsure',
    value: ({ unsure }) => unsure,
    tone: ({ unsure }) => (unsure > 0 ? 'warning' : 'muted'),
    priority: 6,
  }),
  trendColumn(4, 'accent'),
  ageColumn({ id: 'lastUsed', title: 'last', value: ({ lastUsed }) => lastUsed, priority: 7 }),
];

export const agentsSorts: readonly [Sort<AgentRow>, ...Sort<AgentRow>[]] = [
  { id: 'calls', title: 'most chosen', direction: 'desc', value: ({ calls }) => calls },
  slowedSort,
  {
    id: 'success',
    title: 'least successful',
    direction: 'asc',
    value: ({ successRate }) => successRate,
  },
  { id: 'p95', title: 'slowest p95', direction: 'desc', value: ({ p95Ms }) => p95Ms },
  {
    id: 'confidence',
    title: 'least sure',
    direction: 'asc',
    value: ({ confidence }) => confidence,
  },
  { id: 'failures', title: 'most failures', direction: 'desc', value: ({ failures }) => failures },
  growthSort,
  { id: 'agent', title: 'agent', direction: 'asc', value: ({ agent }) => agent },
];

export const agents: Pane<AgentRow, AgentsExtras, 'agents'> = {
  id: 'agents',
  title: 'Agents',
  question: 'Which agents work, how sure is the routing of them, and how do their traces end?',
  needs: {
    agent_routing_decisions: {
      required: ['trace_id', 'agent_selected', 'confidence_score', 'created_at'],
    },
    execution_traces: { required: ['id', 'status'], optional: ['duration_ms', 'success'] },
  },
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: agentsColumns,
  comparison: { names: 1, figures: callFigures, of: comparedCalls },
  sorts: agentsSorts,
  rowKey: ({ agent }) => agent,
  empty: `No agent was chosen in this window. ${chooseLonger}`,
  hasExamples: true,
  createReader: () => new AgentsReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ agent }) => tracesOpening(`Traces of ${agent}`, { by: 'agent', agent }),
};
