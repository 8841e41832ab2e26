import { exceptEmbedded, good, type Check } from '../check.js';
import { withSeparators } from '../../../shared/format/number.js';

/** The counters moved to a view of their own in PostgreSQL 17. */
function checkpointsStatement(serverVersion: number): string {
  const [view, timed, requested] =
    serverVersion >= 170_000
      ? ['pg_stat_checkpointer', 'num_timed', 'num_requested']
      : ['pg_stat_bgwriter', 'checkpoints_timed', 'checkpoints_req'];
  return `SELECT ${timed} AS timed, ${requested} AS requested, current_setting('max_wal_size') AS wal_size FROM ${view}`;
}

/** Fewer tell nothing: a backup or an administrator asks for one now and then. */
const least = 20;

export const checkpoints: Check = {
  id: 'checkpoints',
  title: 'Checkpoints',
  why: 'Checkpoints should come by the clock. When the write-ahead log fills before, they come more often, and every page is written whole again after each.',
  skip: exceptEmbedded('its daemon makes them'),
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<{ timed: number; requested: number; wal_size: string }>(
      checkpointsStatement(capabilities.serverVersion),
    );
    const { timed = 0, requested = 0, wal_size: walSize = '?' } = rows[0] ?? {};
    const evidence = `${withSeparators(requested)} on demand, ${withSeparators(timed)} by the clock`;
    if (requested <= least || requested <= timed) return good(`${evidence}.`);
    return {
      severity: 'advice',
      evidence: `${evidence}; max_wal_size is ${walSize}.`,
      mend: 'Allow more write-ahead log between two checkpoints, where the disk has the room; a reload is enough.',
      command: "ALTER SYSTEM SET max_wal_size = '4GB'; SELECT pg_reload_conf();",
    };
  },
};
