import { isDeepStrictEqual } from 'node:util';
import { groupBy } from '../core/values.js';
import { tablesWithoutKey } from '../db/capabilities.js';
import type { Transaction } from '../db/queryable.js';
import { quoteIdent } from '../db/quote.js';
import { archiveOf, workColumns } from '../core/tables.js';
import type { RowCopier } from './copy-rows.js';
import type { CopiedRow } from './otlp/decode.js';
import {
  ingestKeys,
  ingestTables,
  loadRows,
  lockKeyless,
  toJson,
  writeRows,
  type IngestTable,
  type IngestTables,
} from './rows.js';

/** Rows that were written by table, and how many of those that events touched stayed as they were. */
export type Written = { rows: Record<IngestTable, number>; unchanged: number };

export type Changes = { [Table in IngestTable]: Map<string, IngestTables[Table]> };

/** A row that its source takes back. */
export type RetractedRow = { table: IngestTable; id: string };

/** What is known of the tables from one transaction to the next. */
export type TableKeys = {
  /** Tables without a unique key of just `id`. */
  keyless?: ReadonlySet<IngestTable>;
};

/** Whether the role may delete rows of a table: most writers need not. */
export async function mayDelete(tx: Transaction, table: IngestTable): Promise<boolean> {
  const { rows } = await tx.query<{ allowed: boolean }>(
    `SELECT has_table_privilege($1, 'DELETE') AS allowed`,
    [quoteIdent(table)],
  );
  return rows[0]?.allowed === true;
}

/** The rows that one transaction works on, and those of them that were stored before. */
export class RowStore {
  readonly rows: Changes = newChanges();
  readonly stored: Changes = newChanges();
  readonly #tx: Transaction;
  readonly #copier: RowCopier | undefined;
  readonly #keys: TableKeys;

  /** @param copier writes rows that are new; without it all are written by INSERT */
  constructor(tx: Transaction, copier?: RowCopier, keys: TableKeys = {}) {
    this.#tx = tx;
    this.#copier = copier;
    this.#keys = keys;
  }

