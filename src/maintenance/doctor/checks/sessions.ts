import { counted } from '../../../core/format/number.js';
import { exceptEmbedded, good, type Check, firstOf, needsAllStats } from '../check.js';
import { boundedText, quoteIdent, quoteLiteral } from '../../../db/quote.js';
import { formatAge } from '../../../core/format/time.js';

/** Other roles' rows have no backend_type for a role without pg_read_all_stats, but their database. */
const connectionsStatement = `
SELECT
  count(*) FILTER (WHERE a.datid IS NOT NULL AND COALESCE(a.backend_type, 'client backend') = 'client backend') AS used,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - COALESCE(current_setting('reserved_connections', true)::int, 0) AS places,
  current_setting('max_connections')::int AS most,
  count(*) FILTER (WHERE a.application_name = 'trace-console') AS own,
  count(*) FILTER (WHERE a.datname = current_database()) AS of_database,
  (SELECT NULLIF(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) AS database_limit,
  count(*) FILTER (WHERE a.usename = current_user) AS of_role,
  (SELECT NULLIF(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user) AS role_limit
FROM pg_stat_activity AS a`;

type ConnectionsRow = {
  used: number;
  places: number;
  most: number;
  own: number;
  of_database: number;
  database_limit: number | null;
  of_role: number;
  role_limit: number | null;
};

export const connections: Check = {
  id: 'connections',
  title: 'Connections',
  why: 'When every place is taken the next writer is refused. Each connection costs memory as well: a pool of 5 to 20 an application is enough.',
  skip: exceptEmbedded('its daemon serves any number of clients in one session'),
  async run({ tx }) {
    const { rows } = await tx.query<ConnectionsRow>(connectionsStatement);
    const [row] = rows;
    if (!row) return good('The server shows no sessions.');
    const limits = [
      { used: row.used, limit: row.places, of: `of ${row.most}, less those reserved` },
      { used: row.of_database, limit: row.database_limit, of: 'allowed to this database' },
      { used: row.of_role, limit: row.role_limit, of: 'allowed to this role' },
    ].filter((one): one is { used: number; limit: number; of: string } => one.limit !== null);
    const fullest = limits.reduce((a, b) => (b.used / b.limit > a.used / a.limit ? b : a));
    const share = fullest.used / fullest.limit;
    const evidence = `${fullest.used} of ${fullest.limit} connections are taken (${fullest.of}); ${row.own} by this console's kind.`;
    if (share < 0.8) return good(evidence);
    return {
      severity: share >= 0.95 ? 'critical' : 'warning',
      evidence,
      fix: 'See who holds them; keep the pools of applications between 5 and 20, or put a pooler in between.',
      command:
        'SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC;',
    };
  },
};

type Limits = { idleMs: number; runningMs: number };

const usual: Limits = { idleMs: 5 * 60_000, runningMs: 3_600_000 };

type TransactionRow = {
  pid: number;
  role: string | null;
  application: string;
  idle: boolean;
  age_ms: number;
  query: string;
};

/** A check with other limits than the usual; for tests. */
export function idleTransactionsCheck(limits: Partial<Limits> = {}): Check {
  const { idleMs, runningMs } = { ...usual, ...limits };
  return {
    id: 'idle-transactions',
    title: 'Long transactions',
    why: 'An open transaction keeps its locks, and every row that was deleted since it began. One that waits for its client does so without any use, and concurrent index builds wait for it.',
    skip: needsAllStats('one session at a time, no transaction stays open beside it'),
    async run({ tx }) {
      const { rows } = await tx.query<TransactionRow>(
        `SELECT pid, usename::text AS role, application_name AS application,
           state LIKE 'idle in transaction%' AS idle, ${boundedText('query', 120)} AS query,
           1000 * date_part('epoch', clock_timestamp()
             - CASE WHEN state LIKE 'idle in transaction%' THEN state_change ELSE xact_start END) AS age_ms
         FROM pg_stat_activity
         WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
           AND backend_type = 'client backend'
         ORDER BY xact_start`,
      );
      const long = rows.filter(({ idle, age_ms }) => age_ms >= (idle ? idleMs : runningMs));
      const [first] = long;
      if (!first) return good('No transaction has been open for long.');
      const lines = long.map(
        ({ pid, role, application, idle, age_ms, query }) =>
          `pid ${pid} (${role ?? '?'}, ${application === '' ? 'no name' : application}) ${idle ? 'idle in its transaction' : 'running'} for ${formatAge(age_ms)}: ${query}`,
      );
      return {
        severity: 'warning',
        evidence: `${counted(long.length, 'transaction')}: ${firstOf(lines, 1)}`,
        items: lines,
        fix: 'Ask who runs it to end it. A time-out for the role keeps it from happening again.',
        command: `ALTER ROLE ${quoteIdent(first.role ?? 'ROLE')} SET idle_in_transaction_session_timeout = '10min';`,
      };
    },
  };
}

