import { formatDuration } from '../shared/format/duration.js';
import { sortRows } from './cells.js';
import {
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
  type SummaryLine,
} from './pane.js';
import { sessionsColumns, sessionsSorts } from './sessions-columns.js';
import {
  sessionDetailStatement,
  sessionsStatement,
  type SessionsDatabaseRow,
} from './statements/sessions.js';
import { serverNowStatement, type ServerNowRow } from './statements/server-now.js';

/** A session that runs a statement or holds a transaction open. */
export type SessionRow = {
  pid: number;
  user: string | null;
  application: string | null;
  client: string | null;
  startedAt: Date | null;
  /** active, idle in transaction, …; null where this role may not know. */
  state: string | null;
  /** What it waits for: `Lock: relation`; null while it works. */
  wait: string | null;
  transactionMs: number | null;
  /** In its state. */
  stateMs: number | null;
  /** Its first 500 characters. */
  query: string | null;
  /** Processes whose locks it waits for; 0 is a prepared transaction. */
  blockedBy: readonly number[];
  /** How many wait for it, directly. */
  blocks: number;
};

export type SessionsExtras = {
  active: number;
  idle: number;
  waiting: number;
  /** The embedded engine: one session for all clients, of which none can be told from another. */
  shared?: true;
};

const hiddenQuery = '<insufficient privilege>';

class SessionsReader implements PaneReader<SessionRow, SessionsExtras> {
  async read(request: ReadRequest): Promise<PaneResult<SessionRow, SessionsExtras>> {
    return request.transaction(async (tx) => {
      if (request.shape.embedded) {
        const { rows } = await tx.query<ServerNowRow>(serverNowStatement);
        return {
          rows: [],
          extras: { active: 0, idle: 0, waiting: 0, shared: true },
          asOf: new Date(rows[0]?.now_ms ?? Date.now()),
          notes: ['the embedded engine cannot tell its clients apart; embedded status counts them'],
        };
      }
      const found = await tx.query<SessionsDatabaseRow>(sessionsStatement);
      const [first] = found.rows;
      if (!first) throw new Error('a left join to one row has one row');
      const rows = sortRows(rowsOf(found.rows), sessionsSorts[0]);
      return {
        rows,
        extras: {
          active: rows.length,
          idle: first.idle,
          waiting: rows.filter(({ blockedBy }) => blockedBy.length > 0).length,
        },
        asOf: new Date(first.now_ms),
        notes: notesOf(rows),
      };
    });
  }
}

function rowsOf(found: readonly SessionsDatabaseRow[]): SessionRow[] {
  const waiting = new Map<number, number>();
  for (const { blocked_by: pids } of found) {
    for (const pid of new Set(pids)) waiting.set(pid, (waiting.get(pid) ?? 0) + 1);
  }
  return found.flatMap((row) =>
    row.pid === null
      ? []
      : {
          pid: row.pid,
          user: row.user,
          application: row.application === '' ? row.backend_type : row.application,
          client: row.client,
          startedAt: row.backend_start,
          state: row.backend_type === 'autovacuum worker' ? 'active' : row.state,
          // A client that has the turn is no wait of the session's own.
          wait:
            row.wait_event_type === null || row.wait_event_type === 'Client'
              ? null
              : `${row.wait_event_type}: ${row.wait_event ?? ''}`,
          transactionMs: row.transaction_ms,
          stateMs: row.state_ms,
          query: row.query,
          blockedBy: [...new Set(row.blocked_by)],
          blocks: waiting.get(row.pid) ?? 0,
        },
  );
}

function notesOf(rows: readonly SessionRow[]): string[] {
  const hidden = rows.filter(({ query }) => query === hiddenQuery).length;
  if (hidden === 0) return [];
  return [`${hidden} of other roles are hidden from this one: GRANT pg_read_all_stats shows them`];
}

function summaryOf(rows: readonly SessionRow[], extras: SessionsExtras): SummaryLine[] {
  const { active, idle, waiting, shared } = extras;
  if (shared) return [[{ text: 'one session, which all clients share', tone: 'muted' }]];
  const longest = rows.reduce((top, row) => Math.max(top, row.transactionMs ?? 0), 0);
  const blocker = rows.reduce<SessionRow | undefined>(
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

export const sessions: Pane<SessionRow, SessionsExtras> = {
  id: 'sessions',
  title: 'Sessions',
  question: 'Who runs what for how long, who waits, and for whom?',
  needs: {},
  windowed: false,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: sessionsColumns,
  sorts: sessionsSorts,
  rowKey: ({ pid, startedAt }) => `${pid} ${startedAt?.getTime() ?? ''}`,
  empty: 'No other session is seen that runs a statement here or holds a transaction open.',
  createReader: () => new SessionsReader(),
  summary: ({ rows, extras }) => summaryOf(rows, extras),
  detail: ({ pid }) => ({
    title: `Session ${pid}`,
    text: sessionDetailStatement,
    values: [pid],
  }),
};
