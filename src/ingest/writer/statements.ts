import { setOwnKey } from '../../core/values.js';
import { workColumns } from '../../core/tables.js';
import { tablesWithoutKey } from '../../db/capabilities.js';
import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import type { Queryable } from '../../db/queryable.js';
import { quoteIdent } from '../../db/quote.js';
import { ingestKeys, lockKeyless, toJson, upsert } from '../rows.js';
import type { SpoolRecord } from '../spool/frame.js';

/** The tables that a service's rows go to, parents before children. */
export const writerTables = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
  'pattern_usage_log',
] as const;

export type WriterTable = (typeof writerTables)[number];

/** A row as JSON: its columns, times in milliseconds since 1970. A column that is not in it is NULL. */
export type RowJson = string;

/** Half of a row's columns are NULL: not naming them saves both sides a twentieth of their time. */
export function rowJson(row: Readonly<Record<string, unknown>>): RowJson {
  const named: Record<string, unknown> = {};
  for (const [column, value] of Object.entries(row)) {
    if (value !== null) setOwnKey<unknown>(named, column, value);
  }
  return toJson(named);
}

/** What is done does not become undone by a row that comes late, from the spool. */
const newerOnly: Readonly<Record<keyof typeof workColumns, (row: string) => string>> = {
  execution_traces: (row) => `${row}.status <> 'in_progress' OR t.status = 'in_progress'`,
  hook_executions: (row) => `${row}.status <> 'in_progress' OR t.status = 'in_progress'`,
  endpoint_calls: (row) => `${row}.completed_at IS NOT NULL OR t.completed_at IS NULL`,
  agent_routing_decisions: (row) => `${row}.actual_success IS NOT NULL OR t.actual_success IS NULL`,
};

/** Writes rows by their ids, a statement a table: again it changes nothing. Uses of patterns are counted each time. */
export class RowStatements {
  readonly #plain: ReadonlyMap<WriterTable, string>;
  readonly #checked: ReadonlyMap<WriterTable, string>;
  readonly #keyless: ReadonlySet<WriterTable>;

  private constructor(
    plain: ReadonlyMap<WriterTable, string>,
    checked: ReadonlyMap<WriterTable, string>,
    keyless: ReadonlySet<WriterTable>,
  ) {
    this.#plain = plain;
    this.#checked = checked;
    this.#keyless = keyless;
  }

  /**
   * For the tables as they are here: what a column that an older deployment lacks would hold is left out.
   *
   * @throws ConsoleError `schema_missing`
   */
  static async read(tx: Queryable): Promise<RowStatements> {
    const names = [...writerTables, 'execution_traces_archive'];
    const { rows } = await tx.query<{ table: string; names: string[] }>(
      `SELECT t AS table, array_agg(a.attname::text) AS names
       FROM unnest($1::text[]) AS t JOIN pg_attribute AS a ON a.attrelid = to_regclass(t)
       WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY t`,
      [names],
    );
    const there = new Map(rows.map((row) => [row.table, new Set(row.names)]));
    const missing = writerTables.filter((table) => !there.has(table));
    if (missing.length > 0) {
      throw new ConsoleError(
        'schema_missing',
        `These tables are not there: ${missing.join(', ')}.`,
        {
          hint: 'trace-console schema apply makes them.',
        },
      );
    }
    const hasArchive = there.has('execution_traces_archive');
    const keyless = await tablesWithoutKey<WriterTable>(tx, ingestKeys);
    const texts = (isChecked: boolean) =>
      new Map(
        writerTables.map((table) => [
          table,
          table === 'pattern_usage_log'
            ? usageStatement
            : upsertStatement(table, {
                there: there.get(table) ?? new Set(),
                hasArchive,
                isChecked,
                isKeyless: keyless.has(table),
              }),
        ]),
      );
    return new RowStatements(texts(false), texts(true), keyless);
  }

