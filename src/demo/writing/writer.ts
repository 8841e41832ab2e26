import type { Database, Queryable } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { ConsoleError } from '../../db/errors.js';
import type { UsageRow } from '../rows.js';
import type { TraceTable } from '../simulation/recorder.js';
import type { Batch } from './batch.js';
import { columns, type DemoTables } from './columns.js';
import { insertUsages, recordUsages, writeChainsAndErrors } from './learned.js';
import { recordset, runInChunks } from './recordset.js';
import { withRetries, type RetryOptions } from './retry.js';

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

/** Writes batches, each in one transaction, and remembers which rows are there already. */
export class Writer {
  /** Rows inserted so far, by table. Of chains and errors: occurrences. */
  readonly inserted = noRows();
  readonly #database: Database;
  readonly #retry: RetryOptions;
  readonly #stored = new WeakSet();

  constructor(database: Database, retry: RetryOptions) {
    this.#database = database;
    this.#retry = retry;
  }

  /** @throws ConsoleError when the batch could not be written within the writer's patience. */
  async write(batch: Batch, usageMode: UsageMode): Promise<void> {
    if (batch.isEmpty) return;
    await withRetries(async (tries) => {
      // After a lost connection nobody knows whether the last COMMIT came through.
      if (tries > 0 && (await this.#isThere(batch))) return;
      await this.#writeOnce(batch, usageMode);
    }, this.#retry);
    this.#remember(batch);
  }

  /** Rows that are not a trace's: learned patterns. */
  async run<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result> {
    return withRetries(() => this.#database.transaction(limits, work), this.#retry);
  }

  async #writeOnce(batch: Batch, usageMode: UsageMode): Promise<void> {
    await this.#database
      .transaction(limits, async (tx) => {
        for (const table of tables) await this.#insert(tx, table, batch);
        for (const table of tables) await this.#update(tx, table, batch);
        await writeUsages(tx, batch.usages, usageMode);
        await writeChainsAndErrors(tx, batch);
      })
      .catch((error: unknown) => {
        throw explain(error);
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

  async #isThere(batch: Batch): Promise<boolean> {
    for (const table of tables) {
      const row = [...batch.rows[table]].find((candidate) => !this.#stored.has(candidate));
      if (!row) continue;
      const found = await this.#database.read(`SELECT FROM ${quoteIdent(table)} WHERE id = $1`, [
        row.id,
      ]);
      return found.length > 0;
    }
    return false;
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
