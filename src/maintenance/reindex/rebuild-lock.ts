import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../db/database.js';
import type { DirectConnection } from '../../db/direct-connection.js';
import { ConsoleError } from '../../db/errors.js';
import { formatClock } from '../../core/format/time.js';
import type { OfferCommand } from '../action.js';
import { hasJournal, readRuns, whoRuns, type Run } from '../journal/run.js';
import { maintenanceName } from '../long-statement.js';

/**
 * What names an index that no query needs: `_ccnew` and `_ccold` are left by an interrupted REINDEX
 * CONCURRENTLY, `_tcnew` and `_tcold` by an interrupted rebuild of the console's own, with other lists
 * or another method. The name alone proves nothing.
 */
export const leftoverPattern = String.raw`_(cc|tc)(new|old)\d*$`;

/**
 * How the comment of such an index of the console's own begins. One that is finished but not yet, or no
 * longer, in use is valid, and told from somebody's own index by nothing else.
 */
export const replacementMark = 'trace-console: not in use; ';

/**
 * Whether an index is named as a leftover of another. A name of 63 bytes is cut, so there its beginning
 * counts; a character of several bytes at the cut makes it a little shorter.
 */
export function isNamedAfter(leftover: string, other: string): boolean {
  const base = leftover.replace(new RegExp(leftoverPattern), '');
  if (base === leftover || other === leftover) return false;
  const bytes = Buffer.byteLength(leftover);
  return (
    other === base || (bytes > 59 && Buffer.byteLength(other) > bytes - 8 && other.startsWith(base))
  );
}

/** The same in SQL; `$1` is `leftoverPattern`. */
export function isNamedAfterInSql(leftover: string, other: string): string {
  const base = `regexp_replace(${leftover}, $1, '')`;
  return `(${other} = ${base} OR (octet_length(${leftover}) > 59
    AND octet_length(${other}) > octet_length(${leftover}) - 8 AND starts_with(${other}, ${base})))`;
}

/** The id, in the journal, of the action whose runs hold these locks. */
export const reindexId = 'reindex';

/** It rebuilds an index, or follows the one that holds its lock. */
export const reindexCommand: OfferCommand = {
  id: 'reindex',
  key: 'r',
  title: 'rebuild the chosen index, after a preview; follow a rebuild that is running',
  bar: 'reindex',
  priority: 6,
};

/** For findings of the doctor. */
export const rebuiltInConsole = `:${reindexCommand.id} does it on the index pane`;

/** The advisory lock of an index: `schema` and `index` are SQL for its schema's and its own name. */
const keyOf = (schema: string, index: string) =>
  `hashtextextended('trace_console.rebuild:' || quote_ident(${schema}) || '.' || quote_ident(${index}), 0)`;

/** Whether another session holds the lock of an index, in SQL. */
export function isBeingRebuilt(schema: string, index: string): string {
  return `EXISTS (SELECT FROM pg_locks AS l WHERE ${isHeldByOther(keyOf(schema, index))})`;
}

/** pg_locks has a key in two halves. */
const isHeldByOther = (key: string) => `l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32) | l.objid::bigint = ${key} AND l.pid <> pg_backend_pid()`;

/**
 * Keeps other consoles from rebuilding the index or tidying up after it, for as long as the connection lives: while
 * the index is built, put in its place, and the old one dropped. It ends with its session and no earlier: a
 * server that goes on building for a console that was killed still has it.
 *
 * It is tried, never waited for: a session that waits has a snapshot, and a concurrent build waits for that. The
 * embedded engine is one session for all of its consoles, and a lock would keep nobody out.
 *
 * @param patienceMs milliseconds to try again; a session that has just been closed takes a moment to go
 * @throws ConsoleError `busy` with who has it
 */
export async function lockRebuild(
  database: Database,
  connection: DirectConnection,
  index: string,
  patienceMs = 0,
): Promise<void> {
  const { embedded, schema } = database.capabilities;
  if (embedded) return;
  for (const started = performance.now(); ;) {
    const { rows } = await connection.query<{ locked: boolean }>(
      `SELECT pg_try_advisory_lock(${keyOf('$1::text', '$2::text')}) AS locked`,
      [schema, index],
    );
    if (rows[0]?.locked) return;
    if (performance.now() - started >= patienceMs) break;
    await sleep(50);
  }
  throw (await findRebuilder(database, [index])) ?? rebuiltMeanwhile(index);
}

/** The index that was looked at is no longer there. */
export function rebuiltMeanwhile(index: string): ConsoleError {
  return new ConsoleError('busy', `${index} was rebuilt by another session just now.`, {
    hint: 'Look at it, and run it again where it is still wanted.',
  });
}

