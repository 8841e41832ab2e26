import type { Database } from '../../db/database.js';
import { formatBytes } from '../../core/format/bytes.js';
import { formatDuration } from '../../core/format/duration.js';
import { archiveOf, archivedTables } from '../../core/tables.js';

/** Why to go slower, and how much: milliseconds before the next batch. */
export type Brake = { reason: string; pauseMs: number };

/** From here on a brake is put on. */
type Thresholds = {
  /** A standby behind by so much keeps WAL, and shows old data. */
  lagBytes: number;
  lagMs: number;
  /** An open transaction keeps the rows that were moved from being cleared away. */
  transactionMs: number;
  /** Milliseconds; asked no more often than this, since a batch takes a fifth of it. */
  askEveryMs: number;
};

const usual: Thresholds = {
  lagBytes: 64 * 1024 * 1024,
  lagMs: 10_000,
  transactionMs: 5 * 60_000,
  askEveryMs: 1_000,
};

const pauses = { lag: 2_000, transaction: 1_000, waiter: 1_000 };

type BrakeRow = {
  standby: string | null;
  lag_bytes: number | null;
  lag_ms: number | null;
  pid: number | null;
  transaction_ms: number | null;
};

/** What a role may not see of others is NULL there, and no brake. */
const brakeStatement = `
SELECT r.standby, r.lag_bytes, r.lag_ms, t.pid, t.transaction_ms
FROM (SELECT) AS one
LEFT JOIN LATERAL (
  SELECT COALESCE(NULLIF(application_name, ''), host(client_addr), 'pid ' || pid) AS standby,
    pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS lag_bytes,
    date_part('epoch', replay_lag) * 1000 AS lag_ms
  FROM pg_stat_replication
  WHERE pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > $1 OR replay_lag > make_interval(secs => $2 / 1000.0)
  ORDER BY lag_bytes DESC NULLS LAST LIMIT 1
) AS r ON true
LEFT JOIN LATERAL (
  SELECT pid, date_part('epoch', clock_timestamp() - xact_start) * 1000 AS transaction_ms
  FROM pg_stat_activity
  WHERE backend_xmin IS NOT NULL AND datname = current_database() AND backend_type = 'client backend'
    AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - make_interval(secs => $3 / 1000.0)
  ORDER BY xact_start LIMIT 1
) AS t ON true`;

/** Looks at what the archiving does to others, between two batches. */
export class Brakes {
  readonly #database: Database;
  readonly #thresholds: Thresholds;
  #askedAt = -Infinity;
  #last: Brake | undefined;

  /** @param thresholds others than the usual; for tests */
  constructor(database: Database, thresholds: Partial<Thresholds> = {}) {
    this.#database = database;
    this.#thresholds = { ...usual, ...thresholds };
  }

  /** @param waiting sessions that waited for the rows of the last batch when it ended */
  async look(waiting: number): Promise<Brake | undefined> {
    if (waiting > 0) {
      const sessions = waiting === 1 ? 'a session that' : `${waiting} sessions that`;
      return { reason: `${sessions} waited for rows of the batch`, pauseMs: pauses.waiter };
    }
    // The embedded database has neither standbys nor, but for us, transactions.
    if (this.#database.capabilities.embedded) return undefined;
    if (performance.now() - this.#askedAt < this.#thresholds.askEveryMs) return this.#last;
    this.#last = await this.#ask();
    this.#askedAt = performance.now();
    return this.#last;
  }

  async #ask(): Promise<Brake | undefined> {
    const { lagBytes, lagMs, transactionMs } = this.#thresholds;
    try {
      const [row] = await this.#database.read<BrakeRow>(brakeStatement, [
        lagBytes,
        lagMs,
        transactionMs,
      ]);
      return row && brakeOf(row);
    } catch {
      // Some services do not let their users ask; that is no reason not to archive.
      return undefined;
    }
  }
}

function brakeOf(row: BrakeRow): Brake | undefined {
  if (row.standby !== null) {
    const behind = [
      ...(row.lag_bytes === null ? [] : [formatBytes(row.lag_bytes)]),
      ...(row.lag_ms === null ? [] : [formatDuration(row.lag_ms)]),
    ].join(', ');
    return { reason: `the standby ${row.standby}, ${behind} behind`, pauseMs: pauses.lag };
  }
  if (row.pid !== null) {
    const since = formatDuration(row.transaction_ms);
    return {
      reason: `pid ${row.pid}, in a transaction for ${since}: what is moved cannot be cleared away`,
      pauseMs: pauses.transaction,
    };
  }
  return undefined;
}

/** Bytes of the archive tables with their indexes; undefined where one is locked. */
export async function archiveBytes(database: Database): Promise<number | undefined> {
  try {
    const [row] = await database.read<{ bytes: number }>(
      `SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0) AS bytes
       FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = ANY ($2)`,
      [database.capabilities.schema, archivedTables.map(archiveOf)],
    );
    return row?.bytes;
  } catch {
    return undefined;
  }
}
