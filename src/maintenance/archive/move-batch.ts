import type { Database } from '../../db/database.js';
import type { ArchivedTable } from '../../shared/tables.js';
import { lockArchive, namedHolder } from './archive-lock.js';
import { noCounts } from './export-lines.js';

/** What one call of archive_traces did, and where the next one goes on. */
export type Batch = {
  moved: Record<ArchivedTable, number>;
  skipped: { tooYoung: number; inProgress: number; locked: number };
  /** As text: JavaScript's dates have no microseconds, and the cursor needs them. */
  cursor: { at: string | null; id: string | null };
  done: boolean;
  /** Sessions that waited for its rows when it ended. */
  waiting: number;
  /** How long it took, milliseconds. */
  ms: number;
};

type BatchRow = Record<ArchivedTable, number> & {
  trees_too_young: number;
  trees_in_progress: number;
  trees_locked: number;
  next_started_at: string | null;
  next_id: string | null;
  done: boolean;
};

/**
 * A batch waits no longer than this for whoever writes to a hook or call of it, or for another archiver's
 * batch. Traces that are locked it passes over without waiting.
 */
const lockTimeoutMs = 2_000;

/** Asked while the batch still has its locks: who waits now, waits for us. Costs nothing when nobody does. */
const waitingStatement = `
SELECT count(DISTINCT pid)::int AS waiting FROM pg_locks
WHERE NOT granted AND locktype <> 'advisory' AND pg_backend_pid() = ANY (pg_blocking_pids(pid))`;

export type NextBatch = {
  olderThan: string;
  asOf: string;
  size: number;
  after: Batch | undefined;
};

/**
 * Moves one batch in its own transaction.
 *
 * @throws ConsoleError; `busy` when another session archives, `lock_timeout` when somebody writes to it.
 */
export async function moveBatch(database: Database, options: NextBatch): Promise<Batch> {
  const started = performance.now();
  const { rows, waiting } = await database
    .transaction({ statementTimeoutMs: 60_000, lockTimeoutMs }, async (tx) => {
      await lockArchive(tx, database.capabilities.schema);
      const moved = await tx.query<BatchRow>(
        `SELECT execution_traces, agent_routing_decisions, hook_executions, endpoint_calls,
           trees_too_young, trees_in_progress, trees_locked,
           next_started_at::text, next_id, done
         FROM archive_traces($1::interval, $2, as_of => $3::timestamptz,
           after_started_at => $4::timestamptz, after_id => $5::uuid)`,
        [
          options.olderThan,
          options.size,
          options.asOf,
          options.after?.cursor.at,
          options.after?.cursor.id,
        ],
      );
      const held = await tx.query<{ waiting: number }>(waitingStatement);
      return { rows: moved.rows, waiting: held.rows[0]?.waiting ?? 0 };
    })
    .catch(async (error: unknown) => {
      throw await namedHolder(database, error);
    });
  const row = rows[0];
  if (!row) throw new Error('archive_traces gave no row');
  const { execution_traces, agent_routing_decisions, hook_executions, endpoint_calls } = row;
  return {
    moved: { execution_traces, agent_routing_decisions, hook_executions, endpoint_calls },
    skipped: {
      tooYoung: row.trees_too_young,
      inProgress: row.trees_in_progress,
      locked: row.trees_locked,
    },
    cursor: { at: row.next_started_at, id: row.next_id },
    done: row.done,
    waiting,
    ms: performance.now() - started,
  };
}

/** Where the next batch begins when the trace that comes first stays where it is, with its tree. */
export async function passLockedTrace(
  database: Database,
  { olderThan, asOf, after }: NextBatch,
): Promise<Batch> {
  const [next] = await database.read<{ at: string; id: string }>(
    `SELECT t.started_at::text AS at, t.id FROM execution_traces AS t
     WHERE t.started_at < $1::timestamptz - $2::interval
       AND t.started_at >= COALESCE($3::timestamptz, '-infinity')
       AND ($4::uuid IS NULL OR t.started_at > $3::timestamptz OR t.id < $4::uuid)
     ORDER BY t.started_at, t.id DESC LIMIT 1`,
    [asOf, olderThan, after?.cursor.at ?? null, after?.cursor.id ?? null],
  );
  return {
    moved: noCounts(),
    skipped: { tooYoung: 0, inProgress: 0, locked: next ? 1 : 0 },
    cursor: next ?? { at: null, id: null },
    done: next === undefined,
    waiting: 0,
    ms: 0,
  };
}
