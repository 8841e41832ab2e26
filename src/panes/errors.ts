import type { Queryable } from '../db/database.js';
import { formatSpan } from '../shared/format/duration.js';
import { formatCount } from '../shared/format/number.js';
import { groupKey } from './call-totals.js';
import { CallsReader } from './calls-reader.js';
import { trendParts } from './column-kinds.js';
import { isMany } from './change.js';
import { errorsColumns, errorsSorts } from './errors-columns.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
} from './pane.js';
import type { SchemaShape } from './shape.js';
import { failureSource } from './statements/call-sources.js';
import { errorPatternsStatement, type ErrorPatternsRow } from './statements/error-patterns.js';
import { failuresOfTypeStatement, type FailureRow } from './statements/newest-calls.js';
import { eventsOpening } from './trace/events-opening.js';
import {
  tracesInProgressStatement,
  type TracesInProgressRow,
} from './statements/traces-in-progress.js';
import { callsIn, WindowBefore } from './window-before.js';

/** One type of error, with what failed by it in the window. */
export type ErrorRow = {
  type: string;
  /** Traces, hooks and calls together. */
  count: number;
  traces: number;
  hooks: number;
  calls: number;
  /** Of the window before this one; null where that is not counted (windows over a day). */
  before: number | null;
  /** Failures by twelfth of the window, oldest first. */
  trend: readonly number[];
  /** The newest failure: it began then. */
  last: Date | null;
  /** Of what is known of it; null where nothing is. */
  severity: string | null;
  category: string | null;
  /** Patterns of this type that nobody has resolved. */
  open: number;
  firstSeen: Date | null;
  resolution: string | null;
};

export type ErrorsExtras = {
  windowMs: number;
  failures: number;
  before: number | null;
  open: number;
};

/** Open patterns of which nothing failed in the window. */
const mostOpen = 200;

