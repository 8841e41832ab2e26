import type { Database } from '../../db/database.js';
import { leftoverPattern } from '../../shared/index-leftovers.js';
import { maintenanceName } from '../maintenance-connection.js';
import { isNamedAfter } from './leftovers.js';

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
    AND ${isNamedAfter('i.relname', 'other.relname')}
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
