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

export type ColumnType = Exclude<AnyColumnType, 'uuid[]' | 'text[]' | 'boolean' | 'vector'>;

const { execution_traces, hook_executions, endpoint_calls, agent_routing_decisions } = workColumns;

export const columns: {
  readonly [Table in IngestTable]: Readonly<Record<keyof IngestTables[Table], ColumnType>>;
} = {
  execution_traces: columnsOf<TraceRow>()(without(execution_traces, 'tags')),
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

/** Inserts rows, or puts them into the place of those with their ids. One statement for some hundred rows. */
export async function writeRows<Table extends IngestTable>(
  tx: Queryable,
  table: Table,
  rows: readonly IngestTables[Table][],
): Promise<void> {
  for (let start = 0; start < rows.length; start += rowsAtOnce) {
    await tx.query(upsertStatement(table), [toJson(rows.slice(start, start + rowsAtOnce))]);
  }
}

/** JSON without what PostgreSQL refuses in it: NUL, and halves of surrogate pairs. */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value);
  if (!holdsRefused(json)) return json;
  return JSON.stringify(value, (_key, item: unknown) => {
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

const upserts = new Map<IngestTable, string>();

function upsertStatement(table: IngestTable): string {
  const known = upserts.get(table);
  if (known !== undefined) return known;
  const all = Object.entries(columns[table]);
  const names = all.map(([name]) => quoteIdent(name));
  const values = all.map(([name, type]) =>
    type === 'timestamptz' ? `to_timestamp(r.${quoteIdent(name)} / 1000)` : `r.${quoteIdent(name)}`,
  );
  const source = all.map(
    ([name, type]) => `${quoteIdent(name)} ${type === 'timestamptz' ? 'float8' : type}`,
  );
  const changes = names
    .filter((name) => name !== quoteIdent('id'))
    .map((name) => `${name} = excluded.${name}`);
  const text =
    `INSERT INTO ${quoteIdent(table)} (${names.join(', ')}) SELECT ${values.join(', ')} ` +
    `FROM json_to_recordset($1::json) AS r (${source.join(', ')}) ` +
    `ON CONFLICT (id) DO UPDATE SET ${changes.join(', ')}`;
  upserts.set(table, text);
  return text;
}