class ErrorsReader implements PaneReader<ErrorRow, ErrorsExtras> {
  readonly #failures = new CallsReader({
    source: failureSource,
    trendParts,
    // A failure is seen when it ends, in the slice of its beginning.
    restless: true,
    changed: (tx, sliceMs) => this.#slicesWhereTracesEnded(tx, sliceMs),
  });
  readonly #before = new WindowBefore({ source: failureSource, restless: true });
  #running = new Map<number, number>();
  #runningSliceMs = 0;

  async read(request: ReadRequest): Promise<PaneResult<ErrorRow, ErrorsExtras>> {
    const { windowMs, untilMs, shape } = request;
    return request.transaction(async (tx) => {
      const found = await this.#failures.read(tx, request);
      const { groups, endMs } = found;
      const { before, share } = await this.#before.read(tx, request, found);
      const types = groups.map(({ groups: [type] }) => type ?? 'unknown');
      const known = new Map((await readPatterns(tx, shape, types)).map((row) => [row.type, row]));
      const failed = groups.map(({ groups: [type], calls: count, sums, lastMs, trend }) => {
        const [traces = 0, hooks = 0, calls = 0] = sums;
        return {
          type: type ?? 'unknown',
          count,
          traces,
          hooks,
          calls,
          last: new Date(lastMs),
          trend,
        };
      });
      // What is open is so now, and says nothing of the past.
      const quiet = [...known.values()]
        .filter(({ type, open }) => untilMs === undefined && open > 0 && !types.includes(type))
        .map(({ type, last_seen: last }) => ({ ...nothing, type, last }));
      const rows = [...failed, ...quiet]
        .map((row): ErrorRow => ({
          ...row,
          before: before && (before.get(groupKey([row.type]))?.calls ?? 0),
          ...knownOf(known.get(row.type)),
        }))
        .sort((a, b) => b.count - a.count || a.type.localeCompare(b.type, 'en'));
      const sum = (value: (row: ErrorRow) => number) =>
        rows.reduce((total, row) => total + value(row), 0);
      return {
        rows,
        extras: {
          windowMs,
          failures: sum(({ count }) => count),
          before: callsIn(before),
          open: sum(({ open }) => open),
        },
        asOf: new Date(endMs),
        notes: notesOf(shape),
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  reset(): void {
    this.#failures.reset();
    this.#before.reset();
  }

  /** A trace fails long after it began: slices that have other traces running than the last time. */
  async #slicesWhereTracesEnded(tx: Queryable, sliceMs: number): Promise<ReadonlySet<number>> {
    const { rows } = await tx.query<TracesInProgressRow>(tracesInProgressStatement, [
      sliceMs / 1000,
      0,
    ]);
    const running = new Map(
      Object.entries(rows[0]?.by_slice ?? {}).map(([slice, traces]) => [Number(slice), traces]),
    );
    const last = this.#runningSliceMs === sliceMs ? this.#running : new Map<number, number>();
    this.#running = running;
    this.#runningSliceMs = sliceMs;
    return new Set(
      [...last].filter(([slice, traces]) => running.get(slice) !== traces).map(([slice]) => slice),
    );
  }
}

const nothing = { count: 0, traces: 0, hooks: 0, calls: 0, trend: [] as readonly number[] };

async function readPatterns(
  tx: Queryable,
  shape: SchemaShape,
  types: readonly string[],
): Promise<ErrorPatternsRow[]> {
  const relation = shape.relations.get('error_patterns');
  const needed = ['error_type', 'first_occurrence_at', 'last_occurrence_at'];
  if (!relation?.select || !needed.every((column) => relation.columns.has(column))) return [];
  const { rows } = await tx.query<ErrorPatternsRow>(errorPatternsStatement(shape), [
    types,
    mostOpen,
  ]);
  return rows;
}

function knownOf(row: ErrorPatternsRow | undefined) {
  return {
    severity: row?.severity ?? null,
    category: row?.category ?? null,
    open: row?.open ?? 0,
    firstSeen: row?.first_seen ?? null,
    resolution: row?.resolution ?? null,
  };
}

function notesOf(shape: SchemaShape): string[] {
  return ['hook_executions', 'endpoint_calls', 'error_patterns'].flatMap((table) =>
    shape.relations.get(table)?.select ? [] : [`${table} cannot be read, and is not counted`],
  );
}

function summaryOf(rows: readonly ErrorRow[], extras: ErrorsExtras): SummaryLine[] {
  const { failures, before, open, windowMs } = extras;
  const types = rows.filter(({ count }) => count > 0).length;
  const span = formatSpan(windowMs);
  return [
    [
      failures > 0
        ? { text: `${formatCount(failures)} failures of ${types} types in ${span}`, tone: 'error' }
        : { text: `nothing failed in ${span}`, tone: 'success' },
      ...(before === null
        ? []
        : [
            {
              text: `${formatCount(before)} in the ${span} before`,
              tone: isMany(failures, before) ? ('warning' as const) : ('muted' as const),
            },
          ]),
      { text: `${formatCount(open)} open patterns`, tone: 'muted' },
    ],
  ];
}

export const errors: Pane<ErrorRow, ErrorsExtras> = {
  id: 'errors',
  title: 'Errors',
  question: 'What fails, does it fail more often than before, and is it known?',
  needs: {
    execution_traces: { required: ['id', 'status', 'started_at'], optional: ['error_type'] },
  },
  windowed: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: errorsColumns,
  sorts: errorsSorts,
  rowKey: ({ type }) => type,
  empty: 'Nothing failed in this window, and no pattern of errors is open.',
  createReader: () => new ErrorsReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ type }) =>
    eventsOpening<FailureRow>({
      title: `Newest failures: ${type}`,
      text: failuresOfTypeStatement,
      values: [type],
      eventOf: (row) => ({
        kind: row.failed === 'call' ? 'endpoint_call' : row.failed,
        id: row.id,
        traceId: row.trace_id,
        startedAt: row.started_at,
        durationMs: row.duration_ms,
        failed: true,
        what: row.what ?? '',
        text: row.error_message ?? '',
      }),
    }),
};
