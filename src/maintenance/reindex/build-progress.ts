import type { Database } from '../../db/database.js';
import type { Progress } from '../action.js';

type ProgressRow = {
  phase: string;
  blocks_done: number;
  blocks_total: number;
  tuples_done: number;
  tuples_total: number;
  lockers_done: number;
  lockers_total: number;
  blocker_pid: number | null;
  blocker_user: string | null;
  blocker_query: string | null;
};

/**
 * How far the index build of one backend is, from pg_stat_progress_create_index; undefined when the
 * server tells nothing (it has not begun, has ended, or is the embedded one). The view's index
 * changes during a concurrent rebuild, so it is asked by pid.
 */
export async function readBuildProgress(
  database: Database,
  pid: number,
): Promise<Progress | undefined> {
  const [row] = await database.read<ProgressRow>(
    `SELECT p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total,
       p.lockers_done, p.lockers_total, NULLIF(p.current_locker_pid, 0)::int AS blocker_pid,
       a.usename::text AS blocker_user, left(a.query, 200) AS blocker_query
     FROM pg_stat_progress_create_index AS p
     LEFT JOIN pg_stat_activity AS a ON a.pid = NULLIF(p.current_locker_pid, 0)
     WHERE p.pid = $1`,
    [pid],
  );
  return row === undefined ? undefined : toProgress(row);
}

function toProgress(row: ProgressRow): Progress {
  const measure =
    row.blocks_total > 0
      ? { done: row.blocks_done, total: row.blocks_total, unit: 'blocks' }
      : row.tuples_total > 0
        ? { done: row.tuples_done, total: row.tuples_total, unit: 'tuples' }
        : row.lockers_total > 0
          ? { done: row.lockers_done, total: row.lockers_total, unit: 'lockers' }
          : {};
  const blocker =
    row.blocker_pid === null
      ? {}
      : {
          blockedBy: `pid ${row.blocker_pid} (${row.blocker_user ?? 'unknown role'}): ${row.blocker_query ?? 'its statement is not shown to this role'}`,
        };
  return { phase: row.phase, ...measure, ...blocker };
}
