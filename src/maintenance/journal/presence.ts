import type { Database } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';

/**
 * On the embedded engine a long statement keeps the signs of life of its own run waiting until the
 * lease is over. But there a run can be seen to live: its console listens to a channel of the run's,
 * and the session that all clients share listens while one of them does. On a server, where a session
 * is one client's, nobody sees another's channels, and the lease alone counts.
 */
const channelPrefix = 'trace_console.run.';

/** Of the row `r` of the journal: its lease ran out, and its console is not known to live. */
export const isSilent = `(r.lease_until < clock_timestamp() AND NOT EXISTS (
  SELECT FROM pg_listening_channels() AS channel WHERE channel = '${channelPrefix}' || r.id))`;

/**
 * Shows that the console of a run lives, until the result is called or the console ends. What cannot
 * be shown is no reason not to run: the lease counts.
 */
export async function showPresence(database: Database, run: number): Promise<() => Promise<void>> {
  if (!database.capabilities.embedded) return () => Promise.resolve();
  try {
    const connection = await database.connectDirect();
    await connection.query(`LISTEN ${quoteIdent(`${channelPrefix}${run}`)}`);
    return () => connection.close();
  } catch {
    return () => Promise.resolve();
  }
}
