import type { Database, Queryable } from '../../db/database.js';

import { quoteIdent } from '../../db/quote.js';
import { hasConsoleTable, openConsoleTable } from '../../deploy/console-schema.js';
import { ConsoleError, type ErrorCode } from '../../db/errors.js';
import type { UsageRow } from '../rows.js';
import type { TraceTable } from '../simulation/tree.js';
import { seeSessions, type Batch } from './batch.js';
import { columns, type DemoTables, recordset, runInChunks } from './recordset.js';
import { sleepOn, type Clock } from '../../core/clock.js';

/** Parents before children. */
const tables: readonly TraceTable[] = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
];

/** Set once, when the row is made. */
const fixed = ['id', 'created_at', 'updated_at', 'trace_id', 'correlation_id', 'query_embedding'];

export type RowCounts = Record<keyof DemoTables, number>;

export function noRows(): RowCounts {
  const names = Object.keys(columns) as (keyof DemoTables)[];
  return Object.fromEntries(names.map((name) => [name, 0])) as RowCounts;
}

/** `live`: usages go through record_pattern_usage. `history`: in bulk. */
export type UsageMode = 'live' | 'history';

/** By what it is known whether a batch was written: its first new row, or, where it only changes rows, its transaction. */
type Attempt = {
  firstNew: { table: TraceTable; id: string } | undefined;
  transaction: string | undefined;
};

/** Writes batches, each in one transaction, and remembers which rows are there already. */
export class Writer {
  /** Rows inserted so far, by table. Of chains and errors: occurrences. */
  readonly inserted = noRows();
  readonly #database: Database;
  readonly #retry: RetryOptions;
  readonly #stored = new WeakSet();
  #keepsSessions: boolean | undefined;

  constructor(database: Database, retry: RetryOptions) {
    this.#database = database;
    this.#retry = retry;
  }

