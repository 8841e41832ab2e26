import type { IndexUsageRow } from './index-usage.js';
import type { Column, Sort, Tone } from './pane.js';

function stateTone({ state }: IndexUsageRow): Tone | undefined {
  if (state === 'valid') return 'muted';
  return state === 'building' ? 'running' : 'error';
}

function adviceTone({ state, lockedBy, advice }: IndexUsageRow): Tone {
  if (state === 'invalid' || state === 'leftover') return 'error';
  if (lockedBy !== null || (advice !== null && advice !== 'unused')) return 'warning';
  return 'muted';
}

export const indexUsageColumns: readonly Column<IndexUsageRow>[] = [
  {
    id: 'index',
    title: 'index',
    align: 'left',
    format: 'text',
    value: ({ index }) => index,
    priority: 1,
    minWidth: 16,
  },
  {
    id: 'table',
    title: 'table',
    align: 'left',
    format: 'text',
    value: ({ table }) => table,
    tone: () => 'muted',
    priority: 6,
    minWidth: 12,
    maxWidth: 26,
  },
  {
    id: 'method',
    title: 'method',
    align: 'left',
    format: 'text',
    value: ({ method }) => method,
    tone: () => 'muted',
    priority: 7,
    minWidth: 7,
    maxWidth: 7,
  },
  {
    id: 'scans',
    title: 'scans',
    align: 'right',
    format: 'count',
    value: ({ scans }) => scans,
    tone: ({ scans }) => (scans === 0 ? 'muted' : undefined),
    priority: 1,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'bytes',
    title: 'size',
    align: 'right',
    format: 'bytes',
    value: ({ bytes }) => bytes,
    priority: 2,
    minWidth: 7,
    maxWidth: 7,
  },
  {
    id: 'lastScan',
    title: 'used',
    align: 'right',
    format: 'age',
    value: ({ lastScan }) => lastScan,
    priority: 3,
    minWidth: 4,
    maxWidth: 4,
  },
  {
    id: 'state',
    title: 'state',
    align: 'left',
    format: 'text',
    value: ({ state }) => state,
    tone: stateTone,
    priority: 5,
    minWidth: 8,
    maxWidth: 8,
  },
  {
    id: 'advice',
    title: 'note',
    align: 'left',
    format: 'text',
    value: ({ advice }) => advice,
    tone: adviceTone,
    priority: 4,
    minWidth: 10,
    maxWidth: 40,
  },
];

/** What needs care comes first, then the largest. */
function urgency({ state, advice }: IndexUsageRow): number {
  if (state === 'invalid' || state === 'leftover') return 4;
  if (state === 'building') return 3;
  if (advice === null) return 0;
  return advice === 'unused' ? 1 : 2;
}

export const indexUsageSorts: readonly [Sort<IndexUsageRow>, ...Sort<IndexUsageRow>[]] = [
  { id: 'size', title: 'largest', direction: 'desc', value: ({ bytes }) => bytes },
  { id: 'care', title: 'needs care', direction: 'desc', value: urgency },
  { id: 'scans', title: 'least used', direction: 'asc', value: ({ scans }) => scans },
  { id: 'used', title: 'used last', direction: 'desc', value: ({ lastScan }) => lastScan },
  { id: 'index', title: 'index', direction: 'asc', value: ({ index }) => index },
];