/** The error that names who rebuilds one of these indexes now; undefined when nobody does. */
export async function findRebuilder(
  database: Database,
  indexes: readonly string[],
): Promise<ConsoleError | undefined> {
  const [holder] = await findHolders(database, indexes);
  return holder && busyError(database, holder);
}

/** Whether this session still rebuilds the index: builds, swaps, or drops the old one. */
export async function isRebuilding(
  database: Database,
  index: string,
  pid: number,
): Promise<boolean> {
  return (await findHolders(database, [index])).some((holder) => holder.pid === pid);
}

/** `since`: the start of its session, which is not told of the sessions of other roles. */
type Holder = { index: string; pid: number; since: Date | null };

async function findHolders(database: Database, indexes: readonly string[]): Promise<Holder[]> {
  if (database.capabilities.embedded) return [];
  return database.read<Holder>(
    `SELECT wanted.index, l.pid, a.backend_start AS since
     FROM unnest($2::text[]) AS wanted (index)
     JOIN pg_locks AS l ON ${isHeldByOther(keyOf('$1::text', 'wanted.index'))}
     LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid`,
    [database.capabilities.schema, [...indexes]],
  );
}

async function busyError(database: Database, { index, pid, since }: Holder): Promise<ConsoleError> {
  const run = since && (await runBehind(database, index, since));
  const who = run
    ? `${whoRuns(run)} since ${formatClock(run.startedAt)} (run ${run.id}, pid ${pid})`
    : `pid ${pid}`;
  return new ConsoleError('busy', `${index} is being rebuilt by ${who}.`, {
    hint: `:${reindexCommand.id} on the index that is building follows it, or trace-console reindex --follow ${index}`,
  });
}

/** The run that the journal has for a session: begun before it, for this index where one is named. */
async function runBehind(database: Database, index: string, since: Date): Promise<Run | undefined> {
  const { schema } = database.capabilities;
  // Without access to the journal only the pid is known.
  const runs = await database.transaction({ readOnly: true }, async (tx) =>
    (await hasJournal(tx)) ? readRuns(tx, schema, 100) : [],
  );
  const running = runs.filter(
    ({ action, state, startedAt }) =>
      action === reindexId && state === 'running' && startedAt <= since,
  );
  return running.find(({ subject }) => subject?.split(', ').includes(index)) ?? running[0];
}

/** An index build that a console of this role began, in this database; perhaps one that has ended since. */
export type RunningBuild = {
  pid: number;
  /** With the pid it names the session beyond doubt. */
  backendStart: string;
  /** The index that is rebuilt, by its fixed name. */
  index: string;
  /** The one that is being built. */
  building: string;
  table: string;
  seconds: number;
};

const statement = `
SELECT p.pid, a.backend_start::text AS "backendStart", t.relname::text AS table,
  COALESCE(used.relname, i.relname)::text AS index, i.relname::text AS building,
  extract(epoch FROM now() - a.query_start)::bigint AS seconds
FROM pg_stat_progress_create_index AS p
JOIN pg_stat_activity AS a ON a.pid = p.pid
JOIN pg_class AS t ON t.oid = p.relid
JOIN pg_class AS i ON i.oid = p.index_relid
LEFT JOIN LATERAL (
  SELECT other.relname
  FROM pg_index AS y JOIN pg_class AS other ON other.oid = y.indexrelid
  WHERE i.relname ~ $1 AND y.indrelid = t.oid AND other.oid <> i.oid
    AND ${isNamedAfterInSql('i.relname', 'other.relname')}
  ORDER BY other.relname LIMIT 1
) AS used ON true
WHERE p.datname = current_database() AND a.application_name = $2 AND a.usename = current_user
  AND t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $3)
ORDER BY a.query_start`;

/** The builds of this role's consoles that the server is at, with or without a console that waits for them. */
export async function findRunningBuilds(database: Database): Promise<RunningBuild[]> {
  const { embedded, schema } = database.capabilities;
  if (embedded) return [];
  return database.read<RunningBuild>(statement, [leftoverPattern, maintenanceName, schema]);
}

/** Cancels a build that a console began, and only if it is still that one. */
export async function cancelBuild(
  database: Database,
  { pid, backendStart }: RunningBuild,
): Promise<void> {
  await database.read(
    `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
     WHERE pid = $1 AND backend_start = $2::timestamptz AND application_name = $3
       AND usename = current_user`,
    [pid, backendStart, maintenanceName],
  );
}
