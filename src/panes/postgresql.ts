import { formatDuration } from '../core/format/time.js';
import {
  type SummaryLine,
  type Column,
  type Sort,
  type Tone,
  countColumn,
  durationColumn,
  textColumn,
} from './contract/column.js';
import { usualLimits, type Pane } from './contract/pane.js';
import { sectionOr, type Opening, type RecordRow } from './contract/opening.js';
import {
  backendsStatement,
  BackendsReader,
  treesOf,
  type BackendRow,
  type BackendsDatabaseRow,
  type BackendsExtras,
} from './reading/backends.js';

/** `●` blocks others and waits for nobody; `└` waits for the one above it. */
function chainText({ depth }: BackendRow): string {
  if (depth === null) return '';
  return depth === 0 ? '●' : `${'  '.repeat(Math.min(depth, mostIndented) - 1)}└─`;
}

const mostIndented = 5;

function summaryOf(rows: readonly BackendRow[], extras: BackendsExtras): SummaryLine[] {
  const { active, idle, waiting, shared } = extras;
  if (shared) return [[{ text: 'one session, which all clients share', tone: 'muted' }]];
  const longest = rows.reduce((top, row) => Math.max(top, row.transactionMs ?? 0), 0);
  const blocker = rows.reduce<BackendRow | undefined>(
    (top, row) => (row.blocks > (top?.blocks ?? 0) ? row : top),
    undefined,
  );
  return [
    [
      { text: `${active} at work, ${idle} idle` },
      waiting > 0
        ? { text: `${waiting} wait for locks`, tone: 'error' }
        : { text: 'nobody waits for a lock', tone: 'success' },
      ...(blocker ? [{ text: `most wait for pid ${blocker.pid}`, tone: 'error' as const }] : []),
      ...(longest > 0
        ? [{ text: `longest transaction ${formatDuration(longest)}`, tone: 'muted' as const }]
        : []),
    ],
  ];
}

/** One backend in full, with the locks it holds and those it waits for. `$1`: pid. */
export const backendDetailStatement = `
SELECT
  a.pid, a.usename AS "user", a.application_name, host(a.client_addr) AS client, a.backend_type, a.backend_start,
  a.xact_start, a.query_start, a.state_change, a.state, a.wait_event_type, a.wait_event,
  pg_blocking_pids(a.pid) AS blocked_by,
  a.query,
  (SELECT json_agg(json_build_object('lock', l.locktype, 'relation', c.relname, 'mode', l.mode, 'granted', l.granted)
                   ORDER BY l.granted, l.locktype, c.relname)
   FROM pg_locks AS l LEFT JOIN pg_class AS c ON c.oid = l.relation
   WHERE l.pid = a.pid AND l.locktype <> 'virtualxid') AS locks
FROM pg_stat_activity AS a
WHERE a.pid = $1`;

/** An open transaction keeps vacuum from its work, and whoever waits for its locks. */
const longMs = 60_000;

function stateTone({ state, stateMs, blockedBy }: BackendRow): Tone | undefined {
  if (blockedBy.length > 0) return 'error';
  if (state === null) return 'muted';
  if (state === 'active') return 'running';
  return state.startsWith('idle in transaction') && (stateMs ?? 0) > longMs ? 'error' : 'warning';
}

