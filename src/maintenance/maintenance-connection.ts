import type { Database, DirectConnection } from '../db/database.js';

/** By this name a build is known again that was left running on the server. */
export const maintenanceName = 'trace-console maintenance';

/** Milliseconds that a statement waits for the locks of others before it gives up; 10 minutes. */
export const defaultLockTimeoutMs = 600_000;

/**
 * A session of its own for a long statement: without the role's statement time-out, which would end
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
    await connection.query(
      `SET application_name = '${maintenanceName}'; SET statement_timeout = 0`,
    );
    await setLockTimeout(connection, lockTimeoutMs);
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** At least a millisecond: none at all would be for ever to the server. */
export async function setLockTimeout(
  connection: DirectConnection,
  milliseconds: number,
): Promise<void> {
  await connection.query(`SET lock_timeout = ${Math.max(1, Math.round(milliseconds))}`);
}
