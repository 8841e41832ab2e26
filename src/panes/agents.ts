import { formatDuration, formatSpan } from '../shared/format/duration.js';
import { formatCount, formatShare } from '../shared/format/number.js';
import { groupKey } from './call-totals.js';
import { agentsColumns, agentsSorts } from './agents-columns.js';
import { CallsReader, type CallGroup } from './calls-reader.js';
import { beforeOf, beforeSegment, type ComparedRow } from './change.js';
import { trendParts } from './column-kinds.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
} from './pane.js';
import { rateTone } from './rate-tone.js';
import { agentSource } from './statements/call-sources.js';
import { tracesOpening } from './trace/traces-opening.js';
import { callsIn, WindowBefore } from './window-before.js';

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
      const found = await this.#calls.read(tx, request);
      const { groups, endMs, percentileError } = found;
      const { before, share } = await this.#before.read(tx, request, found);
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

function rowOf(group: CallGroup): Omit<AgentRow, 'callsBefore' | 'p95BeforeMs'> {
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
        text: `${formatCount(calls)} decisions for ${rows.length} agents in ${formatSpan(windowMs)}`,
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

export const agents: Pane<AgentRow, AgentsExtras> = {
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
  sorts: agentsSorts,
  rowKey: ({ agent }) => agent,
  empty:
    'No agent was chosen in this window. Choose a longer one with :window, or: trace-console demo',
  createReader: () => new AgentsReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ agent }) => tracesOpening(`Newest traces of ${agent}`, { by: 'agent', agent }),
};
