import { readNumber } from '../core/values.js';
import type { Queryable } from '../db/database.js';
import { formatSpan } from '../core/format/time.js';
import { counted, countedShort, formatCount } from '../core/format/number.js';
import { groupKey } from './reading/calls.js';
import { CallsReader } from './reading/calls-reader.js';
import {
  ageColumn,
  changeColumn,
  countColumn,
  textColumn,
  trendColumn,
  trendParts,
  type SummaryLine,
  type Column,
  type Sort,
  type Tone,
} from './contract/column.js';
import { isMany, callsIn, WindowBefore, changeOf } from './reading/comparison.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import type { SchemaShape } from './contract/shape.js';
import {
  failureSource,
  failuresOfTypeStatement,
  mostPatternsCounted,
  readPatterns,
  type ErrorPatternsRow,
} from './reading/failures.js';
import { eventsOpening } from './trace/events-opening.js';
import { tracesInProgressStatement, type TracesInProgressRow } from './reading/trace-counts.js';

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
  /** Patterns of this type that nobody has resolved, now, whatever window or moment is shown. */
  open: number;
  firstSeen: Date | null;
  resolution: string | null;
};

export type ErrorsExtras = {
  windowMs: number;
  failures: number;
  before: number | null;
  /** Patterns that nobody has resolved: all there are now. */
  open: number;
  /** The window has ended. */
  isPast?: true;
};

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
      const { found, before, share } = await this.#before.readWith(this.#failures, tx, request);
      const { groups, endMs } = found;
      const types = groups.map(({ groups: [type] }) => type ?? 'unknown');
      const patterns = await readPatterns(tx, shape, types);
      const known = new Map(patterns.map((row) => [row.type, row]));
      const allOpen = patterns[0]?.all_open ?? 0;
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
      // A type of which nothing failed is a row of now only: its last failure may be later than a moment in the past.
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
          open: allOpen,
          ...(untilMs === undefined ? {} : { isPast: true }),
        },
        asOf: new Date(endMs),
        notes: [...notesOf(shape), ...notShown(allOpen - sum(({ open }) => open))],
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
      Object.entries(rows[0]?.by_slice ?? {}).map(([slice, traces]) => [readNumber(slice), traces]),
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

function knownOf(row: ErrorPatternsRow | undefined) {
  return {
    severity: row?.severity ?? null,
    category: row?.category ?? null,
    open: row?.open ?? 0,
    firstSeen: row?.first_seen ?? null,
    resolution: row?.resolution ?? null,
  };
}

function notShown(open: number): string[] {
  return open > 0
    ? [`${counted(open, 'open pattern')} of types that are not among these rows`]
    : [];
}

function notesOf(shape: SchemaShape): string[] {
  return ['hook_executions', 'endpoint_calls', 'error_patterns'].flatMap((table) =>
    shape.relations.get(table)?.select ? [] : [`${table} cannot be read, and is not counted`],
  );
}

function summaryOf(rows: readonly ErrorRow[], extras: ErrorsExtras): SummaryLine[] {
  const { failures, before, open, windowMs, isPast } = extras;
  const types = rows.filter(({ count }) => count > 0).length;
  const span = formatSpan(windowMs);
  return [
    [
      failures > 0
        ? {
            text: `${countedShort(failures, 'failure')} of ${counted(types, 'type')} in ${span}`,
            tone: 'error',
          }
        : { text: `nothing failed in ${span}`, tone: 'success' },
      ...(before === null
        ? []
        : [
            {
              text: `${formatCount(before)} in the ${span} before`,
              tone: isMany(failures, before) ? ('warning' as const) : ('muted' as const),
            },
          ]),
      {
        text: `${open < mostPatternsCounted ? '' : 'at least '}${countedShort(open, 'open pattern')}${isPast ? ' now' : ''}`,
        tone: 'muted',
      },
    ],
  ];
}

const severities = ['critical', 'high', 'medium', 'low'];

const severityTones: ReadonlyMap<string, Tone> = new Map(
  Object.entries({
    critical: 'error',
    high: 'error',
    medium: 'warning',
    low: 'muted',
  } as const),
);

export const errorsColumns: readonly Column<ErrorRow>[] = [
  textColumn({
    id: 'type',
    title: 'error',
    value: ({ type }) => type,
    tone: ({ count }) => (count === 0 ? 'muted' : undefined),
    priority: 1,
    minWidth: 16,
  }),
  countColumn({
    id: 'count',
    title: 'count',
    value: ({ count }) => count,
    tone: ({ count }) => (count > 0 ? 'error' : 'muted'),
    priority: 1,
  }),
  changeColumn({
    id: 'change',
    title: 'change',
    value: ({ count, before }) => changeOf(count, before),
    tone: ({ count, before }) =>
      before !== null && isMany(count, before) ? 'warning' : ('muted' as const),
    priority: 3,
  }),
  trendColumn(3, 'error'),
  ageColumn({ id: 'last', title: 'last', value: ({ last }) => last, priority: 2 }),
  countColumn({ id: 'traces', title: 'traces', value: ({ traces }) => traces, priority: 5 }),
  countColumn({ id: 'hooks', title: 'hooks', value: ({ hooks }) => hooks, priority: 5 }),
  countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 5 }),
  textColumn({
    id: 'severity',
    title: 'severity',
    value: ({ severity }) => severity,
    tone: ({ severity }) => (severity === null ? 'muted' : severityTones.get(severity)),
    priority: 4,
    minWidth: 8,
    maxWidth: 8,
  }),
  countColumn({
    id: 'open',
    title: 'open',
    value: ({ open }) => open,
    tone: ({ open }) => (open > 0 ? 'warning' : 'muted'),
    priority: 4,
  }),
  ageColumn({ id: 'firstSeen', title: 'first', value: ({ firstSeen }) => firstSeen, priority: 7 }),
  textColumn({
    id: 'resolution',
    title: 'what helped',
    value: ({ resolution }) => resolution,
    tone: () => 'muted',
    // What to do about it says more than in what it failed.
    priority: 2,
    minWidth: 14,
    maxWidth: 40,
  }),
];

export const errorsSorts: readonly [Sort<ErrorRow>, ...Sort<ErrorRow>[]] = [
  { id: 'count', title: 'most failures', direction: 'desc', value: ({ count }) => count },
  { id: 'last', title: 'newest', direction: 'desc', value: ({ last }) => last },
  {
    id: 'growth',
    title: 'fastest growing',
    direction: 'desc',
    value: ({ count, before }) => changeOf(count, before),
  },
  {
    id: 'severity',
    title: 'most severe',
    direction: 'asc',
    value: ({ severity }) => (severity === null ? null : severities.indexOf(severity)),
  },
  { id: 'open', title: 'most open', direction: 'desc', value: ({ open }) => open },
  { id: 'type', title: 'error', direction: 'asc', value: ({ type }) => type },
];

export const errors: Pane<ErrorRow, ErrorsExtras, 'errors'> = {
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
  comparison: {
    names: 1,
    figures: ['calls'],
    of: ({ count, before }) => ({ calls: { now: count, before } }),
  },
  sorts: errorsSorts,
  rowKey: ({ type }) => type,
  empty: 'Nothing failed in this window, and no pattern of errors is open.',
  createReader: () => new ErrorsReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ type }) =>
    eventsOpening({
      title: `Failures: ${type}`,
      text: failuresOfTypeStatement,
      values: [type],
      orders: ['newest', 'slowest'],
    }),
};
