import { isDeepStrictEqual } from 'node:util';
import { groupBy } from '../core/values.js';
import { tablesWithoutKey } from '../db/capabilities.js';
import type { Transaction } from '../db/queryable.js';
import { quoteIdent } from '../db/quote.js';
import type { RowCopier } from './copy-rows.js';
import {
  ingestKeys,
  ingestTables,
  loadRows,
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
