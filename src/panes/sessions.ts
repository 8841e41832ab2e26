import type { Queryable } from '../db/database.js';
import { findConsoleTable } from '../deploy/console-schema.js';
import { countedShort, formatCount, formatMoney } from '../core/format/number.js';
import {
  ageColumn,
  countColumn,
  moneyColumn,
  shareColumn,
  textColumn,
  type SummaryLine,
  type Tone,
} from './contract/column.js';
import {
  namedCommands,
  usualLimits,
  type Pane,
  type PaneReader,
  type PaneResult,
  type ReadRequest,
} from './contract/pane.js';
import type { SchemaShape } from './contract/shape.js';
import {
  countedSessionsStatement,
  seenSessionsStatement,
  SessionCounter,
  rowOf,
  type SeenSession,
  type SessionRow,
  type SessionState,
} from './reading/agent-sessions.js';
import { serverNowStatement, type ServerNowRow } from './reading/windows.js';
import { sessionOpening } from './trace/session-opening.js';

export type SessionsExtras = {
  shown: number;
  /** In the window, where not all are shown. */
  of?: number | undefined;
  /** Before the window, where only those of the window are shown. Recordings of earlier consoles do not say. */
  before?: number | undefined;
  waiting: number;
  working: number;
  costUsd: number;
};

const mostSessions = 200;
/** Where the window has no session, the latest of the last ten years are shown. */
const mostBefore = 50;
const ofAllTimes = 'all';
const alwaysMs = 3_650 * 86_400_000;

/** So many sessions before a window are counted at most. */
const mostCountedBefore = 10_000;

/** How many gave their last sign of life before the window. `$1`, `$2`: as above. Reads agent_sessions_last_seen. */
const sessionsBeforeStatement = `
SELECT count(*)::int AS count FROM (
  SELECT FROM trace_console.agent_sessions
  WHERE target_schema = $1 AND last_seen_at <= now() - $2::float8 * interval '1 second'
  LIMIT ${mostCountedBefore}) AS before`;

/** They are counted so often (ms): they become more by an import, or as time goes by. */
const countBeforeEveryMs = 10_000;

/** Sessions before the window, counted from time to time. */
class SessionsBefore {
  #known: { atMs: number; windowMs: number; count: number } | undefined;

  async count(
    tx: Queryable,
    { shape, windowMs }: { shape: SchemaShape; windowMs: number },
    nowMs: number,
  ): Promise<number> {
    const known = this.#known;
    if (known?.windowMs === windowMs && nowMs - known.atMs < countBeforeEveryMs) return known.count;
    const values = [shape.schema, windowMs / 1_000];
    const { rows } = await tx.query<{ count: number }>(sessionsBeforeStatement, values);
    const count = rows[0]?.count ?? 0;
    this.#known = { atMs: nowMs, windowMs, count };
    return count;
  }

  reset(): void {
    this.#known = undefined;
  }
}

class SessionsReader implements PaneReader<SessionRow, SessionsExtras> {
  readonly #counter = new SessionCounter();
  readonly #before = new SessionsBefore();

