/**
 * Sessions of this database that do something or hold a transaction open, with who they wait for, and how many are
 * idle. Shared memory only. pg_blocking_pids takes every lock manager's lock, so it is asked for waiting sessions only.
 * Of other roles' sessions a role without pg_read_all_stats learns little more than that they exist.
 */
export const sessionsStatement = `
SELECT
  date_part('epoch', now()) * 1000 AS now_ms,
  a.pid,
  a.usename::text AS "user",
  a.application_name AS application,
  host(a.client_addr) AS client,
  a.backend_type,
  a.backend_start,
  a.state,
  a.wait_event_type,
  a.wait_event,
  (1000 * date_part('epoch', clock_timestamp() - a.xact_start))::float8 AS transaction_ms,
  (1000 * date_part('epoch', clock_timestamp() - CASE WHEN a.state = 'active' THEN a.query_start ELSE a.state_change END))::float8 AS state_ms,
  left(a.query, 500) AS query,
  CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by,
  (SELECT count(*) FROM pg_stat_activity
   WHERE datname = current_database() AND backend_type = 'client backend' AND state = 'idle') AS idle
FROM (SELECT) AS one
LEFT JOIN pg_stat_activity AS a
  ON a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND (a.backend_type IS NULL OR a.backend_type IN ('client backend', 'autovacuum worker')) AND a.state IS DISTINCT FROM 'idle'`;

export type SessionsDatabaseRow = {
  now_ms: number;
  /** Null in the only row when there are no such sessions. */
  pid: number | null;
  user: string | null;
  application: string | null;
  client: string | null;
  backend_type: string | null;
  backend_start: Date | null;
  state: string | null;
  wait_event_type: string | null;
  wait_event: string | null;
  transaction_ms: number | null;
  state_ms: number | null;
  query: string | null;
  blocked_by: number[];
  idle: number;
};

/** One session in full, with its locks and those it waits for. `$1`: pid. */
export const sessionDetailStatement = `
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
