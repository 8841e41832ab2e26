import type { AgentRow } from './agents.js';
import { callsChangeColumn, growthSort, p95ChangeColumn, slowedSort } from './change.js';
import {
  ageColumn,
  countColumn,
  durationColumn,
  failureTone,
  shareColumn,
  trendColumn,
} from './column-kinds.js';
import type { Column, Sort } from './pane.js';
import { rateTone } from './rate-tone.js';

export const agentsColumns: readonly Column<AgentRow>[] = [
  {
    id: 'agent',
    title: 'agent',
    align: 'left',
    format: 'text',
    value: ({ agent }) => agent,
    priority: 1,
    minWidth: 14,
  },
  countColumn({ id: 'calls', title: 'chosen', value: ({ calls }) => calls, priority: 2 }),
  callsChangeColumn(4),
  shareColumn({
    id: 'successRate',
    title: 'success',
    value: ({ successRate }) => successRate,
    tone: ({ successRate, calls }) => rateTone(successRate, calls),
    priority: 1,
  }),
  countColumn({
    id: 'failures',
    title: 'failed',
    value: ({ failures }) => failures,
    tone: ({ failures, calls }) => failureTone(failures, calls),
    priority: 2,
  }),
  countColumn({
    id: 'inProgress',
    title: 'running',
    value: ({ inProgress }) => inProgress,
    tone: ({ inProgress }) => (inProgress > 0 ? 'running' : 'muted'),
    priority: 6,
  }),
  durationColumn({ id: 'p50Ms', title: 'p50', value: ({ p50Ms }) => p50Ms, priority: 5 }),
  durationColumn({ id: 'p95Ms', title: 'p95', value: ({ p95Ms }) => p95Ms, priority: 3 }),
  p95ChangeColumn(3),
  shareColumn({
    id: 'confidence',
    title: 'sure',
    value: ({ confidence }) => confidence,
    tone: ({ confidence }) => (confidence !== null && confidence < 0.7 ? 'warning' : undefined),
    priority: 3,
  }),
  countColumn({
    id: 'unsure',
    title: 'unsure',
    value: ({ unsure }) => unsure,
    tone: ({ unsure }) => (unsure > 0 ? 'warning' : 'muted'),
    priority: 6,
  }),
  trendColumn(4, 'accent'),
  ageColumn({ id: 'lastUsed', title: 'last', value: ({ lastUsed }) => lastUsed, priority: 7 }),
];

export const agentsSorts: readonly [Sort<AgentRow>, ...Sort<AgentRow>[]] = [
  { id: 'calls', title: 'most chosen', direction: 'desc', value: ({ calls }) => calls },
  slowedSort,
  {
    id: 'success',
    title: 'least successful',
    direction: 'asc',
    value: ({ successRate }) => successRate,
  },
  { id: 'p95', title: 'slowest p95', direction: 'desc', value: ({ p95Ms }) => p95Ms },
  {
    id: 'confidence',
    title: 'least sure',
    direction: 'asc',
    value: ({ confidence }) => confidence,
  },
  { id: 'failures', title: 'most failures', direction: 'desc', value: ({ failures }) => failures },
  growthSort,
  { id: 'agent', title: 'agent', direction: 'asc', value: ({ agent }) => agent },
];
