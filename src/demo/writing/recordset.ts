import { needKeys } from '../../db/capabilities.js';
import type { Database } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { ConsoleError, readOnlyError } from '../../db/errors.js';
import { embeddingDimension } from '../random.js';
import {
  coreTables,
  columnsOf,
  learnedKeys,
  workColumns,
  type ColumnType,
} from '../../core/tables.js';

import type { Queryable } from '../../db/queryable.js';
import type {
  CallRow,
  ChainRow,
  DecisionRow,
  ErrorRow,
  HookRow,
  PatternRow,
  TraceRow,
  UsageRow,
} from '../rows.js';

/** Rows and bytes of one statement, but for its last row; the embedded database takes messages of 2 MB well. */
const mostRows = 1_000;
const mostCharacters = 1_000_000;
/** Of one vector in a statement. */
const vectorBytes = 8 * embeddingDimension;

/** Rows of one table as the source of a statement: one parameter, however many rows, and one with their vectors. */
export type Recordset = {
  /** `jsonb_to_recordset($1) AS r(…)` */
  source: string;
  /** `id, trace_id, …` */
  names: string;
  /** `r.c0, r.c1, …`, in the order of `names` */
  values: string;
  /** `column = r.cN` for each of these. */
  assignments: (of: readonly string[]) => string;
  /** `r.cN` of one column. */
  value: (column: string) => string;
};

/**
 * The columns go by short keys (`c0`, `c1`, …): with their names, keys would be two thirds of the
 * text of a row.
 */
export function recordset(table: keyof DemoTables): Recordset {
  const entries = Object.entries(columns[table]);
  const keys = new Map(entries.map(([name], index) => [name, `c${index}`]));
  const isVector = new Set(entries.filter(([, type]) => type === 'vector').map(([name]) => name));
  const value = (column: string) => {
    const key = `r.${keys.get(column) ?? 'unknown'}`;
    return isVector.has(column) ? vectorAt(key) : key;
  };
  const typed = entries.map(
    ([, type], index) => `c${index} ${type === 'vector' ? 'integer' : type}`,
  );
  return {
    source: `jsonb_to_recordset($1) AS r(${typed.join(', ')})`,
    names: entries.map(([name]) => quoteIdent(name)).join(', '),
    values: entries.map(([name]) => value(name)).join(', '),
    assignments: (of) => of.map((name) => `${quoteIdent(name)} = ${value(name)}`).join(', '),
    value,
  };
}

type Chunk = { json: string; vectors: Float32Array[] };

/** The vector of that number among those of $2; NULL for none. */
const vectorAt = (number: string) =>
  `($2::real[])[${embeddingDimension} * ${number} + 1 : ${embeddingDimension} * (${number} + 1)]::vector`;

/** Runs `statement` once for every thousand rows or megabyte; gives the number of rows affected. */
export async function runInChunks<Table extends keyof DemoTables>(
  transaction: Queryable,
  statement: string,
  table: Table,
  rows: Iterable<DemoTables[Table]>,
): Promise<number> {
  let affected = 0;
  const takesVectors = statement.includes('$2');
  for (const { json, vectors } of chunks(table, rows)) {
    const values = takesVectors ? [json, realArray(vectors)] : [json];
    affected += (await transaction.query(statement, values)).rowCount ?? 0;
  }
  return affected;
}

function* chunks<Table extends keyof DemoTables>(
  table: Table,
  rows: Iterable<DemoTables[Table]>,
): Generator<Chunk> {
  const entries = Object.entries(columns[table]) as [keyof DemoTables[Table], ColumnType][];
  let texts: string[] = [];
  let vectors: Float32Array[] = [];
  let characters = 0;
  for (const row of rows) {
    const text = rowText(entries, row, vectors);
    texts.push(text);
    characters += text.length;
    if (texts.length < mostRows && characters + vectors.length * vectorBytes < mostCharacters) {
      continue;
    }
    yield { json: `[${texts.join(',')}]`, vectors };
    [texts, vectors, characters] = [[], [], 0];
  }
  if (texts.length > 0) yield { json: `[${texts.join(',')}]`, vectors };
}

/**
 * NULLs are left out: an absent key is NULL.
 *
 * @param vectors gets those of the row
 */
function rowText<Row extends object>(
  entries: readonly [keyof Row, ColumnType][],
  row: Row,
  vectors: Float32Array[],
): string {
  let text = '';
  let index = 0;
  for (const [name, type] of entries) {
    const value: unknown = row[name];
    if (value !== null) {
      const written =
        type === 'vector' ? vectors.push(value as Float32Array) - 1 : valueText(type, value);
      text += `${text === '' ? '' : ','}"c${index}":${written}`;
    }
    index += 1;
  }
  return `{${text}}`;
}

/** The numbers of all vectors as one `real[]`, in the binary format: reading them as text takes the server ten times as long. */
function realArray(vectors: readonly Float32Array[]): Buffer {
  const count = vectors.length * embeddingDimension;
  const bytes = Buffer.alloc(20 + 8 * count);
  const realType = 700;
  for (const [index, field] of [1, 0, realType, count, 1].entries()) {
    bytes.writeInt32BE(field, 4 * index);
  }
  let at = 20;
  for (const vector of vectors) {
    for (const value of vector) {
      at = bytes.writeFloatBE(value, bytes.writeInt32BE(4, at));
    }
  }
  return bytes;
}

/** JSON.stringify where something may need escapes; a third of the time of calling it always. */
function valueText(type: ColumnType, value: unknown): string {
  switch (type) {
    case 'timestamptz':
      return `"${new Date(value as number).toISOString()}"`;
    case 'uuid':
      return `"${value as string}"`;
    case 'bigint':
    case 'integer':
    case 'numeric':
    case 'boolean':
      return String(value);
    default:
      return JSON.stringify(value);
  }
}

