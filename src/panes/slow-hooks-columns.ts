import {
  countColumn,
  durationColumn,
  durationTone,
  failureTone,
  shareColumn,
} from './column-kinds.js';
import type { Column, Sort } from './pane.js';
import type { SlowHookRow } from './slow-hooks.js';

export const slowHooksColumns: readonly Column<SlowHookRow>[] = [
  {
    id: 'hook',
    title: 'hook',
    align: 'left',
    format: 'text',
    value: ({ hook }) => hook,
    priority: 1,
    minWidth: 8,
  },
  {
    id: 'tool',
    title: 'tool',
    align: 'left',
    format: 'text',
    value: ({ tool }) => tool,
    tone: ({ tool }) => (tool === null ? 'muted' : undefined),
    priority: 2,
    minWidth: 5,
    maxWidth: 24,
  },
  countColumn({ id: 'calls', title: 'calls', value: ({ calls }) => calls, priority: 3 }),
  durationColumn({ id: 'p50Ms', title: 'p50', value: ({ p50Ms }) => p50Ms, priority: 4 }),
  durationColumn({
    id: 'p95Ms',
    title: 'p95',
    value: ({ p95Ms }) => p95Ms,
    tone: ({ p95Ms }) => durationTone(p95Ms),
    priority: 1,
  }),
  durationColumn({
    id: 'maxMs',
    title: 'max',
    value: ({ maxMs }) => maxMs,
    tone: ({ maxMs }) => durationTone(maxMs),
    priority: 5,
  }),
  countColumn({
    id: 'failures',
    title: 'failed',
    value: ({ failures }) => failures,
    tone: ({ failures, calls }) => failureTone(failures, calls),
    priority: 2,
  }),
  shareColumn({ id: 'share', title: 'time', value: ({ share }) => share, priority: 3 }),
];

export const slowHooksSorts: readonly [Sort<SlowHookRow>, ...Sort<SlowHookRow>[]] = [
  { id: 'p95', title: 'slowest p95', direction: 'desc', value: ({ p95Ms }) => p95Ms },
  { id: 'share', title: 'most time', direction: 'desc', value: ({ share }) => share },
  { id: 'calls', title: 'most calls', direction: 'desc', value: ({ calls }) => calls },
  { id: 'failures', title: 'most failures', direction: 'desc', value: ({ failures }) => failures },
  { id: 'max', title: 'longest call', direction: 'desc', value: ({ maxMs }) => maxMs },
  { id: 'hook', title: 'hook', direction: 'asc', value: ({ hook }) => hook },
];
