import { counted, formatBytes, withSeparators } from '../../core/format/number.js';
import { formatDuration, parseDuration } from '../../core/format/time.js';
import { type ArchivedTable, archivedTables, archiveOf } from '../../core/tables.js';
import { hasRowsOnWorkers } from '../../db/capabilities.js';
import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import type { Action, ActionContext, OfferCommand, Outcome, Progress } from '../action.js';
import { pauseUnlessAborted } from '../long-statement.js';
import { noCounts } from './export-lines.js';
import {
  archivePreview,
  type Batch,
  batchSizes,
  countDue,
  countTimeoutMs,
  moveBatch,
  type NextBatch,
  nextSize,
  passLockedTrace,
  sizeAfterFailure,
} from './move-batch.js';

/** Why to go slower, and how much: milliseconds before the next batch. */
type Brake = { reason: string; pauseMs: number };

/** Thresholds beyond which archiving slows down. */
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

/** What this role may not see is NULL, and does not slow anything. */
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

/** Between two batches: finds out whether archiving harms others. */
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
    // The embedded database has no standbys, and no transactions of others.
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
      // Some hosted services forbid these questions; archiving goes on without the answers.
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

/** Bytes of the archive tables with their indexes; undefined where one is locked, or they lie on workers. */
async function archiveBytes(database: Database): Promise<number | undefined> {
  if (hasRowsOnWorkers(database.capabilities)) return undefined;
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

type ArchiveInput = {
  /** An interval in PostgreSQL's words: `90 days`. */
  olderThan: string;
  /** Milliseconds between two batches; default 50. */
  pauseMs?: number;
  /** Milliseconds that one batch should take; default 200. */
  targetMs?: number;
  /** Stop after this many milliseconds; default: when nothing is due. */
  maxTimeMs?: number;
};

type ArchiveResult = {
  /** Traces that started before this moment were due; frozen at the start. */
  cutoff: string;
  moved: Record<ArchivedTable, number>;
  /** Trees held back, by reason. */
  skipped: { tooYoung: number; inProgress: number; locked: number };
  /** Traces older than the cutoff that are still in the live table; null where counting them took too long. */
  remaining: number | null;
  /** By which the archive tables and their indexes have grown; null where one was locked. */
  bytes: number | null;
  milliseconds: number;
};

const defaults = { pauseMs: 50, targetMs: 200 };

export const archiveCommand: OfferCommand = {
  id: 'archive-traces',
  key: 'a',
  title: 'archive traces older than 90 days, after a preview',
  bar: 'archive',
  priority: 7,
};

/**
 * Moves old traces to the archive in batches that adapt to a time target, each a transaction of its
 * own. Whole trees move or stay (see archive_traces in 011). Killed or cancelled between two batches
 * nothing is half-done, and a rerun goes on.
 */
export const archiveTraces: Action<ArchiveInput, ArchiveResult> = {
  id: 'archive',
  title: 'Archive old traces',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'archive', whenTaken: 'follow' },
  subject: ({ olderThan }) => `older than ${olderThan}`,
  readInput,
  tables: () => archivedTables,
  offers: [
    {
      command: archiveCommand,
      choose: () => ({ title: 'Archive old traces', input: { olderThan: '90 days' } }),
    },
  ],
  preview: ({ database }, { olderThan }) => archivePreview(database, olderThan),
  run,
};

function readInput(stored: unknown): ArchiveInput | undefined {
  const { olderThan, pauseMs, targetMs, maxTimeMs } = (stored ?? {}) as Record<string, unknown>;
  if (typeof olderThan !== 'string' || parseDuration(olderThan) === undefined) return undefined;
  const numbers = { pauseMs, targetMs, maxTimeMs };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  if (!given.every(([, value]) => typeof value === 'number' && value >= 0)) return undefined;
  return { olderThan, ...Object.fromEntries(given) };
}

async function* run(
  { database, signal }: ActionContext,
  input: ArchiveInput,
): AsyncGenerator<Progress, Outcome<ArchiveResult>> {
  const { olderThan, pauseMs = defaults.pauseMs, targetMs = defaults.targetMs } = input;
  const started = performance.now();
  const bytesBefore = await archiveBytes(database);
  const due = await countDue(database, olderThan);
  const brakes = new Brakes(database);
  const moved = noCounts();
  const stopped = () =>
    signal.aborted ||
    (input.maxTimeMs !== undefined && performance.now() - started > input.maxTimeMs);
  let skipped = noTrees();
  let size: number = batchSizes.first;
  let batch: Batch | undefined;
  const progress = () => progressOf(moved.execution_traces, due.traces, started);
  // Traces that were locked may be free by now: they are tried once more at the end.
  for (let pass = 1; pass === 1 || (pass === 2 && skipped.locked > 0 && !stopped()); pass += 1) {
    skipped = noTrees();
    batch = undefined;
    yield progress();
    while (!batch?.done && !stopped()) {
      const next: NextBatch = { olderThan, asOf: due.asOf, size, after: batch };
      const tried = yield* moveNext(database, next, progress, stopped);
      if (!tried) break;
      batch = tried.batch;
      addTo(moved, batch.moved);
      addTo(skipped, batch.skipped);
      if (batch.done) break;
      const brake = await brakes.look(batch.waiting);
      size = nextSize(tried.size, batch.ms, targetMs, batch.waiting);
      // Before the pause, which may be long: observers see the batch at once.
      yield brake ? { ...progress(), blockedBy: brake.reason } : progress();
      await pauseBetween(Math.max(pauseMs, brake?.pauseMs ?? 0), signal);
    }
  }
  const analyzed = moved.execution_traces === 0 || (await analyze(database));
  const { traces: remaining } = await countDue(database, olderThan, due.asOf);
  const bytesAfter = await archiveBytes(database);
  yield progress();
  const result: ArchiveResult = {
    cutoff: due.cutoff,
    moved,
    skipped,
    remaining,
    bytes: bytesBefore === undefined || bytesAfter === undefined ? null : bytesAfter - bytesBefore,
    milliseconds: Math.round(performance.now() - started),
  };
  const cancelled = signal.aborted && !batch?.done;
  return { summary: summaryOf(result, cancelled, analyzed), cancelled, result };
}

