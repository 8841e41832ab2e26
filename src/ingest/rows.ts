import { exactJson } from '../core/exact-json.js';
import path from 'node:path';
import {
  columnsOf,
  without,
  workColumns,
  type ColumnType as AnyColumnType,
} from '../core/tables.js';
import type { Queryable } from '../db/queryable.js';
import { quoteIdent } from '../db/quote.js';

/**
 * The rows that agents' events become. Times are milliseconds since 1970 (fractions allowed), durations
 * milliseconds, costs US dollars.
 */

export type Json = Record<string, unknown>;

export type Status = 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'timeout';

type Work = {
  id: string;
  started_at: number;
  completed_at: number | null;
  duration_ms: number | null;
  error_type: string | null;
  error_message: string | null;
};

export type TraceRow = Work & {
  correlation_id: string;
  root_id: string;
  parent_id: string | null;
  session_id: string;
  user_id: string | null;
  project: string | null;
  source: string;
  prompt_text: string | null;
  status: Status;
  model: string | null;
  provider: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_tokens: number | null;
  cache_creation_tokens: number | null;
  cost_usd: number | null;
  context: Json;
  tags: readonly string[];
};

export type HookRow = Work & {
  trace_id: string;
  hook_type: string;
  hook_name: string;
  tool_name: string | null;
  tool_use_id: string | null;
  agent_id: string | null;
  file_path: string | null;
  status: Status;
  exit_code: number | null;
  decision: string | null;
  input_data: unknown;
  output_data: unknown;
  metadata: Json;
};

export type CallRow = Work & {
  trace_id: string;
  service_name: string;
  endpoint_url: string;
  http_method: string;
  status_code: number | null;
  retry_count: number;
  context: Json;
};

export type DecisionRow = {
  id: string;
  created_at: number;
  trace_id: string;
  query_text: string | null;
  agent_selected: string;
  confidence_score: number;
  routing_strategy: string;
  selection_reason: string | null;
  decision_duration_ms: number | null;
};

export type IngestTables = {
  execution_traces: TraceRow;
  hook_executions: HookRow;
  endpoint_calls: CallRow;
  agent_routing_decisions: DecisionRow;
};

export type IngestTable = keyof IngestTables;

/** Parents before children. */
export const ingestTables = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
] as const satisfies readonly IngestTable[];

/** By what their rows are told apart. */
export const ingestKeys: Readonly<Record<IngestTable, 'id'>> = {
  execution_traces: 'id',
  agent_routing_decisions: 'id',
  hook_executions: 'id',
  endpoint_calls: 'id',
};

export type ColumnType = Exclude<AnyColumnType, 'uuid[]' | 'boolean' | 'vector'>;

const { execution_traces, hook_executions, endpoint_calls, agent_routing_decisions } = workColumns;

export const columns: {
  readonly [Table in IngestTable]: Readonly<Record<keyof IngestTables[Table], ColumnType>>;
} = {
  execution_traces: columnsOf<TraceRow>()(execution_traces),
  hook_executions: columnsOf<HookRow>()(
    without(
      hook_executions,
      'execution_order',
      'modifications_made',
      'rag_query_performed',
      'rag_results',
      'quality_check_performed',
      'quality_results',
      'error_stack',
    ),
  ),
  endpoint_calls: columnsOf<CallRow>()(
    without(
      endpoint_calls,
      'hook_execution_id',
      'headers',
      'request_body',
      'response_body',
      'request_bytes',
      'response_bytes',
    ),
  ),
  agent_routing_decisions: columnsOf<DecisionRow>()(
    without(
      agent_routing_decisions,
      'confidence_breakdown',
      'alternatives',
      'cache_hit',
      'pattern_id',
      'actual_success',
    ),
  ),
};

/** The name of the folder that a session runs in. */
export function projectOf(cwd: string | null | undefined): string | undefined {
  if (cwd === undefined || cwd === null || cwd === '') return undefined;
  // Asked for by every event of a session.
  if (cwd !== lastProject.cwd) lastProject = { cwd, project: folderName(cwd) };
  return lastProject.project;
}

let lastProject = { cwd: '', project: '' };

function folderName(cwd: string): string {
  const folder = path.posix.basename(cwd.replaceAll('\\', '/'));
  return name(folder === '' ? cwd : folder);
}

/** A text for an indexed column: never empty, and no longer than an index takes. */
export function name(text: string): string {
  const clean = text.replaceAll('\0', '').slice(0, 256);
  return clean === '' ? 'unknown' : clean;
}

/** Rows of a table with these ids. */
export async function loadRows<Table extends IngestTable>(
  tx: Queryable,
  table: Table,
  ids: readonly string[],
  by: 'id' | 'trace_id' = 'id',
): Promise<IngestTables[Table][]> {
  if (ids.length === 0) return [];
  const list = Object.entries(columns[table]).map(([name, type]) =>
    type === 'timestamptz'
      ? `(extract(epoch FROM ${quoteIdent(name)}) * 1000)::float8 AS ${quoteIdent(name)}`
      : quoteIdent(name),
  );
  const { rows } = await tx.query<IngestTables[Table]>(
    `SELECT ${list.join(', ')} FROM ${quoteIdent(table)} WHERE ${quoteIdent(by)} = ANY($1::uuid[])`,
    [ids],
  );
  return rows;
}