  /** @throws ConsoleError when the batch could not be written within the writer's patience. */
  async write(batch: Batch, usageMode: UsageMode): Promise<void> {
    if (batch.isEmpty) return;
    const attempt: Attempt = { firstNew: this.#firstNew(batch), transaction: undefined };
    await withRetries(async (tries) => {
      // After a lost connection nobody knows whether the last COMMIT came through.
      if (tries > 0 && (await this.#isThere(attempt))) return;
      try {
        await this.#writeOnce(batch, usageMode, attempt);
      } catch (error) {
        // A COMMIT that was delayed on its way may come through beside the next attempt.
        if (tries > 0 && isDuplicate(error) && (await this.#isThere(attempt))) return;
        throw explain(error);
      }
    }, this.#retry);
    this.#remember(batch);
  }

  /** Rows that are not a trace's: learned patterns. */
  async run<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result> {
    return withRetries(() => this.#database.transaction(limits, work), this.#retry);
  }

  async #writeOnce(batch: Batch, usageMode: UsageMode, attempt: Attempt): Promise<void> {
    await this.#database.transaction(limits, async (tx) => {
      if (!attempt.firstNew) attempt.transaction = await transactionOf(tx);
      for (const table of tables) await this.#insert(tx, table, batch);
      for (const table of tables) await this.#update(tx, table, batch);
      await writeUsages(tx, batch.usages, usageMode);
      await writeChainsAndErrors(tx, batch);
      await this.#writeSessions(tx, batch);
    });
  }

  async #insert(tx: Queryable, table: TraceTable, batch: Batch): Promise<void> {
    const rows = [...batch.rows[table]].filter((row) => !this.#stored.has(row));
    await runInChunks(tx, insertInto(table), table, rows);
  }

  async #update(tx: Queryable, table: TraceTable, batch: Batch): Promise<void> {
    const rows = [...batch.rows[table]].filter((row) => this.#stored.has(row));
    await runInChunks(tx, updateOf(table), table, rows);
  }

  /** Where the console keeps sessions of agents: what each did last. The demo makes no such table. */
  async #writeSessions(tx: Queryable, batch: Batch): Promise<void> {
    if (batch.rows.execution_traces.size === 0) return;
    this.#keepsSessions ??=
      (await hasConsoleTable(tx, 'agent_sessions')) &&
      (await openConsoleTable(tx, 'agent_sessions'));
    if (this.#keepsSessions) await seeSessions(tx, this.#database.capabilities.schema, batch);
  }

  #firstNew(batch: Batch): Attempt['firstNew'] {
    for (const table of tables) {
      const row = [...batch.rows[table]].find((candidate) => !this.#stored.has(candidate));
      if (row) return { table, id: row.id };
    }
    return undefined;
  }

  /** Known by a row of the batch, which is there in whichever server now answers, or else by what became of the transaction. */
  async #isThere({ firstNew, transaction }: Attempt): Promise<boolean> {
    if (firstNew) {
      const { table, id } = firstNew;
      const found = await this.#database.read(`SELECT FROM ${quoteIdent(table)} WHERE id = $1`, [
        id,
      ]);
      return found.length > 0;
    }
    return transaction !== undefined && isCommitted(this.#database, transaction);
  }

  #remember(batch: Batch): void {
    for (const table of tables) {
      for (const row of batch.rows[table]) {
        if (!this.#stored.has(row)) this.inserted[table] += 1;
        this.#stored.add(row);
      }
    }
    this.inserted.pattern_usage_log += batch.usages.length;
    for (const row of batch.chains.values()) {
      this.inserted.agent_chaining_patterns += row.occurrence_count;
    }
    for (const row of batch.errors.values()) this.inserted.error_patterns += row.occurrence_count;
  }
}

/** A batch takes half a second at most; a busy server may take longer. */
const limits = { statementTimeoutMs: 60_000, lockTimeoutMs: 5_000 };

function insertInto(table: keyof DemoTables): string {
  const { names, values, source } = recordset(table);
  return `INSERT INTO ${quoteIdent(table)} (${names}) SELECT ${values} FROM ${source}`;
}

function updateOf(table: TraceTable): string {
  const { assignments, source, value } = recordset(table);
  const changing = Object.keys(columns[table]).filter((name) => !fixed.includes(name));
  return `UPDATE ${quoteIdent(table)} AS t SET ${assignments(changing)} FROM ${source} WHERE t.id = ${value('id')}`;
}

async function writeUsages(tx: Queryable, rows: readonly UsageRow[], mode: UsageMode) {
  if (rows.length === 0) return;
  await (mode === 'live' ? recordUsages(tx, rows) : insertUsages(tx, rows));
}

async function transactionOf(tx: Queryable): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
  return rows[0]?.id;
}

/**
 * What became of a transaction of which nobody has heard. A server to which it never came, after a failover, has not given its
 * number yet.
 *
 * @throws ConsoleError `busy` while it still runs
 */
async function isCommitted(database: Database, transaction: string): Promise<boolean> {
  const [row] = await database.read<{ status: string | null }>(
    `SELECT CASE WHEN $1::xid8 < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status($1::xid8) END AS status`,
    [transaction],
  );
  if (row?.status === 'in progress') {
    throw new ConsoleError('busy', 'The last rows are still being written.');
  }
  return row?.status === 'committed';
}

function isDuplicate(error: unknown): boolean {
  return error instanceof ConsoleError && error.sqlState === '23505';
}

function explain(error: unknown): unknown {
  if (!(error instanceof ConsoleError)) return error;
  if (error.sqlState === '23503') {
    return new ConsoleError(
      'query_failed',
      'Traces of this demo were removed while it was writing.',
      {
        hint: 'Stop one demo before another removes its rows.',
        cause: error,
        sqlState: error.sqlState,
      },
    );
  }
  if (error.sqlState === '23505') {
    return new ConsoleError('query_failed', 'These rows exist already.', {
      hint: 'Equal --seed and --start give equal rows: change one, or run demo --remove first.',
      cause: error,
      sqlState: error.sqlState,
    });
  }
  return error;
}

/** What passes by itself: a server that restarts or fails over, a table that is locked, a disk that is full for a while. */
const passing: readonly ErrorCode[] = [
  'connection_refused',
  'connection_timeout',
  'connection_lost',
  'embedded_unavailable',
  'too_many_connections',
  'lock_timeout',
  'statement_timeout',
  'standby',
  'busy',
];
/** A deadlock; no room on the disk, or in memory; a standby that is not yet promoted. */
const passingStates: ReadonlySet<string> = new Set(['40P01', '53100', '53200', '25006']);

type RetryOptions = {
  clock: Clock;
  /** Ends the waiting: the error is thrown. */
  signal: AbortSignal | undefined;
  /** How long to go on trying, ms. */
  patienceMs: number;
  onWait?: (error: ConsoleError) => void;
};

/** Runs `attempt` until it works, waiting longer each time, while its errors are of a passing kind. */
export async function withRetries<Result>(
  attempt: (tries: number) => Promise<Result>,
  { clock, signal, patienceMs, onWait }: RetryOptions,
): Promise<Result> {
  const giveUpAt = clock.wallNow() + patienceMs;
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt(tries);
    } catch (error) {
      if (!passes(error) || signal?.aborted || clock.wallNow() >= giveUpAt) throw error;
      onWait?.(error);
      await sleepOn(clock, Math.min(3_000, 100 * 2 ** tries), signal);
    }
  }
}

