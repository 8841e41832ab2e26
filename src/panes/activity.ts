import { formatRate } from '../shared/format/number.js';
import type { ActivityRow } from './activity-buffer.js';
import { ActivityReader, type ActivityExtras } from './activity-reader.js';
import { fullRecord, recordOpening } from './full-record.js';
import { usualLimits, type Pane, type Tone } from './pane.js';
import { eventKey } from './trace/event.js';
import { traceOpening } from './trace/trace-opening.js';
import { statusTone } from './trace-status.js';
import { activitySources, type ActivityKind } from './statements/activity.js';
import type { TimelineKind } from './statements/trace-timeline.js';

export type { ActivityRow } from './activity-buffer.js';
export { activityKept, type ActivityExtras } from './activity-reader.js';

const kindTones: Readonly<Record<ActivityKind, Tone | undefined>> = {
  trace: 'accent',
  routing: 'muted',
  hook: undefined,
  call: undefined,
};

export const activity: Pane<ActivityRow, ActivityExtras> = {
  id: 'activity',
  title: 'Activity',
  question: 'What is happening now?',
  needs: {},
  windowed: false,
  looksBack: true,
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
    {
      id: 'kind',
      title: 'kind',
      align: 'left',
      format: 'text',
      value: ({ kind }) => kind,
      tone: ({ kind }) => kindTones[kind],
      priority: 2,
      minWidth: 7,
      maxWidth: 7,
    },
    {
      id: 'status',
      title: 'status',
      align: 'left',
      format: 'text',
      value: ({ status }) => status ?? '',
      tone: ({ status }) => statusTone(status),
      priority: 3,
      minWidth: 9,
      maxWidth: 11,
    },
    {
      id: 'durationMs',
      title: 'took',
      align: 'right',
      format: 'duration',
      value: ({ durationMs }) => durationMs,
      priority: 4,
      minWidth: 6,
      maxWidth: 6,
    },
    {
      id: 'title',
      title: 'what',
      align: 'left',
      format: 'text',
      value: ({ title }) => title,
      priority: 1,
      minWidth: 12,
      maxWidth: 28,
    },
    {
      id: 'text',
      title: 'detail',
      align: 'left',
      format: 'text',
      value: ({ text }) => text,
      tone: () => 'muted',
      priority: 2,
      minWidth: 12,
    },
  ],
  fields: [
    { id: 'session', title: 'session', format: 'text', value: ({ within }) => within.session },
    { id: 'agent', title: 'agent', format: 'text', value: ({ within }) => within.agent },
    { id: 'trace', title: 'trace', format: 'text', value: ({ traceId }) => traceId },
  ],
  sorts: [{ id: 'at', title: 'newest last', direction: 'asc', value: ({ at }) => at }],
  rowKey: ({ kind, id }) => `${kind} ${id}`,
  idOf: ({ traceId, id }) => traceId ?? id,
  empty: 'Nothing was written yet. For live traffic: trace-console demo',
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

const timelineKinds: Readonly<Record<ActivityKind, TimelineKind>> = {
  trace: 'trace',
  routing: 'routing_decision',
  hook: 'hook',
  call: 'endpoint_call',
};
