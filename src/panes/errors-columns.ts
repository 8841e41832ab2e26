import { changeOf, isMany } from './change.js';
import { ageColumn, changeColumn, countColumn, trendColumn } from './column-kinds.js';
import type { ErrorRow } from './errors.js';
import type { Column, Sort, Tone } from './pane.js';

const severities = ['critical', 'high', 'medium', 'low'];

const severityTones: Readonly<Partial<Record<string, Tone>>> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  low: 'muted',
};

export const errorsColumns: readonly Column<ErrorRow>[] = [
  {
    id: 'type',
    title: 'error',
    align: 'left',
    format: 'text',
    value: ({ type }) => type,
    tone: ({ count }) => (count === 0 ? 'muted' : undefined),
    priority: 1,
    minWidth: 16,
  },
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
  countColumn({ id: 'traces', title: 'traces', value: ({ traces }) => traces, priority: 4 }),
  countColumn({ id: 'hooks', title: 'hooks', value: ({ hooks }) => hooks, priority: 5 }),
  countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 5 }),
  {
    id: 'severity',
    title: 'severity',
    align: 'left',
    format: 'text',
    value: ({ severity }) => severity,
    tone: ({ severity }) => (severity === null ? 'muted' : severityTones[severity]),
    priority: 4,
    minWidth: 8,
    maxWidth: 8,
  },
  countColumn({
    id: 'open',
    title: 'open',
    value: ({ open }) => open,
    tone: ({ open }) => (open > 0 ? 'warning' : 'muted'),
    priority: 4,
  }),
  ageColumn({ id: 'firstSeen', title: 'first', value: ({ firstSeen }) => firstSeen, priority: 7 }),
  {
    id: 'resolution',
    title: 'what helped',
    align: 'left',
    format: 'text',
    value: ({ resolution }) => resolution,
    tone: () => 'muted',
    priority: 8,
    minWidth: 14,
    maxWidth: 40,
  },
];

export const errorsSorts: readonly [Sort<ErrorRow>, ...Sort<ErrorRow>[]] = [
  { id: 'count', title: 'most failures', direction: 'desc', value: ({ count }) => count },
  { id: 'last', title: 'newest', direction: 'desc', value: ({ last }) => last },
  {
    id: 'growth',
    title: 'fastest growing',
    direction: 'desc',
    value: ({ count, before }) => (before === null ? null : count - before),
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