function passes(error: unknown): error is ConsoleError {
  return (
    error instanceof ConsoleError &&
    (passing.includes(error.code) || passingStates.has(error.sqlState ?? ''))
  );
}

const usage = recordset('pattern_usage_log');
const chain = recordset('agent_chaining_patterns');
const error = recordset('error_patterns');

/**
 * The join leaves out patterns that somebody has pruned meanwhile. Ordered, so that two demos at
 * once take the patterns' locks in the same order.
 */
const recordUsage = `
SELECT record_pattern_usage(
  pattern_id => u.pattern_id, outcome => u.outcome, correlation_id => u.correlation_id,
  match_score => u.match_score, actual_duration_ms => u.actual_duration_ms,
  expected_duration_ms => u.expected_duration_ms, was_used => u.was_used,
  deviations => u.deviations, user_feedback => u.user_feedback, used_at => u.used_at)
FROM (
  SELECT p.id AS pattern_id, ${named(['outcome', 'correlation_id', 'match_score', 'actual_duration_ms', 'expected_duration_ms', 'was_used', 'deviations', 'user_feedback', 'used_at'])}
  FROM ${usage.source} JOIN success_patterns AS p ON p.id = ${usage.value('pattern_id')}
  ORDER BY p.id, ${usage.value('used_at')}
) AS u`;

const insertUsage = `
INSERT INTO pattern_usage_log (${usage.names})
SELECT ${usage.values} FROM ${usage.source}
WHERE EXISTS (SELECT FROM success_patterns AS p WHERE p.id = ${usage.value('pattern_id')})`;

/**
 * Moves the counters by the usages in $1, as record_pattern_usage would have, use by use. One update
 * a pattern instead of one a use: each writes into nine indexes, two of them GIN and one ivfflat.
 */
const moveCounters = `
UPDATE success_patterns AS p SET
  total_usage_count = p.total_usage_count + added.uses,
  success_count = p.success_count + added.successes,
  failure_count = p.failure_count + added.failures,
  min_duration_ms = LEAST(p.min_duration_ms, added.shortest),
  max_duration_ms = GREATEST(p.max_duration_ms, added.longest),
  last_used_at = GREATEST(p.last_used_at, added.latest),
  avg_duration_ms = COALESCE((
    SELECT round(avg(recent.actual_duration_ms)) FROM (
      SELECT l.actual_duration_ms, l.outcome FROM pattern_usage_log AS l
      WHERE l.pattern_id = p.id ORDER BY l.used_at DESC LIMIT 100
    ) AS recent
    WHERE recent.actual_duration_ms >= 0 AND recent.outcome <> 'skipped'
  ), p.avg_duration_ms)
FROM (
  SELECT ${usage.value('pattern_id')} AS pattern_id,
    count(*) AS uses,
    count(*) FILTER (WHERE ${usage.value('outcome')} = 'success') AS successes,
    count(*) FILTER (WHERE ${usage.value('outcome')} = 'failure') AS failures,
    min(${usage.value('actual_duration_ms')}) AS shortest,
    max(${usage.value('actual_duration_ms')}) AS longest,
    max(${usage.value('used_at')}) AS latest
  FROM ${usage.source} GROUP BY 1
) AS added
WHERE p.id = added.pattern_id`;