/** Rows of one statement: a megabyte or two of JSON. */
const rowsAtOnce = 250;

/**
 * Inserts rows, or puts them into the place of those with their ids. One statement for some hundred rows.
 *
 * @param isKeyless the table has no unique key of just `id`
 */
export async function writeRows<Table extends IngestTable>(
  tx: Queryable,
  table: Table,
  rows: readonly IngestTables[Table][],
  isKeyless = false,
): Promise<void> {
  if (rows.length === 0) return;
  if (isKeyless) await lockKeyless(tx, table);
  const text = upsertStatement(table, isKeyless);
  for (let start = 0; start < rows.length; start += rowsAtOnce) {
    await tx.query(text, [toJson(rows.slice(start, start + rowsAtOnce))]);
  }
}

export type Upsert = {
  table: string;
  /** Quoted, `"id"` among them. */
  names: readonly string[];
  /** Of each name the value in a row of `from`. */
  values: readonly string[];
  from: string;
  /** When a row that is there, `t`, is changed by a new `row`. */
  guard?: (row: string) => string;
};

/** Puts rows into the place of those with their ids: what stands behind WITH, and the INSERT. */
export function upsert(
  { table, names, values, from, guard }: Upsert,
  isKeyless: boolean,
): { parts: string[]; insert: string } {
  const list = names.join(', ');
  const target = quoteIdent(table);
  const others = names.filter((name) => name !== quoteIdent('id'));
  const changes = (row: string) => others.map((name) => `${name} = ${row}.${name}`).join(', ');
  if (!isKeyless) {
    const where = guard === undefined ? '' : ` WHERE ${guard('excluded')}`;
    const insert = `INSERT INTO ${target} AS t (${list}) SELECT ${values.join(', ')} FROM ${from}
      ON CONFLICT (id) DO UPDATE SET ${changes('excluded')}${where}`;
    return { parts: [], insert };
  }
  const columns = names.map((name, index) => `${values[index]} AS ${name}`).join(', ');
  const and = guard === undefined ? '' : ` AND (${guard('n')})`;
  return {
    parts: [
      `n AS MATERIALIZED (SELECT ${columns} FROM ${from})`,
      `changed AS (UPDATE ${target} AS t SET ${changes('n')} FROM n WHERE t.id = n.id${and})`,
    ],
    // Both see the table as it was before.
    insert: `INSERT INTO ${target} (${list}) SELECT ${list} FROM n
      WHERE (SELECT x.id FROM ${target} AS x WHERE x.id = n.id LIMIT 1) IS NULL`,
  };
}

/** Without a key two writers would both insert a row that neither sees yet: on such a table they wait for each other. */
export async function lockKeyless(tx: Queryable, table: string): Promise<void> {
  await tx.query(
    `SELECT pg_advisory_xact_lock(hashtextextended('trace_console rows of ' || to_regclass($1)::oid, 0))`,
    [quoteIdent(table)],
  );
}

/** JSON without what PostgreSQL refuses in it: NUL, and halves of surrogate pairs. */
export function toJson(value: unknown): string {
  const json = exactJson(value);
  if (!holdsRefused(json)) return json;
  return exactJson(value, undefined, (_key, item: unknown) => {
    if (typeof item === 'string') return storable(item);
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    const entries = Object.entries(item);
    const isOdd = entries.some(([key]) => storable(key) !== key);
    return isOdd ? Object.fromEntries(entries.map(([key, each]) => [storable(key), each])) : item;
  });
}

/** Whether an escape of them is in a JSON, and not a backslash before such letters. */
function holdsRefused(json: string): boolean {
  for (let at = json.indexOf('\\u'); at !== -1; at = json.indexOf('\\u', at + 2)) {
    if (!/^(?:0000|d[89a-f])/.test(json.slice(at + 2, at + 6))) continue;
    let first = at;
    while (json[first - 1] === '\\') first -= 1;
    if ((at - first) % 2 === 0) return true;
  }
  return false;
}

/** A text as PostgreSQL takes it. */
export function storable(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed();
  return whole.includes('\0') ? whole.replaceAll('\0', '') : whole;
}

const upserts = new Map<string, string>();

function upsertStatement(table: IngestTable, isKeyless: boolean): string {
  const known = upserts.get(`${table} ${isKeyless}`);
  if (known !== undefined) return known;
  const all = Object.entries(columns[table]);
  const names = all.map(([name]) => quoteIdent(name));
  const values = all.map(([name, type]) =>
    type === 'timestamptz' ? `to_timestamp(r.${quoteIdent(name)} / 1000)` : `r.${quoteIdent(name)}`,
  );
  const source = all.map(
    ([name, type]) => `${quoteIdent(name)} ${type === 'timestamptz' ? 'float8' : type}`,
  );
  const from = `json_to_recordset($1::json) AS r (${source.join(', ')})`;
  const { parts, insert } = upsert({ table, names, values, from }, isKeyless);
  const text = parts.length === 0 ? insert : `WITH ${parts.join(', ')} ${insert}`;
  upserts.set(`${table} ${isKeyless}`, text);
  return text;
}