/** Every table that the demo writes to, with its rows. */
export type DemoTables = {
  execution_traces: TraceRow;
  agent_routing_decisions: DecisionRow;
  hook_executions: HookRow;
  endpoint_calls: CallRow;
  success_patterns: PatternRow;
  pattern_usage_log: UsageRow;
  agent_chaining_patterns: ChainRow;
  error_patterns: ErrorRow;
};

const own = { id: 'uuid', created_at: 'timestamptz', updated_at: 'timestamptz' } as const;

/** The columns that the demo writes, with their types. What is derived or generated is left out. */
export const columns: {
  readonly [Table in keyof DemoTables]: Readonly<Record<keyof DemoTables[Table], ColumnType>>;
} = {
  execution_traces: columnsOf<TraceRow>()({ ...own, ...workColumns.execution_traces }),
  agent_routing_decisions: columnsOf<DecisionRow>()({
    ...own,
    ...workColumns.agent_routing_decisions,
    query_embedding: 'vector',
  }),
  hook_executions: columnsOf<HookRow>()({ ...own, ...workColumns.hook_executions }),
  endpoint_calls: columnsOf<CallRow>()({ ...own, ...workColumns.endpoint_calls }),
  success_patterns: {
    ...own,
    pattern_hash: 'text',
    prompt_text: 'text',
    prompt_embedding: 'vector',
    embedding_model: 'text',
    intent_classification: 'text',
    keywords: 'text[]',
    agent_sequence: 'text[]',
    routing_strategy: 'text',
    hook_sequence: 'jsonb',
    endpoint_pattern: 'jsonb',
    confidence_score: 'numeric',
    is_active: 'boolean',
    context: 'jsonb',
    tags: 'text[]',
  },
  pattern_usage_log: {
    ...own,
    pattern_id: 'uuid',
    trace_id: 'uuid',
    correlation_id: 'uuid',
    used_at: 'timestamptz',
    match_score: 'numeric',
    was_used: 'boolean',
    outcome: 'text',
    expected_duration_ms: 'bigint',
    actual_duration_ms: 'bigint',
    deviations: 'jsonb',
    user_feedback: 'text',
  },
  agent_chaining_patterns: {
    ...own,
    chain_hash: 'text',
    primary_agent: 'text',
    agent_sequence: 'text[]',
    delegation_depth: 'integer',
    trigger_context: 'text',
    occurrence_count: 'integer',
    success_count: 'integer',
    avg_total_duration_ms: 'bigint',
    avg_coordination_overhead_ms: 'bigint',
    example_trace_ids: 'uuid[]',
    tags: 'text[]',
    first_seen_at: 'timestamptz',
    last_used_at: 'timestamptz',
  },
  error_patterns: {
    ...own,
    fingerprint: 'text',
    error_type: 'text',
    error_category: 'text',
    error_message_pattern: 'text',
    severity: 'text',
    agent_name: 'text',
    hook_type: 'text',
    endpoint_url: 'text',
    occurrence_count: 'integer',
    first_occurrence_at: 'timestamptz',
    last_occurrence_at: 'timestamptz',
    example_trace_ids: 'uuid[]',
    resolution_pattern: 'text',
    resolution_success_rate: 'numeric',
    prevention_strategies: 'text[]',
    resolved_at: 'timestamptz',
    tags: 'text[]',
  },
};

/**
 * Checks that the demo can write all its rows, and could take them away again.
 *
 * @throws ConsoleError that says what is missing.
 */
export async function checkWritable(database: Database): Promise<void> {
  checkChangeable(database);
  await database.transaction({ readOnly: true }, (tx) => needKeys(tx, 'The demo', learnedKeys));
  const missing = await missingColumns(database);
  if (missing.length > 0) {
    throw new ConsoleError(
      'schema_incompatible',
      `The demo needs columns that are missing: ${missing.join(', ')}.`,
      {
        hint: 'Use a database of its own for the demo, or the embedded one (no --url).',
      },
    );
  }
}

/** @throws ConsoleError when nothing may be changed here, or the tables are not there. */
export function checkChangeable(database: Database): void {
  const { capabilities } = database;
  if (database.readOnly) throw readOnlyError('The demo', database);
  if (capabilities.standby) {
    throw new ConsoleError('standby', 'This server is a standby: it takes no writes.', {
      hint: 'Connect to the primary.',
    });
  }
  const missing = coreTables.filter((table) => !capabilities.tables[table]);
  if (missing.length > 0) {
    throw new ConsoleError(
      'schema_missing',
      `Tables are missing in schema ${capabilities.schema}: ${missing.join(', ')}.`,
      {
        hint: 'Create them first: trace-console schema apply',
      },
    );
  }
  const filtered = coreTables.filter((table) => capabilities.tables[table]?.filtered);
  if (filtered.length > 0) {
    throw new ConsoleError(
      'row_security',
      `Row-level security filters ${filtered.join(', ')} for ${capabilities.user}.`,
      {
        hint: 'Connect as the owner of the tables or as service_role.',
      },
    );
  }
}

async function missingColumns(database: Database): Promise<string[]> {
  const found = await database.read<{ name: string }>(
    `SELECT c.relname || '.' || a.attname AS name
     FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
     WHERE c.relnamespace = $1::regnamespace AND c.relname = ANY ($2) AND a.attnum > 0 AND NOT a.attisdropped`,
    [quoteIdent(database.capabilities.schema), [...coreTables]],
  );
  const known = new Set(found.map(({ name }) => name));
  return Object.entries(columns)
    .flatMap(([table, ofTable]) => Object.keys(ofTable).map((column) => `${table}.${column}`))
    .filter((name) => !known.has(name));
}
