import type { Database, Queryable } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';

/** The key of archive_traces (011); whoever changes the archive holds it until its transaction ends. */
const key = `hashtextextended('trace_console.archive:' || $1, 0)`;

/**
 * Keeps every other archiver out until the transaction ends.
 *
 * @throws ConsoleError `busy` when another session is at it
 */
export async function lockArchive(tx: Queryable, schema: string): Promise<void> {
  const { rows } = await tx.query<{ locked: boolean }>(
    `SELECT pg_try_advisory_xact_lock(${key}) AS locked`,
    [schema],
  );
  if (rows[0]?.locked !== true) {
    throw new ConsoleError('busy', 'The archive is being worked on by another session.', {
      sqlState: '55006',
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
