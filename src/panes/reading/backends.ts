import { sortRows, type Sort } from '../contract/column.js';
import type { PaneReader, PaneResult, ReadRequest } from '../contract/pane.js';
import { serverNowStatement, type ServerNowRow } from './windows.js';
import { boundedText } from '../../db/quote.js';

/** A backend that runs a statement or holds a transaction open. */
export type BackendRow = {
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
  /** When its statement began; null where this role may not know. */
  queryStartedAt: Date | null;
  /** Its first 500 characters. */
  query: string | null;
  /** Processes whose locks it waits for; 0 is a prepared transaction. */
  blockedBy: readonly number[];
  /** How many wait for it, directly. */
  blocks: number;
  /** Where it stands in its blocking chain: 0 waits for nobody, 1 for one of those; null: in none. */
  depth: number | null;
  /** In the order of the chains: who blocks, then who waits for it. */
  place: number;
};

export type BackendsExtras = {
  active: number;
  idle: number;
  waiting: number;
  /** The embedded engine: one backend for all clients, which cannot be told apart. */
  shared?: true;
};

const hiddenQuery = '<insufficient privilege>';

export class BackendsReader implements PaneReader<BackendRow, BackendsExtras> {
  async read(request: ReadRequest): Promise<PaneResult<BackendRow, BackendsExtras>> {
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
      const found = await tx.query<BackendsDatabaseRow>(backendsStatement);
      const [first] = found.rows;
      if (!first) throw new Error('a left join to one row has one row');
      const rows = treesOf(found.rows);
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

function rowsOf(found: readonly BackendsDatabaseRow[]): BackendRow[] {
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
          // Waiting for the client's next statement is not waiting for the server.
          wait:
            row.wait_event_type === null || row.wait_event_type === 'Client'
              ? null
              : `${row.wait_event_type}: ${row.wait_event ?? ''}`,
          transactionMs: row.transaction_ms,
          stateMs: row.state_ms,
          queryStartedAt: row.query_start,
          query: row.query,
          depth: null,
          place: 0,
          blockedBy: [...new Set(row.blocked_by)],
          blocks: waiting.get(row.pid) ?? 0,
        },
  );
}

/** The backends in the order of their blocking chains. */
export function treesOf(found: readonly BackendsDatabaseRow[]): BackendRow[] {
  return inChains(sortRows(rowsOf(found), troubleFirst));
}

/** The backends with those who wait below whom they wait for, as a tree; one that waits for several stands below the first. */
function inChains(rows: readonly BackendRow[]): BackendRow[] {
  const waiting = new Map<number, BackendRow[]>();
  const pids = new Set(rows.map(({ pid }) => pid));
  for (const row of rows) {
    for (const pid of row.blockedBy) waiting.set(pid, [...(waiting.get(pid) ?? []), row]);
  }
  const placed = new Map<number, BackendRow>();
  const place = (root: BackendRow, least: number): void => {
    const open = [{ row: root, depth: least }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { row, depth } = next;
      // Of a circle, before the server breaks it, each is there once.
      if (placed.has(row.pid)) continue;
      const isInChain = depth > 0 || row.blocks > 0 || row.blockedBy.length > 0;
      placed.set(row.pid, { ...row, depth: isInChain ? depth : null, place: placed.size });
      for (const behind of (waiting.get(row.pid) ?? []).toReversed()) {
        open.push({ row: behind, depth: depth + 1 });
      }
    }
  };
  const isRoot = ({ blockedBy }: BackendRow) => !blockedBy.some((pid) => pids.has(pid));
  for (const row of rows.filter(isRoot)) place(row, row.blockedBy.length > 0 ? 1 : 0);
  for (const row of rows) place(row, 1);
  return [...placed.values()];
}

function notesOf(rows: readonly BackendRow[]): string[] {
  const hidden = rows.filter(({ query }) => query === hiddenQuery).length;
  if (hidden === 0) return [];
  return [`${hidden} of other roles are hidden from this one: GRANT pg_read_all_stats shows them`];
}

/**
 * Backends of this database that run a statement or hold a transaction open, who each waits for, and how many are
 * idle. Reads shared memory only. pg_blocking_pids takes every lock of the lock manager, so only waiting backends are
 * asked about. A role without pg_read_all_stats sees little of other roles' backends.
 */
export const backendsStatement = `
SELECT
  date_part('epoch', now()) * 1000 AS now_ms,
  a.pid,
  a.usename::text AS "user",
  a.application_name AS application,
  host(a.client_addr) AS client,
  a.backend_type,
  a.backend_start,
  a.query_start,
  a.state,
  a.wait_event_type,
  a.wait_event,
  (1000 * date_part('epoch', clock_timestamp() - a.xact_start))::float8 AS transaction_ms,
  (1000 * date_part('epoch', clock_timestamp() - CASE WHEN a.state = 'active' THEN a.query_start ELSE a.state_change END))::float8 AS state_ms,
  ${boundedText("ltrim(a.query, E' \\n\\r\\t')", 500)} AS query,
  CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by,
  (SELECT count(*) FROM pg_stat_activity
   WHERE datname = current_database() AND backend_type = 'client backend' AND state = 'idle') AS idle
FROM (SELECT) AS one
LEFT JOIN pg_stat_activity AS a
  ON a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND (a.backend_type IS NULL OR a.backend_type IN ('client backend', 'autovacuum worker')) AND a.state IS DISTINCT FROM 'idle'`;

export type BackendsDatabaseRow = {
  now_ms: number;
  /** Null in the only row when there are no such backends. */
  pid: number | null;
  user: string | null;
  application: string | null;
  client: string | null;
  backend_type: string | null;
  backend_start: Date | null;
  query_start: Date | null;
  state: string | null;
  wait_event_type: string | null;
  wait_event: string | null;
  transaction_ms: number | null;
  state_ms: number | null;
  query: string | null;
  blocked_by: number[];
  idle: number;
};

/** Who blocks the most, then who waits, then the longest transaction. */
const troubleFirst: Sort<BackendRow> = {
  id: 'trouble',
  title: 'waiting and blocking',
  direction: 'desc',
  value: ({ blocks, blockedBy, transactionMs }) =>
    blocks * 1e15 + (blockedBy.length > 0 ? 1e14 : 0) + Math.max(0, transactionMs ?? 0),
};