export const columns: readonly Column<BackendRow>[] = [
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
  textColumn({
    id: 'chain',
    title: 'chain',
    value: chainText,
    tone: ({ depth }) => (depth === 0 ? 'error' : 'warning'),
    priority: 1,
    minWidth: 5,
    maxWidth: 10,
  }),
  textColumn({
    id: 'user',
    title: 'user',
    value: ({ user }) => user,
    priority: 4,
    minWidth: 8,
    maxWidth: 16,
  }),
  textColumn({
    id: 'application',
    title: 'application',
    value: ({ application }) => application,
    tone: ({ application }) => (application === 'trace-console' ? 'muted' : undefined),
    priority: 5,
    minWidth: 11,
    maxWidth: 20,
  }),
  textColumn({
    id: 'client',
    title: 'client',
    value: ({ client }) => client ?? 'local',
    tone: () => 'muted',
    priority: 8,
    minWidth: 9,
    maxWidth: 15,
  }),
  textColumn({
    id: 'state',
    title: 'state',
    value: ({ state }) => state ?? 'hidden',
    tone: stateTone,
    priority: 2,
    minWidth: 9,
    maxWidth: 19,
    prefersWhole: true,
  }),
  durationColumn({ id: 'stateMs', title: 'since', value: ({ stateMs }) => stateMs, priority: 3 }),
  durationColumn({
    id: 'transactionMs',
    title: 'tx',
    value: ({ transactionMs }) => transactionMs,
    tone: ({ transactionMs }) => ((transactionMs ?? 0) > longMs ? 'warning' : undefined),
    priority: 2,
  }),
  textColumn({
    id: 'wait',
    title: 'waits for',
    value: ({ wait }) => wait ?? '',
    tone: () => 'muted',
    priority: 7,
    minWidth: 10,
    maxWidth: 22,
  }),
  textColumn({
    id: 'blockedBy',
    title: 'blocked by',
    value: ({ blockedBy }) => blockedBy.map((pid) => (pid === 0 ? 'prepared' : pid)).join(' '),
    tone: () => 'error',
    priority: 1,
    minWidth: 10,
    maxWidth: 16,
  }),
  countColumn({
    id: 'blocks',
    title: 'blocks',
    value: ({ blocks }) => blocks,
    tone: ({ blocks }) => (blocks > 0 ? 'error' : 'muted'),
    priority: 3,
  }),
  textColumn({
    id: 'query',
    title: 'query',
    value: ({ query }) => query,
    priority: 2,
    minWidth: 20,
  }),
];

export const sorts: readonly [Sort<BackendRow>, ...Sort<BackendRow>[]] = [
  {
    id: 'trouble',
    title: 'blocking chains',
    direction: 'asc',
    value: ({ place }) => place,
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

export const postgresql: Pane<BackendRow, BackendsExtras, 'postgresql'> = {
  id: 'postgresql',
  formerIds: ['sessions'],
  title: 'PostgreSQL',
  question: 'Who runs what for how long, who waits, and for whom?',
  rowsAre: 'backend',
  needs: {},
  windowed: false,
  minIntervalMs: 0,
  limits: usualLimits,
  columns,
  sorts,
  rowKey: ({ pid, startedAt }) => `${pid} ${startedAt?.getTime() ?? ''}`,
  empty: 'No other backend runs a statement here or holds a transaction open.',
  createReader: () => new BackendsReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: backendOpening,
};

/** A backend in full, with the chain that it is part of: who blocks whom. */
export function backendOpening({ pid }: Pick<BackendRow, 'pid'>): Opening {
  const title = `Backend ${pid}`;
  return {
    title,
    async read({ read, shape }) {
      const rows = await read<RecordRow>(backendDetailStatement, [pid]);
      if (shape.embedded) return { kind: 'records', title, rows };
      const chain = await sectionOr('Blocking chain', async () => {
        const found = await read<BackendsDatabaseRow>(backendsStatement, []);
        return chainOf(treesOf(found), pid).map((row) => ({
          line: chainLine(row, pid),
          ...(row.pid === pid ? {} : { opening: backendOpening(row) }),
        }));
      });
      return { kind: 'records', title, rows, sections: chain.lines.length > 0 ? [chain] : [] };
    },
  };
}

/** The tree that a backend stands in, from who blocks it in the end to who waits last. */
function chainOf(rows: readonly BackendRow[], pid: number): readonly BackendRow[] {
  const at = rows.findIndex((row) => row.pid === pid);
  if (at < 0 || rows[at]?.depth === null) return [];
  let first = at;
  while (first > 0 && rows[first]?.depth !== 0 && (rows[first - 1]?.depth ?? null) !== null)
    first -= 1;
  const next = rows.findIndex((row, index) => index > first && (row.depth ?? 0) === 0);
  return rows.slice(first, next < 0 ? undefined : next);
}

function chainLine(row: BackendRow, pid: number): SummaryLine {
  const { state, stateMs, wait, query } = row;
  return [
    {
      text: `${chainText(row)} ${row.pid}`,
      columns: 20,
      tone: row.depth === 0 ? 'error' : 'warning',
    },
    { text: row.pid === pid ? 'this one' : (row.application ?? ''), columns: 16, tone: 'muted' },
    { text: `${wait ?? state ?? 'hidden'} for ${formatDuration(stateMs ?? 0)}`, columns: 34 },
    { text: (query ?? '').replaceAll(/\s+/g, ' ') },
  ];
}
