import type { Database } from '../db/database.js';
import type { DirectConnection } from '../db/direct-connection.js';
import type { Progress, ActionContext } from './action.js';
import { boundedText } from '../db/quote.js';

/** The application name of these sessions: by it a build that was left running is found again. */
export const maintenanceName = 'trace-console maintenance';

/** Milliseconds that a statement waits for the locks of others before it gives up; 10 minutes. */
export const defaultLockTimeoutMs = 600_000;

/**
 * A session of its own for a long statement: without the time-outs of its role or database, which would end
 * every large build, and with a lock time-out of its own. The server goes on when the client is gone:
 * whether that is wanted is asked before the console ends. The caller closes it.
 *
 * @throws ConsoleError `pooled_connection` behind a transaction pooler
 */
export async function connectForMaintenance(
  database: Database,
  lockTimeoutMs: number = defaultLockTimeoutMs,
): Promise<DirectConnection> {
  const connection = await database.connectDirect();
  try {
    await connection.query(`SET application_name = '${maintenanceName}'`);
    await setLockTimeout(connection, lockTimeoutMs);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** At least a millisecond: to the server 0 means no limit. */
export async function setLockTimeout(
  connection: DirectConnection,
  milliseconds: number,
): Promise<void> {
  await connection.query(`SET lock_timeout = ${Math.max(1, Math.round(milliseconds))}`);
}

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
  a.usename::text AS blocker_user, ${boundedText('a.query', 200)} AS blocker_query
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
/** Of a statement without a progress of its own: only who is in its way. */
export const readWaits = readerOf(
  progressStatement('(SELECT 0 AS pid, NULL::text AS phase)', 'NULL::json'),
);

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

/** How often the server is asked how far it is. */
const pollMs = 500;

export type FollowOptions = {
  /** The phase to show until the server reports one. */
  phase: string;
  /** Asks how far the statement of this backend is, and who is in its way. */
  readProgress: (database: Database, pid: number) => Promise<Progress | undefined>;
  /** The console may end meanwhile: the next one finds what the server is building. */
  detachable?: boolean;
};

/**
 * Runs one long statement on a connection of its own and yields how far it is, until it ends. When
 * the person cancels, the statement is cancelled, and no other: it then fails with SQLSTATE 57014.
 *
 * @returns `left` when the console ends and the server goes on with it by itself
 * @throws ConsoleError when the statement fails or was cancelled
 */
export async function* followStatement(
  { database, signal, detach }: ActionContext,
  connection: DirectConnection,
  statement: string,
  { phase, readProgress, detachable = false }: FollowOptions,
): AsyncGenerator<Progress, 'finished' | 'left'> {
  const { embedded } = database.capabilities;
  const mayLeave = detachable && !embedded;
  const stop = AbortSignal.any(detach && mayLeave ? [signal, detach] : [signal]);
  const running = connection.query(statement);
  const settled = running.then(
    () => true,
    () => true,
  );
  const told = (progress: Progress): Progress =>
    mayLeave ? { ...progress, detachable: true } : progress;
  yield told({ phase: embedded ? `${phase} (the embedded database tells no progress)` : phase });
  for (let cancelled = false; ;) {
    if (signal.aborted && !cancelled) {
      cancelled = true;
      await database.cancel(connection);
    } else if (mayLeave && detach?.aborted) {
      await connection.close();
      return 'left';
    }
    if (await Promise.race([settled, pauseUnlessAborted(pollMs, stop).then(() => false)])) break;
    // Not asked on the embedded engine: it runs one statement at a time, so the question would wait for this one to end.
    if (embedded) continue;
    // A progress that cannot be read must not end the statement.
    const progress = await readProgress(database, connection.cancelKey.processId).catch(
      () => undefined,
    );
    if (progress) yield told(progress.phase === '' ? { ...progress, phase } : progress);
  }
  await running;
  return 'finished';
}

/**
 * Adds rate and time left where an action does not know them itself, from how its phase has
 * advanced. A new phase begins a new measurement.
 */
export class ProgressRate {
  #phase: string | undefined;
  #first: { done: number; atMs: number } | undefined;

  /** @param nowMs a clock that never jumps, milliseconds */
  complete(progress: Progress, nowMs: number): Progress {
    const { phase, done, total, rate } = progress;
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#first = undefined;
    }
    if (done === undefined || rate !== undefined) return progress;
    this.#first ??= { done, atMs: nowMs };
    const seconds = (nowMs - this.#first.atMs) / 1000;
    const measured = (done - this.#first.done) / seconds;
    // The first second says little.
    if (seconds < 1 || !(measured > 0)) return progress;
    return {
      ...progress,
      rate: measured,
      ...(total === undefined ? {} : { secondsLeft: Math.max(0, total - done) / measured }),
    };
  }
}

/** Waits, or returns at once when the signal comes; a signal that came before does not shorten it. */
export function pauseUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener('abort', finish);
  });
}
