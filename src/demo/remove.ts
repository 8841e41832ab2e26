import { byOwnKey } from '../core/values.js';
import type { Database, Queryable } from '../db/database.js';
import { quoteIdent } from '../db/quote.js';
import { archivedTables, archiveOf, type CoreTable } from '../core/tables.js';
import { systemClock, type Clock } from '../core/clock.js';
import { checkWritable } from './writing/recordset.js';
import { hasConsoleTable } from '../deploy/console-schema.js';
import { demoTag, demoUsageMarker } from './options.js';
import { withRetries } from './writing/writer.js';

export type RemovalContext = {
  /** Stops after the current batch. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: RemovalProgress) => void) | undefined;
  clock?: Clock | undefined;
};

export type RemovalProgress = { table: string; deleted: number };

export type RemovalSummary = {
  /** Rows deleted by table, archives included. */
  deleted: Record<string, number>;
  /** Patterns of the demo that stay, because somebody else has logged the use of them. */
  keptPatterns: number;
  interrupted: boolean;
};

/** Traces of one transaction, with about ten rows each: a second of locks at most. */
const tracesPerBatch = 1_000;
const logsPerBatch = 10_000;
/** Ids that are looked up at once. */
const idsPerPage = 50_000;
const patienceMs = 30_000;
const limits = { statementTimeoutMs: 120_000, lockTimeoutMs: 5_000 };

/** Children before parents, calls before hooks: their foreign key would be looked up for nothing. */
const childTables = ['endpoint_calls', 'hook_executions', 'agent_routing_decisions'] as const;

/**
 * Deletes the demo's rows, and nobody else's, in batches: what is tagged, what belongs to a tagged
 * trace, live or archived, and the usage logs that the demo wrote. Can be stopped and run again.
 *
 * A pattern of the demo stays when somebody else has logged a use of it: deleting it would take
 * their logs along.
 *
 * @throws ConsoleError as {@link runDemo}
 */
export async function removeDemo(
  database: Database,
  context: RemovalContext = {},
): Promise<RemovalSummary> {
  await checkWritable(database);
  const removal = new Removal(database, context);
  await removal.usageLogs();
  // What an archiver moves meanwhile is found in the next round.
  while ((await removal.traces()) > 0) continue;
  await removal.learned();
  return {
    deleted: Object.fromEntries(removal.deleted),
    keptPatterns: await countKept(database),
    interrupted: context.signal?.aborted ?? false,
  };
}

/** How much {@link removeDemo} would delete; of traces, without what belongs to them. */
export async function countDemo(database: Database): Promise<Record<string, number>> {
  await checkWritable(database);
  const names = [...tagged, ...archives(database)];
  const counts = names.map((table) => `(SELECT count(*) FROM ${ours(table)}) AS ${table}`);
  const [row] = await database.read<Record<string, number>>(
    `SELECT ${counts.join(', ')}`,
    [[demoTag]],
    limits,
  );
  return row ?? {};
}

const tagged: readonly CoreTable[] = [
  'execution_traces',
  'success_patterns',
  'agent_chaining_patterns',
  'error_patterns',
];

function archives({ capabilities }: Database): string[] {
  const archive = archiveOf('execution_traces');
  return byOwnKey(capabilities.tables, archive) ? [archive] : [];
}

/** The tagged rows of a table; `$1` is the tag. */
function ours(table: string): string {
  return `${quoteIdent(table)} WHERE tags @> $1::text[]`;
}

class Removal {
  readonly deleted = new Map<string, number>();
  readonly #database: Database;
  readonly #context: RemovalContext;

  constructor(database: Database, context: RemovalContext) {
    this.#database = database;
    this.#context = context;
  }