/**
 * The next batch. One that takes too long, or meets rows that somebody keeps locked, is tried again with
 * fewer traces; a single one that is locked is passed over, like a tree whose traces are.
 */
async function* moveNext(
  database: Database,
  next: NextBatch,
  progress: () => Progress,
  stopped: () => boolean,
): AsyncGenerator<Progress, { batch: Batch; size: number } | undefined> {
  for (let { size } = next; !stopped();) {
    try {
      return { batch: await moveBatch(database, { ...next, size }), size };
    } catch (error) {
      const smaller = sizeAfterFailure(size, error);
      const isLocked = error instanceof ConsoleError && error.code === 'lock_timeout';
      if (smaller === undefined && !isLocked) throw error;
      if (smaller === undefined) return { batch: await passLockedTrace(database, next), size };
      size = smaller;
      const reason = isLocked ? 'rows that another session has locked' : 'a batch of fewer traces';
      yield { ...progress(), blockedBy: reason };
    }
  }
  return undefined;
}

const noTrees = () => ({ tooYoung: 0, inProgress: 0, locked: 0 });

function addTo<Key extends string>(sums: Record<Key, number>, more: Record<Key, number>): void {
  for (const key in sums) sums[key] += more[key];
}

function progressOf(done: number, total: number | null, started: number): Progress {
  const seconds = (performance.now() - started) / 1000;
  const rate = seconds > 0 && done > 0 ? done / seconds : undefined;
  return {
    phase: 'moving traces',
    done,
    unit: 'traces',
    ...(total === null ? {} : { total: Math.max(total, done) }),
    ...(rate === undefined ? {} : { rate }),
    ...(rate === undefined || total === null
      ? {}
      : { secondsLeft: Math.max(0, total - done) / rate }),
  };
}

/**
 * The planner learns of the moved rows; a role that may not ANALYZE only gets a warning. False when it
 * could not be done: an autovacuum gives way only after a second, other maintenance does not at all.
 */
async function analyze(database: Database): Promise<boolean> {
  try {
    await database.transaction({ statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 }, (tx) =>
      tx.query(`ANALYZE ${archivedTables.join(', ')}`),
    );
    return true;
  } catch {
    return false;
  }
}

async function pauseBetween(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0 && !signal.aborted) await pauseUnlessAborted(ms, signal);
}

function summaryOf(result: ArchiveResult, cancelled: boolean, analyzed: boolean): string {
  const { moved, skipped, remaining, bytes, milliseconds } = result;
  const children = moved.agent_routing_decisions + moved.hook_executions + moved.endpoint_calls;
  const count = (value: number, one: string, many: string) =>
    `${withSeparators(value)} ${value === 1 ? one : many}`;
  const rows = moved.execution_traces + children;
  const rate = (1000 * rows) / Math.max(1, milliseconds);
  const held = [
    ...(skipped.tooYoung > 0 ? [`${withSeparators(skipped.tooYoung)} with a younger trace`] : []),
    ...(skipped.inProgress > 0 ? [`${withSeparators(skipped.inProgress)} in progress`] : []),
    ...(skipped.locked > 0 ? [`${withSeparators(skipped.locked)} locked by others`] : []),
  ];
  const trees = skipped.tooYoung + skipped.inProgress + skipped.locked;
  const parts = [
    `${cancelled ? 'Cancelled after' : 'Archived'} ${count(moved.execution_traces, 'trace', 'traces')} and ` +
      `${count(children, 'row that belongs', 'rows that belong')} to them`,
    ...(rows > 0 ? [`${formatDuration(milliseconds)}, ${counted(Math.round(rate), 'row')}/s`] : []),
    ...(bytes !== null && bytes > 0 ? [`${formatBytes(bytes)} more in the archive`] : []),
    ...(held.length > 0 ? [`${count(trees, 'tree', 'trees')} held back (${held.join(', ')})`] : []),
    ...(remaining === null
      ? [`what remains could not be counted in ${formatDuration(countTimeoutMs)}`]
      : remaining > 0
        ? [count(remaining, 'due trace remains', 'due traces remain')]
        : []),
    ...(analyzed ? [] : ['the statistics could not be updated: ANALYZE the tables later']),
  ];
  return `${parts.join('; ')}.`;
}
