import type { Column, Sort, Tone } from './pane.js';
import type { SlowHookRow } from './slow-hooks.js';

/** Beyond these a person waits for the hook. */
const slowMs = 1_000;
const verySlowMs = 5_000;

function durationTone(ms: number | null): Tone | undefined {
  if (ms === null || ms < slowMs) return undefined;
  return ms < verySlowMs ? 'warning' : 'error';
}

function failureTone({ failures, calls }: SlowHookRow): Tone | undefined {
  if (failures === 0) return 'muted';
  return failures / calls >= 0.05 ? 'error' : 'warning';
}

const duration = {
  align: 'right',
  format: 'duration',
  minWidth: 6,
  maxWidth: 6,
} as const;

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
  {
    id: 'calls',
    title: 'calls',
    align: 'right',
    format: 'count',
    value: ({ calls }) => calls,
    priority: 3,
    minWidth: 6,
    maxWidth: 6,
  },
  { ...duration, id: 'p50Ms', title: 'p50', value: ({ p50Ms }) => p50Ms, priority: 4 },
  {
    ...duration,
    id: 'p95Ms',
    title: 'p95',
    value: ({ p95Ms }) => p95Ms,
    tone: ({ p95Ms }) => durationTone(p95Ms),
    priority: 1,
  },
  {
    ...duration,
    id: 'maxMs',
    title: 'max',
    value: ({ maxMs }) => maxMs,
    tone: ({ maxMs }) => durationTone(maxMs),
    priority: 5,
  },
  {
    id: 'failures',
    title: 'failed',
    align: 'right',
    format: 'count',
    value: ({ failures }) => failures,
    tone: failureTone,
    priority: 2,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'share',
    title: 'time',
    align: 'right',
    format: 'share',
    value: ({ share }) => share,
    priority: 3,
    minWidth: 4,
    maxWidth: 4,
  },
];

export const slowHooksSorts: readonly [Sort<SlowHookRow>, ...Sort<SlowHookRow>[]] = [
  { id: 'p95', title: 'slowest p95', direction: 'desc', value: ({ p95Ms }) => p95Ms },
  { id: 'share', title: 'most time', direction: 'desc', value: ({ share }) => share },
  { id: 'calls', title: 'most calls', direction: 'desc', value: ({ calls }) => calls },
  { id: 'failures', title: 'most failures', direction: 'desc', value: ({ failures }) => failures },
  { id: 'max', title: 'longest call', direction: 'desc', value: ({ maxMs }) => maxMs },
  { id: 'hook', title: 'hook', direction: 'asc', value: ({ hook }) => hook },
];
