import { durationColumn } from './column-kinds.js';
import type { Column, Sort, Tone } from './pane.js';
import type { SessionRow } from './sessions.js';

/** An open transaction keeps vacuum from its work, and whoever waits for its locks. */
const longMs = 60_000;

function stateTone({ state, stateMs, blockedBy }: SessionRow): Tone | undefined {
  if (blockedBy.length > 0) return 'error';
  if (state === null) return 'muted';
  if (state === 'active') return 'running';
  return state.startsWith('idle in transaction') && (stateMs ?? 0) > longMs ? 'error' : 'warning';
}

export const sessionsColumns: readonly Column<SessionRow>[] = [
  {
    id: 'pid',
    title: 'pid',
    align: 'right',
    format: 'text',
    value: ({ pid }) => String(pid),
    priority: 1,
    minWidth: 7,
    maxWidth: 8,
  },
  {
    id: 'user',
    title: 'user',
    align: 'left',
    format: 'text',
    value: ({ user }) => user,
    priority: 4,
    minWidth: 8,
    maxWidth: 16,
  },
  {
    id: 'application',
    title: 'application',
    align: 'left',
    format: 'text',
    value: ({ application }) => application,
    tone: ({ application }) => (application === 'trace-console' ? 'muted' : undefined),
    priority: 5,
    minWidth: 11,
    maxWidth: 20,
  },
  {
    id: 'client',
    title: 'client',
    align: 'left',
    format: 'text',
    value: ({ client }) => client ?? 'local',
    tone: () => 'muted',
    priority: 8,
    minWidth: 9,
    maxWidth: 15,
  },
  {
    id: 'state',
    title: 'state',
    align: 'left',
    format: 'text',
    value: ({ state }) => state ?? 'hidden',
    tone: stateTone,
    priority: 2,
    minWidth: 9,
    maxWidth: 19,
  },
  durationColumn({ id: 'stateMs', title: 'since', value: ({ stateMs }) => stateMs, priority: 3 }),
  durationColumn({
    id: 'transactionMs',
    title: 'tx',
    value: ({ transactionMs }) => transactionMs,
    tone: ({ transactionMs }) => ((transactionMs ?? 0) > longMs ? 'warning' : undefined),
    priority: 2,
  }),
  {
    id: 'wait',
    title: 'waits for',
    align: 'left',
    format: 'text',
    value: ({ wait }) => wait ?? '',
    tone: () => 'muted',
    priority: 7,
    minWidth: 10,
    maxWidth: 22,
  },
  {
    id: 'blockedBy',
    title: 'blocked by',
    align: 'left',
    format: 'text',
    value: ({ blockedBy }) => blockedBy.map((pid) => (pid === 0 ? 'prepared' : pid)).join(' '),
    tone: () => 'error',
    priority: 1,
    minWidth: 10,
    maxWidth: 16,
  },
  {
    id: 'blocks',
    title: 'blocks',
    align: 'right',
    format: 'count',
    value: ({ blocks }) => blocks,
    tone: ({ blocks }) => (blocks > 0 ? 'error' : 'muted'),
    priority: 3,
    minWidth: 6,
    maxWidth: 6,
  },
  {
    id: 'query',
    title: 'query',
    align: 'left',
    format: 'text',
    value: ({ query }) => query,
    priority: 2,
    minWidth: 20,
  },
];

export const sessionsSorts: readonly [Sort<SessionRow>, ...Sort<SessionRow>[]] = [
  {
    id: 'trouble',
    title: 'waiting and blocking',
    direction: 'desc',
    // Who blocks the most, then who waits, then the longest transaction.
    value: ({ blocks, blockedBy, transactionMs }) =>
      blocks * 1e15 + (blockedBy.length > 0 ? 1e14 : 0) + Math.max(0, transactionMs ?? 0),
  },
  {
    id: 'transaction',
    title: 'longest transaction',
    direction: 'desc',
    value: ({ transactionMs }) => transactionMs,
  },
  { id: 'state', title: 'longest in state', direction: 'desc', value: ({ stateMs }) => stateMs },
  { id: 'user', title: 'user', direction: 'asc', value: ({ user }) => user },
  { id: 'pid', title: 'pid', direction: 'asc', value: ({ pid }) => pid },
];