  /**
   * @param isChecked rows whose trace is not there are left out; otherwise they are an error
   * @returns how many rows cannot be there: their trace, or their pattern, is not
   * @throws ConsoleError; then the transaction is over
   */
  async write(
    tx: Queryable,
    table: WriterTable,
    rows: readonly RowJson[],
    isChecked: boolean,
  ): Promise<number> {
    if (this.#keyless.has(table)) await lockKeyless(tx, table);
    const text = (isChecked ? this.#checked : this.#plain).get(table) ?? '';
    const { rows: answer } = await tx.query<{ refused: number }>(text, [`[${rows.join(',')}]`]);
    return answer[0]?.refused ?? 0;
  }

  async writeAll(tx: Queryable, rows: WriterRows): Promise<void> {
    for (const table of writerTables) {
      const some = rows.get(table);
      if (some !== undefined) await this.write(tx, table, [...some.values()], true);
    }
  }
}

/** Rows by table and id: a later image of a row takes the place of an earlier one. */
export type WriterRows = Map<WriterTable, Map<string, RowJson>>;

/** Rows of one statement, and bytes of it: the caller's event loop sends them, and reads the answer. */
const chunkRows = 2_000;
const chunkBytes = 1 << 20;

/** Rows of a table that are written by one statement. */
export type Chunk = {
  table: WriterTable;
  rows: RowJson[];
  bytes: number;
  transaction?: string | undefined;
  /** A trace, or a hook, that rows belong to is not there. */
  isChecked?: boolean;
  /** The database has refused it, or what was written with it. */
  isAlone?: boolean;
};

/**
 * Rows that wait, by table and id: a later image of a row takes the place of one that waits. What waits is bounded; with
 * more, the newest are dropped and counted.
 */
export class RowQueue {
  #rows: WriterRows = new Map();
  readonly #most: { rows: number; bytes: number };
  /** With those that are being sent. */
  count = 0;
  bytes = 0;

  constructor(most: { rows: number; bytes: number }) {
    this.#most = most;
  }

  hasRoom(factor = 1): boolean {
    return this.count < this.#most.rows * factor && this.bytes < this.#most.bytes * factor;
  }

  get share(): number {
    return Math.max(this.count / this.#most.rows, this.bytes / this.#most.bytes);
  }

  /** @param factor how much more than others this row may find room for: the end of what is there already */
  put(table: WriterTable, id: string, json: RowJson, factor: number): boolean {
    const rows = this.#rows.get(table) ?? new Map<string, RowJson>();
    const old = rows.get(id);
    if (old === undefined && !this.hasRoom(factor)) return false;
    if (old === undefined) this.count += 1;
    this.bytes += json.length - (old?.length ?? 0);
    rows.set(id, json);
    this.#rows.set(table, rows);
    return true;
  }

  /** All that waits, traces first: what belongs to them finds them there. */
  take(): Chunk[] {
    const taken = this.#rows;
    this.#rows = new Map();
    return writerTables.flatMap((table) => {
      const chunks: Chunk[] = [];
      for (const json of taken.get(table)?.values() ?? []) {
        let chunk = chunks.at(-1);
        if (!chunk || chunk.rows.length >= chunkRows || chunk.bytes >= chunkBytes) {
          chunk = { table, rows: [], bytes: 0 };
          chunks.push(chunk);
        }
        chunk.rows.push(json);
        chunk.bytes += json.length;
      }
      return chunks;
    });
  }
}

/** Adds the rows that a record of the spool holds. */
export function rowsOf({ event, payload, id: record }: SpoolRecord, rows: WriterRows): void {
  const table = writerTables.find((each) => each === event);
  if (table === undefined || !Array.isArray(payload)) throw new Error('no rows of a known table');
  const known = rows.get(table) ?? new Map<string, RowJson>();
  for (const [index, row] of (payload as unknown[]).entries()) {
    const { id } = row as { id?: unknown };
    // The use of a pattern has no id.
    known.set(typeof id === 'string' ? id : `${record} ${index}`, JSON.stringify(row));
  }
  rows.set(table, known);
}

type Here = {
  /** The columns that the table has. */
  there: ReadonlySet<string>;
  hasArchive: boolean;
  isChecked: boolean;
  /** The table has no unique key of just `id`. */
  isKeyless: boolean;
};

function upsertStatement(
  table: keyof typeof workColumns,
  { there, hasArchive, isChecked, isKeyless }: Here,
): string {
  const held = Object.entries(workColumns[table]).filter(([name]) => there.has(name));
  const names = held.map(([name]) => quoteIdent(name));
  const source = held.map(
    ([name, type]) => `${quoteIdent(name)} ${type === 'timestamptz' ? 'float8' : type}`,
  );
  const values = held.map(([name, type]) => {
    if (type === 'timestamptz') return `to_timestamp(r.${quoteIdent(name)} / 1000)`;
    if (name !== 'hook_execution_id' || !isChecked) return `r.${quoteIdent(name)}`;
    return '(SELECT h.id FROM hook_executions AS h WHERE h.id = r.hook_execution_id LIMIT 1)';
  });
  const isTraces = table === 'execution_traces';
  const guard = there.has(isTraces ? 'status' : 'trace_id') ? { guard: newerOnly[table] } : {};
  const from = `json_to_recordset($1::json) AS r (${source.join(', ')})`;
  const rows = (of: string) => upsert({ table, names, values, from: of, ...guard }, isKeyless);
  // Subqueries that give one value are looked up in the index; EXISTS would read the table as a whole.
  if (isTraces || !isChecked) {
    // What was archived stays there.
    const live =
      '(SELECT a.id FROM execution_traces_archive AS a WHERE a.id = r.id LIMIT 1) IS NULL';
    const { parts, insert } = rows(isTraces && hasArchive ? `${from} WHERE ${live}` : from);
    return parts.length === 0 ? insert : `WITH ${parts.join(', ')} ${insert}`;
  }
  const known =
    '(SELECT x.id FROM execution_traces AS x WHERE x.id = r.trace_id LIMIT 1) IS NOT NULL';
  const { parts, insert } = rows('r WHERE r.is_known');
  const all = [
    `r AS MATERIALIZED (SELECT r.*, ${known} AS is_known FROM ${from})`,
    ...parts,
    `written AS (${insert})`,
  ];
  return `WITH ${all.join(', ')} SELECT count(*)::int AS refused FROM r WHERE NOT r.is_known`;
}

/** In one order, so that two writers do not wait for each other. */
const usageStatement = `
  SELECT (count(*) - count(used.entry))::int AS refused
  FROM (
    SELECT CASE WHEN p.id IS NOT NULL THEN record_pattern_usage(
      p.id, r.outcome, r.correlation_id, r.match_score, r.actual_duration_ms, r.expected_duration_ms,
      NULL, r.deviations, r.user_feedback, to_timestamp(r.used_at / 1000)) END AS entry
    FROM (
      SELECT * FROM json_to_recordset($1::json) AS r (
        pattern_id uuid, outcome text, correlation_id uuid, match_score numeric, actual_duration_ms bigint,
        expected_duration_ms bigint, deviations jsonb, user_feedback text, used_at float8)
      ORDER BY r.pattern_id) AS r
    LEFT JOIN success_patterns AS p ON p.id = r.pattern_id
    OFFSET 0) AS used`;

/** Of the transaction that is open. */
export async function transactionId(tx: Queryable): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
  return rows[0]?.id;
}

/** Whether a transaction whose COMMIT was not answered has happened. */
export async function wasCommitted(database: Database, transaction: string): Promise<boolean> {
  const [row] = await database.read<{ status: string | null }>(
    'SELECT pg_xact_status($1::text::xid8) AS status',
    [transaction],
  );
  if (row?.status === 'in progress') throw new Error('an earlier transaction has not ended.');
  return row?.status === 'committed';
}