/** History comes backwards: what is added may be older than what is there. */
const latestExamples = (table: string, latest: string) => {
  const [known, added] = [`${table}.example_trace_ids`, 'EXCLUDED.example_trace_ids'];
  const all = `CASE WHEN EXCLUDED.${latest} < ${table}.${latest} THEN ${added} || ${known} ELSE ${known} || ${added} END`;
  return `(${all})[GREATEST(1, cardinality(${known} || ${added}) - 4):]`;
};

const average = (column: string) => `
  round((agent_chaining_patterns.${column}::numeric * agent_chaining_patterns.occurrence_count
    + EXCLUDED.${column}::numeric * EXCLUDED.occurrence_count)
    / (agent_chaining_patterns.occurrence_count + EXCLUDED.occurrence_count))`;

const addChains = `
INSERT INTO agent_chaining_patterns (${chain.names})
SELECT ${chain.values} FROM ${chain.source} ORDER BY ${chain.value('chain_hash')}
ON CONFLICT (chain_hash) DO UPDATE SET
  delegation_depth = GREATEST(agent_chaining_patterns.delegation_depth, EXCLUDED.delegation_depth),
  occurrence_count = agent_chaining_patterns.occurrence_count + EXCLUDED.occurrence_count,
  success_count = agent_chaining_patterns.success_count + EXCLUDED.success_count,
  avg_total_duration_ms = ${average('avg_total_duration_ms')},
  avg_coordination_overhead_ms = ${average('avg_coordination_overhead_ms')},
  example_trace_ids = ${latestExamples('agent_chaining_patterns', 'last_used_at')},
  first_seen_at = LEAST(agent_chaining_patterns.first_seen_at, EXCLUDED.first_seen_at),
  last_used_at = GREATEST(agent_chaining_patterns.last_used_at, EXCLUDED.last_used_at)`;

/** An error that is seen again after it was resolved is open again. */
const addErrors = `
INSERT INTO error_patterns (${error.names})
SELECT ${error.values} FROM ${error.source} ORDER BY ${error.value('fingerprint')}
ON CONFLICT (fingerprint) DO UPDATE SET
  occurrence_count = error_patterns.occurrence_count + EXCLUDED.occurrence_count,
  first_occurrence_at = LEAST(error_patterns.first_occurrence_at, EXCLUDED.first_occurrence_at),
  last_occurrence_at = GREATEST(error_patterns.last_occurrence_at, EXCLUDED.last_occurrence_at),
  example_trace_ids = ${latestExamples('error_patterns', 'last_occurrence_at')},
  resolved_at = CASE WHEN EXCLUDED.last_occurrence_at > error_patterns.resolved_at
                     THEN EXCLUDED.resolved_at ELSE error_patterns.resolved_at END`;

function named(names: readonly string[]): string {
  return names.map((name) => `${usage.value(name)} AS ${name}`).join(', ');
}

/** Usages one by one, as an application records them. */
async function recordUsages(tx: Queryable, rows: readonly UsageRow[]): Promise<number> {
  return runInChunks(tx, recordUsage, 'pattern_usage_log', rows);
}

/** Many historic usages at once, with their own ids. */
async function insertUsages(tx: Queryable, rows: readonly UsageRow[]): Promise<number> {
  const count = await runInChunks(tx, insertUsage, 'pattern_usage_log', rows);
  const byPattern = rows.toSorted((one, other) => (one.pattern_id < other.pattern_id ? -1 : 1));
  await runInChunks(tx, moveCounters, 'pattern_usage_log', byPattern);
  return count;
}

/** Chains and errors: new ones are inserted, known ones counted. */
async function writeChainsAndErrors(tx: Queryable, batch: Batch): Promise<void> {
  await runInChunks(tx, addChains, 'agent_chaining_patterns', batch.chains.values());
  await runInChunks(tx, addErrors, 'error_patterns', batch.errors.values());
}
