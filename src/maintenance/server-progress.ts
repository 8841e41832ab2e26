import type { Database } from '../db/database.js';
import type { Progress } from './action.js';

/** What every progress statement gives besides its own columns. */
type ProgressRow = {
  /** Null while the server shows no progress: the statement waits for its first lock. */
  phase: string | null;
  measure: [done: number, total: number, unit: string] | null;
  blocker_pid: number | null;
  blocker_user: string | null;
  blocker_query: string | null;
};

/**
 * How far a backend is, by one of the progress views, and who is in its way: whom the view names, or
 * who holds the lock it waits for.
 */
function progressStatement(view: string, measure: string, locker = 'NULL::bigint'): string {
  return `
SELECT p.phase, ${measure} AS measure, blocker.pid AS blocker_pid,
  a.usename::text AS blocker_user, left(a.query, 200) AS blocker_query
FROM (SELECT $1::int AS pid) AS me
LEFT JOIN ${view} AS p ON p.pid = me.pid
LEFT JOIN LATERAL (
  SELECT pid FROM unnest(
    CASE WHEN ${locker} > 0 THEN ARRAY[(${locker})::int] ELSE pg_blocking_pids(me.pid) END
  ) AS pid LIMIT 1
) AS blocker ON true
LEFT JOIN pg_stat_activity AS a ON a.pid = blocker.pid`;
}

const buildStatement = progressStatement(
  'pg_stat_progress_create_index',
  `CASE
     WHEN p.phase LIKE 'waiting for%' AND p.lockers_total > 0
       THEN json_build_array(p.lockers_done, p.lockers_total, 'transactions')
     WHEN p.blocks_total > 0 THEN json_build_array(p.blocks_done, p.blocks_total, 'blocks')
     WHEN p.tuples_total > 0 THEN json_build_array(p.tuples_done, p.tuples_total, 'tuples')
   END`,
  'p.current_locker_pid',
);

const vacuumStatement = progressStatement(
  'pg_stat_progress_vacuum',
  `CASE
     WHEN p.phase = 'vacuuming heap' AND p.heap_blks_total > 0
       THEN json_build_array(p.heap_blks_vacuumed, p.heap_blks_total, 'blocks')
     WHEN p.heap_blks_total > 0
       THEN json_build_array(p.heap_blks_scanned, p.heap_blks_total, 'blocks')
   END`,
);

const analyzeStatement = progressStatement(
  'pg_stat_progress_analyze',
  `CASE WHEN p.sample_blks_total > 0
     THEN json_build_array(p.sample_blks_scanned, p.sample_blks_total, 'blocks') END`,
);

/** The index build of one backend. The view's index changes meanwhile, so it is asked by pid. */
export const readBuildProgress = readerOf(buildStatement);
export const readVacuumProgress = readerOf(vacuumStatement);
export const readAnalyzeProgress = readerOf(analyzeStatement);

function readerOf(statement: string) {
  return async (database: Database, pid: number): Promise<Progress | undefined> => {
    const [row] = await database.read<ProgressRow>(statement, [pid]);
    if (!row || (row.phase === null && row.blocker_pid === null)) return undefined;
    const [done, total, unit] = row.measure ?? [];
    return {
      phase: row.phase ?? '',
      ...(done !== undefined && total !== undefined && unit !== undefined
        ? { done, total, unit }
        : {}),
      ...(row.blocker_pid === null ? {} : { blockedBy: blockerText(row) }),
    };
  };
}

function blockerText({ blocker_pid: pid, blocker_user: user, blocker_query: query }: ProgressRow) {
  if (pid === 0) return 'a prepared transaction (pg_prepared_xacts names it)';
  return `pid ${pid} (${user ?? 'unknown role'}): ${query ?? 'its statement is not shown to this role'}`;
}
