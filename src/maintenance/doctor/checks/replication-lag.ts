import { formatBytes } from '../../../shared/format/bytes.js';
import { counted, firstOf, good, needsAllStats, type Check } from '../check.js';

type Row = { name: string; bytes: number | null; seconds: number | null };

/** On a primary every standby; on a standby how far it is behind what it has received. */
const lagStatement = `
SELECT COALESCE(NULLIF(application_name, ''), client_addr::text, 'pid ' || pid) AS name,
  pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 AS bytes,
  date_part('epoch', replay_lag) AS seconds
FROM pg_stat_replication WHERE NOT pg_is_in_recovery()`;

const ownLagStatement = `
SELECT 'this standby' AS name, pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8 AS bytes,
  CASE WHEN pg_last_wal_receive_lsn() <> pg_last_wal_replay_lsn()
       THEN date_part('epoch', clock_timestamp() - pg_last_xact_replay_timestamp()) END AS seconds`;

type Limits = { leastBytes: number; leastSeconds: number };

const usual: Limits = { leastBytes: 268_435_456, leastSeconds: 60 };

/** A check with other limits than the usual; for tests. */
export function replicationLagCheck(limits: Partial<Limits> = {}): Check {
  const { leastBytes, leastSeconds } = { ...usual, ...limits };
  return {
    id: 'replication-lag',
    title: 'Replication lag',
    why: 'A standby far behind answers with old data, and at a failover what it has not received is lost. A large archiving or a rebuild may cause it.',
    skip: needsAllStats('nothing replicates it'),
    async run({ tx, capabilities }) {
      const { rows } = await tx.query<Row>(capabilities.standby ? ownLagStatement : lagStatement);
      const behind = rows.filter(
        ({ bytes, seconds }) => (bytes ?? 0) >= leastBytes || (seconds ?? 0) >= leastSeconds,
      );
      if (behind.length === 0) {
        return good(
          rows.length === 0
            ? 'No standby is connected.'
            : `${counted(rows.length, 'standby', 'standbys')}, none far behind.`,
        );
      }
      const lines = behind.map(
        ({ name, bytes, seconds }) =>
          `${name} is ${formatBytes(bytes ?? 0)} of log behind${seconds === null ? '' : `, ${Math.round(seconds)} s`}`,
      );
      return {
        severity: 'warning',
        evidence: `${firstOf(lines, 2)}.`,
        items: lines,
        mend: 'Pause what writes much (archiving waits by itself), and look at the standby: its disk, a long query in the way of replay, a paused replay.',
        command: 'SELECT * FROM pg_stat_replication;',
      };
    },
  };
}

export const replicationLag = replicationLagCheck();
