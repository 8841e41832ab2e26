import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';

/** The key of archive_traces (011); whoever changes the archive holds it until its transaction ends. */
const key = `hashtextextended('trace_console.archive:' || $1, 0)`;

/**
 * Limits of a batch that changes the archive. A scheduled archiver has it for about half a second every
 * minute: a long purge would meet it, and so it is waited for. Nobody queues behind such a wait.
 */
export const archiveLimits = { statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 } as const;

/**
 * Keeps every other archiver out until the transaction ends; waits for one as long as its lock time-out says.
 *
 * @throws ConsoleError `busy` when another session is at it for longer
 */
export async function lockArchive(tx: Queryable, schema: string): Promise<void> {
  try {
    await tx.query(`SELECT pg_advisory_xact_lock(${key})`, [schema]);
  } catch (error) {
    if (!(error instanceof ConsoleError && error.code === 'lock_timeout')) throw error;
    throw new ConsoleError('busy', 'The archive is being worked on by another session.', {
      sqlState: '55006',
      cause: error,
    });
  }
}

type HolderRow = {
  pid: number;
  role: string | null;
  application: string | null;
  address: string | null;
};

/** The error of a taken lock with who has it; any other as it is. */
export async function namedHolder(database: Database, error: unknown): Promise<unknown> {
  if (!(error instanceof ConsoleError && error.sqlState === '55006')) return error;
  const holders = await database
    .read<HolderRow>(
      `SELECT l.pid, a.usename::text AS role, NULLIF(a.application_name, '') AS application,
         host(a.client_addr) AS address
       FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
       WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND (l.classid::bigint << 32) | l.objid::bigint = ${key}`,
      [database.capabilities.schema],
    )
    .catch(() => []);
  const [holder] = holders;
  const who = holder
    ? [`pid ${holder.pid}`, holder.role, holder.application, holder.address]
        .filter((part) => part !== null)
        .join(', ')
    : 'it has ended meanwhile';
  return new ConsoleError(
    'busy',
    `The archive is being worked on by another session (${who}), which is in no journal.`,
    { hint: 'Wait until it has finished, and run it again.', cause: error, sqlState: '55006' },
  );
}