  /** First, so that deleting traces does not have to clear their `trace_id`. */
  async usageLogs(): Promise<void> {
    const statement = `
      DELETE FROM pattern_usage_log WHERE id IN (
        SELECT l.id FROM pattern_usage_log AS l
        JOIN success_patterns AS p ON p.id = l.pattern_id AND p.tags @> $1::text[]
        WHERE l.deviations @> $2 LIMIT ${logsPerBatch})`;
    let deleted = logsPerBatch;
    while (deleted === logsPerBatch && !this.#stopped) {
      deleted = await this.#run((tx) =>
        this.#delete(tx, 'pattern_usage_log', statement, [[demoTag], demoUsageMarker]),
      );
    }
  }

  /** One round over live and archived traces; gives the number deleted. */
  async traces(): Promise<number> {
    let deleted = await this.#tracesOf((table) => table);
    const { tables } = this.#database.capabilities;
    if (archivedTables.every((table) => byOwnKey(tables, archiveOf(table)))) {
      deleted += await this.#tracesOf(archiveOf);
    }
    return deleted;
  }

  async learned(): Promise<void> {
    if (this.#stopped) return;
    await this.#run(async (tx) => {
      await this.#delete(
        tx,
        'success_patterns',
        `DELETE FROM ${ours('success_patterns')} AND NOT EXISTS (
           SELECT FROM pattern_usage_log AS l WHERE l.pattern_id = success_patterns.id)`,
        [[demoTag]],
      );
      for (const table of ['agent_chaining_patterns', 'error_patterns']) {
        await this.#delete(tx, table, `DELETE FROM ${ours(table)}`, [[demoTag]]);
      }
      if (await hasConsoleTable(tx, 'agent_sessions')) {
        await this.#delete(
          tx,
          'agent_sessions',
          `DELETE FROM trace_console.agent_sessions WHERE target_schema = $1 AND activity @> $2`,
          [this.#database.capabilities.schema, demoUsageMarker],
        );
      }
    });
  }

  get #stopped(): boolean {
    return this.#context.signal?.aborted ?? false;
  }

  async #tracesOf(nameOf: (table: (typeof archivedTables)[number]) => string): Promise<number> {
    const traces = nameOf('execution_traces');
    let total = 0;
    for (;;) {
      const page = await this.#database.read<{ id: string }>(
        `SELECT id FROM ${ours(traces)} LIMIT ${idsPerPage}`,
        [[demoTag]],
        limits,
      );
      for (let index = 0; index < page.length && !this.#stopped; index += tracesPerBatch) {
        const ids = page.slice(index, index + tracesPerBatch).map(({ id }) => id);
        total += await this.#run(async (tx) => {
          for (const table of childTables) {
            const children = nameOf(table);
            const statement = `DELETE FROM ${quoteIdent(children)} WHERE trace_id = ANY ($1)`;
            await this.#delete(tx, children, statement, [ids]);
          }
          const statement = `DELETE FROM ${ours(traces)} AND id = ANY ($2)`;
          return this.#delete(tx, traces, statement, [[demoTag], ids]);
        });
      }
      if (page.length < idsPerPage || this.#stopped) return this.#stopped ? 0 : total;
    }
  }

  /** One transaction; what it deletes counts when it is committed. */
  async #run<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result> {
    const before = new Map(this.deleted);
    const attempt = () => {
      // A second attempt counts from where the first one began.
      for (const table of this.deleted.keys()) this.deleted.set(table, before.get(table) ?? 0);
      return this.#database.transaction(limits, work);
    };
    const { clock = systemClock, signal } = this.#context;
    const result = await withRetries(attempt, { clock, signal, patienceMs });
    for (const [table, deleted] of this.deleted) {
      if (deleted !== before.get(table)) this.#context.onProgress?.({ table, deleted });
    }
    return result;
  }

  async #delete(
    tx: Queryable,
    table: string,
    statement: string,
    values: readonly unknown[],
  ): Promise<number> {
    const count = (await tx.query(statement, values)).rowCount ?? 0;
    this.deleted.set(table, (this.deleted.get(table) ?? 0) + count);
    return count;
  }
}

async function countKept(database: Database): Promise<number> {
  const [row] = await database.read<{ kept: number }>(
    `SELECT count(*) AS kept FROM ${ours('success_patterns')}`,
    [[demoTag]],
  );
  return row?.kept ?? 0;
}
