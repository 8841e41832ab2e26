import { hasRowsOnWorkers } from '../../db/capabilities.js';
import type { Database } from '../../db/database.js';
import type { ArchivedTable } from '../../core/tables.js';
import { daySpan, lockArchive, namedHolder } from './trees.js';
import { noCounts } from './export-lines.js';
import { ConsoleError } from '../../db/errors.js';
import { formatDuration } from '../../core/format/time.js';
import { withSeparators } from '../../core/format/number.js';
import { quoteLiteral } from '../../db/quote.js';
import type { Preview } from '../action.js';

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

/** Where the next batch begins when the first trace cannot be moved: behind it. */
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

/**
 * How many traces one batch moves. A batch costs about 10 ms of its own, whatever it moves, and 1,000 traces about 100 ms;
 * a slower or busier machine takes longer for both, by the same factor. So batches of 1,000 keep 0.94 of the rate of one endless
 * statement, of 2,000 0.98, of 5,000 all of it. Larger ones would be no quicker, and hold their locks longer.
 */
export const batchSizes = { first: 1_000, least: 2_000, beside: 500, highest: 5_000 } as const;

/**
 * Milliseconds. As long as the smallest batch that is worth its own cost takes no longer than this, the rate counts
 * and not the time target. Beyond it a batch's own cost is a hundredth, and smaller batches are cheap.
 */
const longestMs = 1_000;

/**
 * Towards the time target, at most doubled or halved, so that one slow batch changes little; but not
 * under 2,000 traces, or as many as take a second where 2,000 take longer. When sessions have `waited` for
 * rows of the batch, they count more than the rate.
 */
export function nextSize(size: number, ms: number, targetMs: number, waiting = 0): number {
  if (waiting > 0) return Math.min(size, Math.max(batchSizes.beside, Math.ceil(size / 2)));
  const aTrace = Math.max(ms, 1) / size;
  const bounded = Math.min(size * 2, Math.max(size / 2, targetMs / aTrace));
  const least = Math.min(batchSizes.least, longestMs / aTrace, size * 2);
  return Math.max(1, Math.round(Math.min(batchSizes.highest, Math.max(least, bounded))));
}

/**
 * How many traces to try after a batch that was rolled back because it took too long, or met rows that
 * somebody else keeps locked: a single one tells which it is. Undefined when a smaller batch is no answer.
 */
export function sizeAfterFailure(size: number, error: unknown): number | undefined {
  if (!(error instanceof ConsoleError) || size <= 1) return undefined;
  // 40P01: the server ended a deadlock with somebody who writes to hooks of the batch.
  if (error.code === 'lock_timeout' || error.sqlState === '40P01') return 1;
  return error.code === 'statement_timeout' ? Math.ceil(size / 10) : undefined;
}

export type Due = {
  /** The server's clock when the count was made, with microseconds. */
  asOf: string;
  /** `asOf` less the age. */
  cutoff: string;
  /** Null: they are so many that counting them takes too long. */
  traces: number | null;
  oldest: Date | null;
  newest: Date | null;
};

/** Milliseconds; some ten million traces are counted within. */
export const countTimeoutMs = 60_000;

/**
 * Counts the traces that started before the cutoff, from idx_execution_traces_started_at alone. It
 * is an upper bound: trees that are partly younger, or in progress, are held back.
 */
export async function countDue(
  database: Database,
  olderThan: string,
  asOf?: string,
  timeoutMs = countTimeoutMs,
): Promise<Due> {
  // Reads both ends of the index only, not what is between them.
  const [row] = await database.read<Omit<Due, 'traces'>>(
    `WITH moment AS (
       SELECT COALESCE($2::timestamptz, now()) AS at,
              COALESCE($2::timestamptz, now()) - $1::interval AS cutoff
     )
     SELECT moment.at::text AS "asOf", moment.cutoff::text AS cutoff,
       (SELECT min(started_at) FROM execution_traces WHERE started_at < moment.cutoff) AS oldest,
       (SELECT max(started_at) FROM execution_traces WHERE started_at < moment.cutoff) AS newest
     FROM moment`,
    [olderThan, asOf ?? null],
  );
  if (!row) throw new Error('the clock gave no row');
  return { ...row, traces: await countBefore(database, row.cutoff, timeoutMs) };
}

async function countBefore(
  database: Database,
  cutoff: string,
  timeoutMs: number,
): Promise<number | null> {
  try {
    const [row] = await database.read<{ traces: number }>(
      'SELECT count(*) AS traces FROM execution_traces WHERE started_at < $1::timestamptz',
      [cutoff],
      { statementTimeoutMs: timeoutMs },
    );
    return row?.traces ?? 0;
  } catch (error) {
    if (error instanceof ConsoleError && error.code === 'statement_timeout') return null;
    throw error;
  }
}

/** What the planner takes them for, from its statistics. */
async function estimateBefore(database: Database, cutoff: string): Promise<number> {
  const [row] = await database.read<{ 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }>(
    `EXPLAIN (FORMAT JSON) SELECT FROM execution_traces WHERE started_at < ${quoteLiteral(cutoff)}`,
  );
  return row?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0;
}

/**
 * Children a trace, from the planner's statistics: a count would read whole tables. Undefined where there are none, or they are of the
 * empty shells of a cluster.
 */
async function estimatedChildren(database: Database): Promise<number | undefined> {
  if (hasRowsOnWorkers(database.capabilities)) return undefined;
  const [row] = await database.read<{ ratio: number | null }>(
    `SELECT sum(c.reltuples) FILTER (WHERE c.relname <> 'execution_traces')
       / NULLIF(max(c.reltuples) FILTER (WHERE c.relname = 'execution_traces'), 0) AS ratio
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.reltuples >= 0 AND c.relname IN
       ('execution_traces', 'agent_routing_decisions', 'hook_executions', 'endpoint_calls')`,
    [database.capabilities.schema],
  );
  return row?.ratio ?? undefined;
}

export async function archivePreview(
  database: Database,
  olderThan: string,
  timeoutMs = countTimeoutMs,
): Promise<Preview> {
  const [due, children] = await Promise.all([
    countDue(database, olderThan, undefined, timeoutMs),
    estimatedChildren(database),
  ]);
  const title = `Archive traces older than ${olderThan}`;
  const sql = [
    `SELECT * FROM archive_traces('${olderThan}', 1000, as_of => '${due.asOf}', …); -- until done`,
  ];
  if (due.oldest === null) {
    return { title, facts: [], sql, warnings: [], nothing: `No trace is older than ${olderThan}.` };
  }
  const traces = due.traces ?? (await estimateBefore(database, due.cutoff));
  return {
    title,
    sql,
    facts: [
      {
        label: 'Traces due',
        value:
          due.traces === null
            ? `about ${withSeparators(traces)}, estimated: too many to be counted in ${formatDuration(timeoutMs)}`
            : `${withSeparators(traces)} at most`,
      },
      {
        label: 'Rows with them',
        value:
          children === undefined
            ? 'decisions, hooks and calls; there are no statistics to estimate them by'
            : `about ${withSeparators(Math.round(traces * children))} (decisions, hooks, calls)`,
      },
      { label: 'Started', value: daySpan(due.oldest, due.newest) },
      { label: 'Moved to', value: '*_archive tables; can be listed, shown and restored' },
      {
        label: 'Locks',
        value: 'rows of one batch at a time, about 0.2 s; readers are not blocked',
      },
      { label: 'Held back', value: 'trees with a younger trace or one in progress (under 7 days)' },
    ],
    warnings: ['Disk space is reused for new rows, not given back to the system.'],
  };
}