  /** Brings in stored rows; one that is here already stays as it is. */
  async load(table: IngestTable, ids: readonly string[]): Promise<void> {
    const unknown = [...new Set(ids)].filter((id) => !this.rows[table].has(id));
    for (const row of await loadRows(this.#tx, table, unknown)) this.keep(table, row);
  }

  keep(table: IngestTable, row: { id: string }): void {
    // The caller knows which table a row is of.
    const rows = this.rows[table] as Map<string, { id: string }>;
    if (rows.has(row.id)) return;
    (this.stored[table] as Map<string, { id: string }>).set(row.id, row);
    rows.set(row.id, row);
  }

  /** Deletes rows, and brings in the traces that they were in. A role that may not delete leaves them where they are. */
  async retract(retracted: readonly RetractedRow[]): Promise<void> {
    for (const [table, gone] of groupBy(retracted, ({ table: name }) => name)) {
      const column = table === 'execution_traces' ? 'root_id' : 'trace_id';
      if (!(await mayDelete(this.#tx, table))) continue;
      const { rows } = await this.#tx.query<{ trace: string }>(
        `DELETE FROM ${quoteIdent(table)} WHERE id = ANY($1::uuid[]) RETURNING ${column} AS trace`,
        [gone.map(({ id }) => id)],
      );
      await this.load(
        'execution_traces',
        rows.map(({ trace }) => trace),
      );
    }
  }

  /** Writes what has changed. */
  async write(): Promise<Written> {
    const written: Written = { rows: noRows(), unchanged: 0 };
    const archived = await this.#archivedTraces();
    for (const table of ingestTables) await this.#writeTable(table, archived, written);
    return written;
  }

  async #writeTable(table: IngestTable, archived: ReadonlySet<string>, written: Written) {
    const fresh: IngestTables[IngestTable][] = [];
    const changed: IngestTables[IngestTable][] = [];
    for (const [id, row] of this.rows[table]) {
      const old = this.stored[table].get(id);
      const traceId = 'trace_id' in row ? row.trace_id : row.id;
      if (archived.has(traceId) || (old && isDeepStrictEqual(old, row))) written.unchanged += 1;
      else if (old) changed.push(row);
      else fresh.push(row);
    }
    written.rows[table] += fresh.length + changed.length;
    if (fresh.length + changed.length === 0) return;
    this.#keys.keyless ??= await tablesWithoutKey(this.#tx, ingestKeys);
    const isKeyless = this.#keys.keyless.has(table);
    await writeRows(this.#tx, table, changed, isKeyless);
    if (!isKeyless && (await this.#copier?.write(this.#tx, table, fresh))) return;
    await writeRows(this.#tx, table, fresh, isKeyless);
  }

  /** Writes rows that were exported: none that is here, live or archived, and none without its trace. */
  async copy(copies: readonly CopiedRow[], schema: string, written: Written): Promise<void> {
    if (copies.length === 0) return;
    this.#keys.keyless ??= await tablesWithoutKey(this.#tx, ingestKeys);
    for (const table of ingestTables) {
      const rows = copies.flatMap((copy) => (copy.table === table ? [copy.values] : []));
      const isKeyless = this.#keys.keyless.has(table);
      const ids = await copyRows(this.#tx, table, rows, isKeyless);
      written.rows[table] += ids.length;
      written.unchanged += rows.length - ids.length;
      if (table === 'execution_traces') await addSessions(this.#tx, schema, ids);
    }
  }

  /** Archived rows stay in the archive: they are neither changed nor written again. */
  async #archivedTraces(): Promise<Set<string>> {
    const ids = [...this.rows.execution_traces.keys()].filter(
      (id) => !this.stored.execution_traces.has(id),
    );
    const { rows: known } = await this.#tx.query<{ there: boolean }>(
      "SELECT to_regclass('execution_traces_archive') IS NOT NULL AS there",
    );
    if (ids.length === 0 || !known[0]?.there) return new Set();
    const { rows } = await this.#tx.query<{ id: string }>(
      'SELECT id FROM execution_traces_archive WHERE id = ANY($1::uuid[])',
      [ids],
    );
    return new Set(rows.map(({ id }) => id));
  }
}

function newChanges(): Changes {
  return {
    execution_traces: new Map(),
    hook_executions: new Map(),
    endpoint_calls: new Map(),
    agent_routing_decisions: new Map(),
  };
}

export function noRows(): Record<IngestTable, number> {
  return { execution_traces: 0, agent_routing_decisions: 0, hook_executions: 0, endpoint_calls: 0 };
}

/** Adds what a batch has written to a sum. */
export function addWritten(sum: Written, { rows, unchanged }: Written): void {
  sum.unchanged += unchanged;
  for (const table of ingestTables) sum.rows[table] += rows[table];
}

/**
 * Inserts rows of which only some columns may be known: those of the same columns in one statement, so that the others get
 * their defaults.
 *
 * @returns the ids of those that were written
 */
async function copyRows(
  tx: Transaction,
  table: IngestTable,
  rows: readonly CopiedRow['values'][],
  isKeyless: boolean,
): Promise<string[]> {
  if (rows.length === 0) return [];
  if (isKeyless) await lockKeyless(tx, table);
  const known = Object.keys(workColumns[table]);
  const namesOf = (row: object) => known.filter((name) => Object.hasOwn(row, name));
  const archive = archiveOf(table);
  const { rows: found } = await tx.query<{ there: boolean }>(
    'SELECT to_regclass($1) IS NOT NULL AS there',
    [archive],
  );
  const isElsewhere = (name: string, column = 'id') =>
    `EXISTS (SELECT FROM ${quoteIdent(name)} AS t WHERE t.${column} = r.${column})`;
  const conditions = [
    `NOT ${isElsewhere(table)}`,
    ...(found[0]?.there === true ? [`NOT ${isElsewhere(archive)}`] : []),
    table === 'execution_traces'
      ? `NOT ${isElsewhere(table, 'correlation_id')}`
      : 'EXISTS (SELECT FROM execution_traces AS t WHERE t.id = r.trace_id)',
  ];
  const ids: string[] = [];
  for (const [key, alike] of groupBy(rows, (row) => namesOf(row).join())) {
    const names = key.split(',').map((name) => quoteIdent(name));
    const values = names.map((name) =>
      // The hook of a call may not have come along.
      name === '"hook_execution_id"'
        ? `(SELECT h.id FROM hook_executions AS h WHERE h.id = r.${name})`
        : `r.${name}`,
    );
    const { rows: copied } = await tx.query<{ id: string }>(
      `INSERT INTO ${quoteIdent(table)} (${names.join(', ')})
       SELECT ${values.join(', ')} FROM jsonb_populate_recordset(NULL::${quoteIdent(table)}, $1::jsonb) AS r
       WHERE ${conditions.join(' AND ')} ON CONFLICT DO NOTHING RETURNING id`,
      [toJson(alike)],
    );
    for (const { id } of copied) ids.push(id);
  }
  return ids;
}

/** Sessions of traces that were copied, as far as these tell of them. */
async function addSessions(tx: Transaction, schema: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await tx.query(
    `INSERT INTO trace_console.agent_sessions (target_schema, session_id, agent, session, project, model, started_at, last_seen_at)
     SELECT $1, session_id, min(context->>'agent'), COALESCE(min(context->>'session'), session_id::text), min(project),
       max(model), min(started_at), max(COALESCE(completed_at, started_at))
     FROM execution_traces
     WHERE id = ANY($2::uuid[]) AND parent_id IS NULL AND context ? 'agent' AND isfinite(started_at)
     GROUP BY session_id ON CONFLICT DO NOTHING`,
    [schema, ids],
  );
}
