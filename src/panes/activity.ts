import { durationColumn, textColumn, type Tone } from './contract/column.js';
import { formatRate } from '../core/format/number.js';
import type { ActivityExtras, ActivityKind, ActivityRow } from './reading/activity-buffer.js';
import { ActivityReader } from './reading/activity-reader.js';
import { activitySources } from './reading/activity-statement.js';
import { fullRecord, recordOpening } from './reading/record.js';
import { usualLimits, type Pane } from './contract/pane.js';
import { eventKey, type TimelineKind, statusTone } from './trace/event.js';
import { traceOpening } from './trace/trace-opening.js';

const kindTones: Readonly<Record<ActivityKind, Tone | undefined>> = {
  trace: 'accent',
  routing: 'muted',
  hook: undefined,
  call: undefined,
};

export const activity: Pane<ActivityRow, ActivityExtras, 'activity'> = {
  id: 'activity',
  title: 'Activity',
  question: 'What is happening now?',
  needs: {},
  isInOverview: true,
  layout: { height: 1.6 },
  isTail: true,
  showsEvents: true,
  windowed: false,
  looksBack: true,
  asksFilter: true,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: [
    {
      id: 'at',
      title: 'time',
      align: 'left',
      format: 'clock',
      value: ({ at }) => at,
      tone: () => 'muted',
      priority: 1,
      minWidth: 8,
      maxWidth: 8,
    },
    textColumn({
      id: 'kind',
      title: 'kind',
      value: ({ kind }) => kind,
      tone: ({ kind }) => kindTones[kind],
      priority: 2,
      minWidth: 7,
      maxWidth: 7,
    }),
    textColumn({
      id: 'status',
      title: 'status',
      value: ({ status }) => status ?? '',
      tone: ({ status }) => statusTone(status),
      priority: 3,
      minWidth: 9,
      maxWidth: 11,
    }),
    durationColumn({
      id: 'durationMs',
      title: 'took',
      value: ({ durationMs }) => durationMs,
      priority: 4,
    }),
    textColumn({
      id: 'title',
      title: 'what',
      value: ({ title }) => title,
      priority: 1,
      minWidth: 12,
      maxWidth: 28,
    }),
    textColumn({
      id: 'text',
      title: 'detail',
      value: ({ text }) => text,
      tone: () => 'muted',
      priority: 2,
      minWidth: 12,
    }),
  ],
  fields: [
    { id: 'session', title: 'session', format: 'text', value: ({ within }) => within.session },
    { id: 'agent', title: 'agent', format: 'text', value: ({ within }) => within.agent },
    { id: 'trace', title: 'trace', format: 'text', value: ({ traceId }) => traceId },
    ...(['hook', 'tool', 'service', 'project', 'user'] as const).map((id) => ({
      id,
      title: id,
      format: 'text' as const,
      value: (row: ActivityRow) => namedBy(id, row),
    })),
  ],
  sorts: [{ id: 'at', title: 'newest last', direction: 'asc', value: ({ at }) => at }],
  rowKey: ({ kind, id }) => `${kind} ${id}`,
  idOf: ({ traceId, id }) => traceId ?? id,
  empty: 'Nothing was written yet.',
  hasExamples: true,
  createReader: () => new ActivityReader(),
  summary: ({ extras: { perSecond, gap } }) =>
    perSecond === null
      ? []
      : [
          [
            { text: gap ? `over ${formatRate(perSecond)}` : formatRate(perSecond) },
            ...(gap ? [{ text: 'more came at once than is kept', tone: 'warning' as const }] : []),
          ],
        ],
  detail: ({ kind, id, title, traceId }, shape) => {
    const source = activitySources.find((candidate) => candidate.kind === kind);
    const table = source?.table ?? 'execution_traces';
    if (traceId === null) return fullRecord(`${kind} ${title}`, table, id, shape);
    return traceOpening(traceId, {
      select: eventKey(timelineKinds[kind], id),
      otherwise: recordOpening(`${kind} ${title}`, table, id),
    });
  },
};

/** While a filter is typed, and in a recording, rows are filtered by what they show. */
function namedBy(
  field: 'hook' | 'tool' | 'service' | 'project' | 'user',
  { kind, title, text }: ActivityRow,
): string | null {
  if (field === 'hook') return kind === 'hook' ? title : null;
  if (field === 'service') return kind === 'call' ? title : null;
  return field === 'tool' && kind === 'hook' ? text : null;
}

const timelineKinds: Readonly<Record<ActivityKind, TimelineKind>> = {
  trace: 'trace',
  routing: 'routing_decision',
  hook: 'hook',
  call: 'endpoint_call',
};
