import { ageColumn, durationColumn } from '../column-kinds.js';
import { erasedList, type Opening } from '../opening.js';
import type { Column } from '../pane.js';
import type { SchemaShape } from '../shape.js';
import { windowValues } from '../statements/window.js';
import { formatMoment } from '../../shared/format/time.js';
import type { TimelineKind } from '../statements/trace-timeline.js';
import { eventKey, kindWords } from './event.js';
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
  {
    id: 'kind',
    title: 'kind',
    align: 'left',
    format: 'text',
    value: ({ kind }) => kindWords[kind],
    tone: () => 'muted',
    priority: 4,
    minWidth: 7,
    maxWidth: 7,
  },
  {
    id: 'result',
    title: 'result',
    align: 'left',
    format: 'text',
    value: ({ failed }) => (failed ? 'failed' : 'ok'),
    tone: ({ failed }) => (failed ? 'error' : 'muted'),
    priority: 1,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'what',
    title: 'what',
    align: 'left',
    format: 'text',
    value: ({ what }) => what,
    priority: 3,
    minWidth: 14,
    maxWidth: 30,
  },
  {
    id: 'text',
    title: 'error or detail',
    align: 'left',
    format: 'text',
    value: ({ text }) => text,
    tone: ({ failed }) => (failed ? 'error' : 'muted'),
    priority: 1,
    minWidth: 15,
  },
];

export type EventsQuery<Row> = {
  title: string;
  text: (shape: SchemaShape) => string;
  /** Behind the window, which is `$1` and `$2`. */
  values: readonly unknown[];
  eventOf: (row: Row) => ListedEvent;
};

/** Events of many traces in the window; Enter on one opens its trace, at the event. */
export function eventsOpening<Row extends object>(query: EventsQuery<Row>): Opening {
  const { title, text, values, eventOf } = query;
  return {
    title,
    async read({ shape, windowMs, untilMs, read }) {
      const found = await read<Row & { now_ms: number }>(
        `SELECT date_part('epoch', now()) * 1000 AS now_ms, event.* FROM (${text(shape)}) AS event`,
        [...windowValues({ windowMs, untilMs }), ...values],
      );
      return erasedList<ListedEvent>({
        kind: 'list',
        title,
        columns,
        rows: found.map(eventOf),
        rowKey: ({ kind, id, startedAt }) => `${kind} ${id ?? startedAt?.toISOString()}`,
        summary:
          untilMs === undefined ? [] : [{ text: `before ${formatMoment(new Date(untilMs))}` }],
        empty: 'There is none in this window. Choose a longer one with :window in the panes.',
        asOf: new Date(untilMs ?? found[0]?.now_ms ?? Date.now()),
        open: ({ kind, id, traceId }) =>
          traceId === null || id === null
            ? undefined
            : traceOpening(traceId, { select: eventKey(kind, id) }),
        copy: ({ traceId, id }) => traceId ?? id ?? '',
      });
    },
  };
}

/** Parts that are there, in a line. */
export function joined(parts: readonly (string | number | null)[], separator = ' '): string {
  return parts.filter((part) => part !== null && part !== '').join(separator);
}
