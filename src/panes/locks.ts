import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';

/**
 * Sessions that hold, or queue for, an ACCESS EXCLUSIVE lock on a relation of `$1` (schema), `$2`
 * (names; NULL: any): whoever reads it now waits. Reads shared memory, takes no lock itself.
 */
export const lockHoldersStatement = `
SELECT c.relname::text AS relation, l.pid, l.granted, left(a.query, 120) AS query,
  a.application_name AS application
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid <> pg_backend_pid()
  AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  AND c.relname = ANY ($2)
ORDER BY l.granted DESC, l.pid`;

export type LockHolderRow = {
  relation: string;
  pid: number;
  granted: boolean;
  query: string | null;
  application: string | null;
};

/**
 * The same failure with the name of who holds the lock; undefined when it is free again, or when
 * nobody can be asked.
 */
export async function whoLocks(
  database: Database,
  relations: readonly string[],
  error: ConsoleError,
): Promise<ConsoleError | undefined> {
  try {
    const holders = await database.read<LockHolderRow>(lockHoldersStatement, [
      database.capabilities.schema,
      relations,
    ]);
    const [holder] = holders;
    if (!holder) return undefined;
    const verb = holder.granted ? 'is locked by' : 'waits to be locked by';
    return new ConsoleError('lock_timeout', `${holder.relation} ${verb} pid ${holder.pid}.`, {
      hint: holder.query ? `It runs: ${holder.query}` : 'Its query is not shown to this role.',
      cause: error,
      ...(error.sqlState === undefined ? {} : { sqlState: error.sqlState }),
    });
  } catch {
    return undefined;
  }
}