  async read(request: ReadRequest): Promise<PaneResult<SessionRow, SessionsExtras>> {
    const { shape, windowMs } = request;
    return request.transaction(async (tx) => {
      const now = await tx.query<ServerNowRow>(serverNowStatement);
      const asOf = new Date(now.rows[0]?.now_ms ?? Date.now());
      if (!(await findConsoleTable(tx, 'agent_sessions'))) {
        return { rows: [], extras: extrasOf([]), asOf, notes: [nothingTakenIn] };
      }
      const seenIn = async (ms: number, most: number) =>
        (await tx.query<SeenSession>(seenSessionsStatement, [shape.schema, ms / 1_000, most])).rows;
      const isOfAllTimes = request.variant === ofAllTimes;
      const spanMs = isOfAllTimes ? alwaysMs : windowMs;
      const inWindow = await seenIn(spanMs, mostSessions);
      const counted =
        inWindow.length < mostSessions
          ? undefined
          : await tx.query<{ count: number }>(countedSessionsStatement, [
              shape.schema,
              spanMs / 1_000,
            ]);
      // Sessions that were brought in may be older than any window.
      const seen = inWindow.length > 0 ? inWindow : await seenIn(alwaysMs, mostBefore);
      const share = await this.#counter.count(tx, request, seen);
      const rows = await Promise.all(
        seen.map((session) => rowOf(session, this.#counter.figuresOf(session.session_id))),
      );
      return {
        rows: rows.toSorted(byUrgency),
        extras: {
          ...extrasOf(rows),
          of: counted?.rows[0]?.count,
          ...(isOfAllTimes || inWindow.length === 0
            ? {}
            : { before: await this.#before.count(tx, request, asOf.getTime()) }),
        },
        asOf,
        notes:
          seen.length === mostSessions
            ? [`only the latest ${mostSessions} sessions`]
            : inWindow.length === 0 && seen.length > 0
              ? ['none in this window: the latest ones before it']
              : [],
        ...(share < 1 ? { loading: { share } } : {}),
      };
    });
  }

  reset(): void {
    this.#counter.reset();
    this.#before.reset();
  }
}

const nothingTakenIn =
  'nothing was imported or collected into this database: it has no table trace_console.agent_sessions';

const ranks: Readonly<Record<SessionState, number>> = {
  permission: 0,
  user: 1,
  tool: 2,
  thinking: 2,
  compacting: 2,
  interrupted: 3,
  idle: 4,
  ended: 5,
};

/** Sessions that wait for the user come first, the longest wait on top; then those at work; then the rest, latest first. */
function byUrgency(a: SessionRow, b: SessionRow): number {
  const rank = ranks[a.state] - ranks[b.state];
  if (rank !== 0) return rank;
  const sign = isWaiting(a) ? 1 : -1;
  return sign * (a.since.getTime() - b.since.getTime());
}

function isWaiting({ state }: SessionRow): boolean {
  return state === 'permission' || state === 'user';
}

const words: Readonly<Record<SessionState, string>> = {
  permission: 'waits: permission',
  user: 'waits for the user',
  tool: 'runs a tool',
  thinking: 'thinking',
  compacting: 'compacting',
  interrupted: 'interrupted',
  idle: 'idle',
  ended: 'ended',
};

function doingOf({ state, tool }: SessionRow): string {
  if (tool === null) return words[state];
  return state === 'permission' ? `${words.permission} ${tool}` : tool;
}

const tones: Readonly<Record<SessionState, Tone>> = {
  permission: 'error',
  user: 'warning',
  tool: 'running',
  thinking: 'running',
  compacting: 'running',
  interrupted: 'warning',
  idle: 'muted',
  ended: 'muted',
};

function extrasOf(rows: readonly SessionRow[]): SessionsExtras {
  return {
    shown: rows.length,
    waiting: rows.filter(isWaiting).length,
    working: rows.filter(({ state }) => ranks[state] === ranks.tool).length,
    costUsd: rows.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0),
  };
}

function summaryOf({
  shown,
  of = shown,
  before = 0,
  waiting,
  working,
  costUsd,
}: SessionsExtras): SummaryLine[] {
  if (shown === 0) return [];
  const isCut = of > shown;
  return [
    [
      waiting > 0
        ? { text: `${waiting} wait for somebody`, tone: 'warning' }
        : { text: 'none waits', tone: 'success' },
      { text: `${working} at work`, tone: working > 0 ? 'running' : 'muted' },
      {
        text: isCut
          ? `the latest ${formatCount(shown)} of ${countedShort(of, 'session')}`
          : countedShort(shown, 'session'),
      },
      { text: `${formatMoney(costUsd)}${isCut ? ' in these' : ''}` },
      ...(before > 0
        ? [
            {
              text: `${formatCount(before)}${before >= mostCountedBefore ? ' or more' : ''} before this window`,
              tone: 'muted' as const,
            },
          ]
        : []),
    ],
  ];
}

/** Eight characters of an id tell any two sessions on a screen apart; the ninth is the sign that there are more. */
const idColumns = 9;

export const sessions: Pane<SessionRow, SessionsExtras, 'sessions'> = {
  id: 'sessions',
  title: 'Sessions',
  question: 'What does each agent session do now, which wait for somebody, and what did they take?',
  rowsAre: 'session',
  needs: {
    execution_traces: {
      required: ['id', 'session_id', 'status', 'started_at'],
      optional: ['parent_id', 'cost_usd', 'prompt_text'],
    },
  },
  windowed: true,
  variants: [
    { id: 'window', title: 'of the window' },
    { id: ofAllTimes, title: 'of all times' },
  ],
  showsEvents: true,
  looksBack: false,
  minIntervalMs: 0,
  limits: usualLimits,
  columns: [
    textColumn({
      id: 'doing',
      title: 'now',
      value: doingOf,
      tone: ({ state }) => tones[state],
      priority: 1,
      minWidth: 18,
      maxWidth: 30,
    }),
    ageColumn({ id: 'since', title: 'for', value: ({ since }) => since, priority: 1 }),
    textColumn({
      id: 'project',
      title: 'project',
      value: ({ project }) => project,
      priority: 1,
      minWidth: 10,
      maxWidth: 20,
    }),
    textColumn({
      id: 'session',
      title: 'session',
      value: ({ session }) => session,
      tone: () => 'muted',
      priority: 2,
      minWidth: idColumns,
      maxWidth: idColumns,
    }),
    textColumn({
      id: 'prompt',
      title: 'last prompt',
      value: ({ prompt }) => prompt,
      priority: 2,
      minWidth: 16,
    }),
    textColumn({
      id: 'branch',
      title: 'branch',
      value: ({ branch }) => branch,
      tone: () => 'muted',
      priority: 6,
      minWidth: 8,
      maxWidth: 24,
    }),
    textColumn({
      id: 'model',
      title: 'model',
      value: ({ model }) => model,
      tone: () => 'accent',
      priority: 4,
      minWidth: 20,
      maxWidth: 26,
    }),
    countColumn({ id: 'prompts', title: 'turns', value: (row) => row.prompts, priority: 3 }),
    countColumn({ id: 'tools', title: 'tools', value: ({ tools }) => tools, priority: 5 }),
    countColumn({
      id: 'failures',
      title: 'failed',
      value: ({ failures }) => failures,
      tone: ({ failures }) => (failures > 0 ? 'warning' : 'muted'),
      priority: 4,
    }),
    countColumn({
      id: 'subagents',
      title: 'subagents',
      value: (row) => row.subagents,
      priority: 7,
    }),
    countColumn({ id: 'tokens', title: 'tokens', value: ({ tokens }) => tokens, priority: 5 }),
    moneyColumn({ id: 'costUsd', title: 'cost', value: ({ costUsd }) => costUsd, priority: 2 }),
    shareColumn({
      id: 'contextShare',
      title: 'context',
      value: (row) => row.contextShare,
      tone: ({ contextShare }) => ((contextShare ?? 0) >= 0.8 ? 'warning' : undefined),
      priority: 3,
    }),
    ageColumn({ id: 'seen', title: 'seen', value: ({ seen }) => seen, priority: 6 }),
    textColumn({
      id: 'agent',
      title: 'agent',
      value: ({ agent }) => agent,
      tone: () => 'muted',
      priority: 8,
      minWidth: 11,
      maxWidth: 14,
    }),
  ],
  fields: [
    { id: 'state', title: 'state', format: 'text', value: ({ state }) => state },
    {
      id: 'waits',
      title: 'waits',
      format: 'age',
      value: (row) => (isWaiting(row) ? row.since : null),
    },
    { id: 'repeats', title: 'repeats', format: 'count', value: ({ repeats }) => repeats },
  ],
  sorts: [
    { id: 'urgency', title: 'who waits', direction: 'asc', value: ({ state }) => ranks[state] },
    { id: 'seen', title: 'latest', direction: 'desc', value: ({ seen }) => seen },
    { id: 'cost', title: 'highest cost', direction: 'desc', value: ({ costUsd }) => costUsd },
    { id: 'context', title: 'fullest', direction: 'desc', value: (row) => row.contextShare },
    { id: 'failures', title: 'most failures', direction: 'desc', value: (row) => row.failures },
    { id: 'repeats', title: 'most repeated', direction: 'desc', value: ({ repeats }) => repeats },
    { id: 'project', title: 'project', direction: 'asc', value: ({ project }) => project },
  ],
  isWaiting,
  rowKey: ({ sessionId }) => sessionId,
  idOf: ({ session }) => session,
  empty:
    'No session of an agent was seen yet. Bring sessions in with trace-console import, or follow them with trace-console hooks install.',
  createReader: () => new SessionsReader(),
  summary: ({ extras }) => summaryOf(extras),
  leadsOn: ({ extras: { before = 0 } }) =>
    before > 0 ? `:${namedCommands.group} shows all sessions` : undefined,
  detail: ({ sessionId, project, session }) =>
    sessionOpening(`Session ${project ?? session}`, sessionId),
};
