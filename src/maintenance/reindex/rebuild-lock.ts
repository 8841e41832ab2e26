import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, DirectConnection } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { formatClock } from '../../shared/format/time.js';
import { readRuns, whoRuns, type Run } from '../journal/run.js';

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

/** What was looked at is no longer there. */
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

/** Whether this session is still at it: building, swapping, or dropping the old one. */
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
    hint: `r on the index that is building follows it, or trace-console reindex --follow ${index}`,
  });
}

/** The run that the journal has for a session: begun before it, for this index where one is named. */
async function runBehind(database: Database, index: string, since: Date): Promise<Run | undefined> {
  const { schema } = database.capabilities;
  const runs = await database.transaction({ readOnly: true }, (tx) => readRuns(tx, schema, 100));
  const running = runs.filter(
    ({ action, state, startedAt }) =>
      action === 'reindex' && state === 'running' && startedAt <= since,
  );
  return running.find(({ subject }) => subject?.split(', ').includes(index)) ?? running[0];
}