export const idleTransactions = idleTransactionsCheck();

type WaitRow = {
  pid: number;
  age_ms: number;
  query: string;
  blocker: number | null;
  blocker_query: string | null;
};

/**
 * Sessions that wait for a lock, and the first that is in their way. pg_blocking_pids looks at the lock
 * table for a moment, so it is asked for those only that wait.
 */
const waitsStatement = `
SELECT a.pid, ${boundedText('a.query', 100)} AS query, b.pid AS blocker, ${boundedText('b.query', 100)} AS blocker_query,
  1000 * date_part('epoch', clock_timestamp() - a.query_start) AS age_ms
FROM (
  SELECT pid, query, query_start FROM pg_stat_activity
  WHERE wait_event_type = 'Lock' AND datname = current_database()
    AND query_start < clock_timestamp() - $1::float8 * interval '1 millisecond'
  ORDER BY query_start LIMIT 20
) AS a
LEFT JOIN LATERAL (SELECT unnest(pg_blocking_pids(a.pid)) AS pid LIMIT 1) AS blocking ON true
LEFT JOIN pg_stat_activity AS b ON b.pid = blocking.pid
ORDER BY age_ms DESC`;

/** A check with another limit than 30 seconds; for tests. */
export function lockWaitsCheck(leastMs = 30_000): Check {
  return {
    id: 'lock-waits',
    title: 'Lock waits',
    why: 'A statement that waits for a lock stands in the way of those that come after it: one forgotten transaction can stop all writers.',
    skip: needsAllStats('one session at a time, nothing waits for a lock'),
    async run({ tx }) {
      const { rows } = await tx.query<WaitRow>(waitsStatement, [leastMs]);
      if (rows.length === 0) return good('Nobody waits long for a lock.');
      const lines = rows.map(
        ({ pid, age_ms, query, blocker, blocker_query }) =>
          `pid ${pid} waits for ${formatAge(age_ms)} (${query}) behind pid ${blocker ?? '?'} (${blocker_query ?? 'not shown'})`,
      );
      return {
        severity: 'warning',
        evidence: `${counted(rows.length, 'session')}: ${firstOf(lines, 1)}`,
        items: lines,
        fix: 'Ask who runs the one in front to end it; or end it yourself: c cancels its query, Z terminates it in the pane PostgreSQL.',
        command:
          "SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
      };
    },
  };
}

export const lockWaits = lockWaitsCheck();

type PreparedRow = { gid: string; owner: string; age_ms: number };

/** A check with another limit than 10 minutes; for tests. */
export function preparedTransactionsCheck(leastMs = 600_000): Check {
  return {
    id: 'prepared-transactions',
    title: 'Prepared transactions',
    why: 'A prepared transaction outlives its session and a restart. Forgotten by its manager it keeps its locks, and every dead row since, for ever.',
    skip: exceptEmbedded('it has none'),
    async run({ tx }) {
      const { rows } = await tx.query<PreparedRow>(
        `SELECT gid, owner::text AS owner, 1000 * date_part('epoch', clock_timestamp() - prepared) AS age_ms
         FROM pg_prepared_xacts
         WHERE database = current_database() AND prepared <= clock_timestamp() - $1::float8 * interval '1 millisecond'
         ORDER BY prepared`,
        [leastMs],
      );
      const [first] = rows;
      if (!first) return good('None has been waiting for long.');
      const lines = rows.map(
        ({ gid, owner, age_ms }) => `${gid} of ${owner}, prepared ${formatAge(age_ms)} ago`,
      );
      return {
        severity: 'warning',
        evidence: `${counted(rows.length, 'prepared transaction')}: ${firstOf(lines)}.`,
        items: lines,
        fix: 'Let its transaction manager finish it; when that has forgotten it, roll it back as its owner.',
        command: `ROLLBACK PREPARED ${quoteLiteral(first.gid)};`,
      };
    },
  };
}

export const preparedTransactions = preparedTransactionsCheck();
