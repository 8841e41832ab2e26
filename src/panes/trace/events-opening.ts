import { chooseLonger } from '../contract/pane.js';
import { ageColumn, durationColumn, textColumn, type Column } from '../contract/column.js';
import { erasedList, type Opening } from '../contract/opening.js';
import { hasColumn, type SchemaShape } from '../contract/shape.js';
import {
  firstPage,
  pagedList,
  readPage,
  windowText,
  type ListField,
  type ListOrder,
  type ListQuery,
} from '../contract/listing.js';
import type { TimelineKind } from './event.js';
import { eventKey, kindWords } from './event.js';
import { unknownNames } from '../reading/names.js';
import { traceOpening } from './trace-opening.js';

/** An event of some trace, in a list of such. */
export type ListedEvent = {
  kind: TimelineKind;
  id: string | null;
  traceId: string | null;
  startedAt: Date | null;
  durationMs: number | null;
  failed: boolean;
  /** What it is: a hook with its type, a service with the answer. */
  what: string;
  /** What went wrong, or what it worked on. */
  text: string;
};

const columns: readonly Column<ListedEvent>[] = [
  durationColumn({ id: 'durationMs', title: 'took', priority: 1, value: (row) => row.durationMs }),
  ageColumn({
    id: 'age',
    title: 'ago',
    priority: 2,
    value: ({ startedAt }) => startedAt,
    tone: () => 'muted',
  }),
  textColumn({
    id: 'kind',
    title: 'kind',
    value: ({ kind }) => kindWords[kind],
    tone: () => 'muted',
    priority: 4,
    minWidth: 7,
    maxWidth: 7,
  }),
  textColumn({
    id: 'result',
    title: 'result',
    value: ({ failed }) => (failed ? 'failed' : 'ok'),
    tone: ({ failed }) => (failed ? 'error' : 'muted'),
    priority: 1,
    minWidth: 6,
    maxWidth: 6,
  }),
  textColumn({
    id: 'what',
    title: 'what',
    value: ({ what }) => what,
    priority: 3,
    minWidth: 14,
    maxWidth: 30,
  }),
  textColumn({
    id: 'text',
    title: 'error or detail',
    value: ({ text }) => text,
    tone: ({ failed }) => (failed ? 'error' : 'muted'),
    priority: 1,
    minWidth: 15,
  }),
];

export type EventsQuery = {
  title: string;
  /**
   * Events with the columns of {@link EventRow}, without order and limit. `$1` and `$2` are the window, `$3` and on the
   * values.
   */
  text: (shape: SchemaShape) => string;
  values: readonly unknown[];
  /** Ids of {@link eventOrders}, the first of them first. */
  orders: readonly [OrderId, ...OrderId[]];
};

/** What a statement of events gives. Its texts are cut. */
export type EventRow = {
  kind: 'trace' | 'hook' | 'endpoint_call';
  id: string | null;
  trace_id: string | null;
  started_at: Date | null;
  duration_ms: number | null;
  failed: boolean;
  what: string | null;
  text: string | null;
};

type OrderId = 'newest' | 'slowest' | 'failed';

const eventOrders: Readonly<Record<OrderId, ListOrder>> = {
  newest: { id: 'newest', title: 'newest', sql: 'listed.started_at', type: 'timestamptz' },
  slowest: {
    id: 'slowest',
    title: 'slowest',
    sql: 'COALESCE(listed.duration_ms, -1)::float8',
    type: 'float8',
  },
  // Failed events sort before others: a year of milliseconds is added to them.
  failed: {
    id: 'failed',
    title: 'failed, then slowest',
    sql: '(CASE WHEN listed.failed THEN 31536000000 ELSE 0 END + COALESCE(listed.duration_ms, -1))::float8',
    type: 'float8',
  },
};

function fieldsOf(shape: SchemaShape): readonly ListField[] {
  const ofTrace = (id: string, table: string, column: string, key: string): ListField[] =>
    hasColumn(shape, table, column) && hasColumn(shape, table, key)
      ? [
          {
            id,
            title: id,
            format: 'text',
            within: (holds) =>
              `EXISTS (SELECT FROM ${table} AS b WHERE b.${key} = listed.trace_id AND ${holds(`b.${column}`)})`,
          },
        ]
      : [];
  return [
    { id: 'durationMs', title: 'took', format: 'duration', sql: 'listed.duration_ms' },
    { id: 'age', title: 'ago', format: 'age', sql: 'listed.started_at' },
    { id: 'kind', title: 'kind', format: 'text', sql: 'listed.kind' },
    {
      id: 'result',
      title: 'result',
      format: 'text',
      sql: "CASE WHEN listed.failed THEN 'failed' ELSE 'ok' END",
    },
    { id: 'what', title: 'what', format: 'text', sql: 'listed.what' },
    { id: 'text', title: 'error or detail', format: 'text', sql: 'listed.text' },
    { id: 'trace', title: 'trace', format: 'text', sql: 'listed.trace_id' },
    ...ofTrace('session', 'execution_traces', 'session_id', 'id'),
    ...ofTrace('project', 'execution_traces', 'project', 'id'),
    ...ofTrace('user', 'execution_traces', 'user_id', 'id'),
    ...ofTrace('agent', 'agent_routing_decisions', 'agent_selected', 'trace_id'),
  ];
}

function eventOf(row: EventRow): ListedEvent {
  return {
    kind: row.kind,
    id: row.id,
    traceId: row.trace_id,
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    failed: row.failed,
    what: row.what ?? '',
    text: row.text ?? '',
  };
}

/** Events of many traces in the window; Enter on one opens its trace, at the event. */
export function eventsOpening({ title, text, values, orders }: EventsQuery): Opening {
  return {
    title,
    async read(access) {
      const { shape, windowMs, untilMs, list = firstPage } = access;
      const [first, ...others] = orders;
      const query: ListQuery<ListedEvent> = {
        text: text(shape),
        values,
        fields: fieldsOf(shape),
        orders: [eventOrders[first], ...others.map((id) => eventOrders[id])],
        failed: 'listed.failed',
        rowOf: (row) => eventOf(row as unknown as EventRow),
      };
      const page = await readPage(access, query, list);
      const { paging, summary } = pagedList(query, list, page, windowText(windowMs, untilMs));
      const unknown = page.rows.length > 0 ? [] : await unknownNames(access, { ...list, ...query });
      return erasedList<ListedEvent>({
        kind: 'list',
        title,
        columns,
        rows: page.rows,
        rowKey: ({ kind, id, startedAt }) => `${kind} ${id ?? startedAt?.toISOString()}`,
        paging,
        summary: [...summary, ...unknown.map((said) => ({ text: said, tone: 'warning' as const }))],
        empty: `There is none in this window. ${chooseLonger}`,
        asOf: new Date(untilMs ?? page.nowMs ?? Date.now()),
        open: ({ kind, id, traceId }) =>
          traceId === null || id === null
            ? undefined
            : traceOpening(traceId, { select: eventKey(kind, id) }),
        copy: ({ traceId, id }) => traceId ?? id ?? '',
      });
    },
  };
}
