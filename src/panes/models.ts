import { formatSpan } from '../core/format/time.js';
import { counted, countedShort, formatShare } from '../core/format/number.js';
import {
  countColumn,
  failuresColumn,
  formatValue,
  moneyColumn,
  p95Column,
  shareColumn,
  type SummaryLine,
  textColumn,
  tokenColumns,
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
import type { SchemaShape } from './contract/shape.js';
import { CallsReader, type CallGroup } from './reading/calls-reader.js';
import { columnOf, groupKey, type CallSource } from './reading/calls.js';
import { timed } from './reading/late-rows.js';
import {
  comparedCalls,
  WindowBefore,
  type CallsBefore,
  type ComparedRow,
} from './reading/comparison.js';
import { tracesOpening } from './trace/traces-listed.js';
import { boundedText } from '../db/quote.js';

/** One model over the window. Tokens and cost are those of traces that name it as theirs, calls those of services. */
export type ModelRow = ComparedRow & {
  model: string;
  /** Traces that started in the window. */
  traces: number;
  /** Of the calls of the model that started in the window. */
  failures: number;
  /** Input that was not cached, input read from a cache, input written to it, and output. */
  inputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  /** US dollars. */
  costUsd: number;
  costBeforeUsd: number | null;
  /** Of the cost of all models; of their tokens where nothing has a cost. 0..1 */
  share: number;
  /** Traces and calls by twelfth of the window, oldest first. */
  trend: readonly number[];
};

export type ModelsExtras = {
  windowMs: number;
  calls: number;
  failures: number;
  tokens: number;
  costUsd: number;
};

/**
 * Calls of models, and traces with their tokens, in one stream. Sums: traces, calls, failed calls, the four kinds of
 * tokens, cost. Reads the window by idx_endpoint_calls_started_at and idx_execution_traces_started_at.
 */
export function modelSource(shape: SchemaShape): CallSource {
  const trace = columnOf(shape, 'execution_traces', 't');
  const call = columnOf(shape, 'endpoint_calls', 'c');
  const traces = `SELECT t.started_at, ${boundedText(trace('model', 'text'), 200)} AS model, true AS is_trace,
    t.status = 'in_progress' AS running, false AS failed, NULL::bigint AS duration_ms,
    ${trace('input_tokens', 'bigint')} AS input, ${trace('cache_read_tokens', 'bigint')} AS cache_read,
    ${trace('cache_creation_tokens', 'bigint')} AS cache_write, ${trace('output_tokens', 'bigint')} AS output,
    ${trace('cost_usd', 'numeric')} AS cost
  FROM execution_traces AS t WHERE ${trace('model', 'text')} IS NOT NULL`;
  const calls = `SELECT c.started_at, ${boundedText(`${call('context', 'jsonb')} ->> 'model'`, 200)}, false,
    ${call('success', 'boolean')} IS NULL, ${call('success', 'boolean')} = false,
    -- A transcript tells of most calls by one line: how long they took is not known.
    NULLIF(${call('duration_ms', 'bigint')}, 0),
    NULL, NULL, NULL, NULL, NULL
  FROM endpoint_calls AS c WHERE ${call('context', 'jsonb')} ->> 'model' IS NOT NULL`;
  const hasCalls = shape.relations.get('endpoint_calls')?.select ?? false;
  const one = (condition: string) => `CASE WHEN ${condition} THEN 1 ELSE 0 END`;
  return {
    from: `(${[traces, ...(hasCalls ? [calls] : [])].join('\n  UNION ALL ')}) AS m`,
    at: 'm.started_at',
    groups: ['m.model'],
    failed: 'm.failed',
    inProgress: 'm.running',
    duration: 'm.duration_ms',
    sums: [
      one('m.is_trace'),
      one('NOT m.is_trace'),
      one('m.failed'),
      'm.input',
      'm.cache_read',
      'm.cache_write',
      'm.output',
      'm.cost',
    ],
    reads: [timed.traces, ...(hasCalls ? [timed.calls] : [])],
  };
}

class ModelsReader implements PaneReader<ModelRow, ModelsExtras> {
  readonly #calls = new CallsReader({ source: modelSource, trendParts });
  readonly #before = new WindowBefore({ source: modelSource });

  async read(request: ReadRequest): Promise<PaneResult<ModelRow, ModelsExtras>> {
    return request.transaction(async (tx) => {
      const { found, before, share } = await this.#before.readWith(this.#calls, tx, request);
      const { groups, endMs } = found;
      const rows = withShares(groups.map((group) => rowOf(group, before)));
      const sum = (value: (row: ModelRow) => number) =>
        rows.reduce((total, row) => total + value(row), 0);
      return {
        rows,
        extras: {
          windowMs: request.windowMs,
          calls: sum(({ calls }) => calls),
          failures: sum(({ failures }) => failures),
          tokens: sum(tokensOf),
          costUsd: sum(({ costUsd }) => costUsd),
        },
        asOf: new Date(endMs),
        notes: request.shape.relations.get('endpoint_calls')?.select
          ? []
          : ['endpoint_calls cannot be read, and is not counted'],
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  reset(): void {
    this.#calls.reset();
    this.#before.reset();
  }
}

function rowOf({ groups, sums, p95Ms, trend }: CallGroup, before: CallsBefore | null): ModelRow {
  const then = before?.get(groupKey(groups));
  const sumBefore = (index: number) => before && (then?.sums[index] ?? 0);
  const [traces, calls, failures, input, cacheRead, cacheWrite, output, cost] = sums;
  return {
    model: groups[0] ?? 'unknown',
    traces: traces ?? 0,
    calls: calls ?? 0,
    failures: failures ?? 0,
    p95Ms,
    inputTokens: input ?? 0,
    cacheReadTokens: cacheRead ?? 0,
    cacheWriteTokens: cacheWrite ?? 0,
    outputTokens: output ?? 0,
    costUsd: cost ?? 0,
    share: 0,
    trend,
    callsBefore: sumBefore(1),
    failuresBefore: sumBefore(2),
    p95BeforeMs: then?.p95Ms ?? null,
    costBeforeUsd: sumBefore(7),
  };
}

function tokensOf(row: ModelRow): number {
  return row.inputTokens + row.cacheReadTokens + row.cacheWriteTokens + row.outputTokens;
}

function withShares(rows: readonly ModelRow[]): ModelRow[] {
  const costs = rows.reduce((sum, { costUsd }) => sum + costUsd, 0);
  const weight = (row: ModelRow) => (costs > 0 ? row.costUsd : tokensOf(row));
  const all = rows.reduce((sum, row) => sum + weight(row), 0);
  return rows
    .map((row) => ({ ...row, share: all > 0 ? weight(row) / all : 0 }))
    .sort((a, b) => b.share - a.share || b.calls - a.calls || a.model.localeCompare(b.model, 'en'));
}

function summaryOf(rows: readonly ModelRow[], extras: ModelsExtras): SummaryLine[] {
  const { calls, failures, tokens, costUsd, windowMs } = extras;
  if (rows.length === 0) return [];
  return [
    [
      {
        text: `${countedShort(calls, 'call')} of ${counted(rows.length, 'model')} in ${formatSpan(windowMs)}`,
      },
      failures > 0
        ? { text: `${formatShare(failures / calls)} failed`, tone: 'error' }
        : { text: 'none failed', tone: 'success' },
      { text: countedShort(tokens, 'token') },
      { text: formatValue(costUsd, 'money', { nowMs: 0 }) },
    ],
  ];
}

export const models: Pane<ModelRow, ModelsExtras, 'models'> = {
  id: 'models',
  title: 'Models',
  question: 'Which models are called, how much do they read and write, and what do they cost?',
  needs: {
    execution_traces: {
      required: ['id', 'status', 'started_at'],
      optional: [
        'model',
        'input_tokens',
        'output_tokens',
        'cache_read_tokens',
        'cache_creation_tokens',
        'cost_usd',
      ],
    },
  },
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: [
    textColumn({
      id: 'model',
      title: 'model',
      value: ({ model }) => model,
      priority: 1,
      minWidth: 16,
    }),
    countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 2 }),
    failuresColumn(2),
    p95Column(5),
    countColumn({ id: 'traces', title: 'traces', value: ({ traces }) => traces, priority: 4 }),
    ...tokenColumns,
    moneyColumn({ id: 'costUsd', title: 'cost', value: ({ costUsd }) => costUsd, priority: 1 }),
    shareColumn({ id: 'share', title: 'share', value: ({ share }) => share, priority: 3 }),
    trendColumn(6, 'accent'),
  ],
  sorts: [
    { id: 'share', title: 'largest share', direction: 'desc', value: ({ share }) => share },
    { id: 'cost', title: 'highest cost', direction: 'desc', value: ({ costUsd }) => costUsd },
    { id: 'tokens', title: 'most tokens', direction: 'desc', value: tokensOf },
    { id: 'calls', title: 'most calls', direction: 'desc', value: ({ calls }) => calls },
    {
      id: 'failures',
      title: 'most failures',
      direction: 'desc',
      value: ({ failures }) => failures,
    },
    { id: 'p95', title: 'slowest p95', direction: 'desc', value: ({ p95Ms }) => p95Ms },
    { id: 'model', title: 'model', direction: 'asc', value: ({ model }) => model },
  ],
  comparison: {
    names: 1,
    figures: ['calls', 'failures', 'p95Ms', 'costUsd'],
    of: (row) => ({
      ...comparedCalls(row),
      costUsd: { now: row.costUsd, before: row.costBeforeUsd },
    }),
  },
  rowKey: ({ model }) => model,
  empty: `No model was called in this window. ${chooseLonger}`,
  hasExamples: true,
  createReader: () => new ModelsReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ model }) => tracesOpening(`Traces of ${model}`, { by: 'model', model }),
};
