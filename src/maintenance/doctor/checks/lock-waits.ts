import { formatAge } from '../../../shared/format/duration.js';
import { counted, firstOf, good, needsAllStats, type Check } from '../check.js';

type Row = {
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
SELECT a.pid, left(a.query, 100) AS query, b.pid AS blocker, left(b.query, 100) AS blocker_query,
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
      const { rows } = await tx.query<Row>(waitsStatement, [leastMs]);
      if (rows.length === 0) return good('Nobody waits long for a lock.');
      const lines = rows.map(
        ({ pid, age_ms, query, blocker, blocker_query }) =>
          `pid ${pid} waits for ${formatAge(age_ms)} (${query}) behind pid ${blocker ?? '?'} (${blocker_query ?? 'not shown'})`,
      );
      return {
        severity: 'warning',
        evidence: `${counted(rows.length, 'session')}: ${firstOf(lines, 1)}`,
        items: lines,
        mend: 'Ask who runs the one in front to end it.',
        command:
          "SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
      };
    },
  };
}

export const lockWaits = lockWaitsCheck();
