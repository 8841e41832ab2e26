import {
  archiveOf,
  type ArchivedTable,
  hasOtlpTag,
  hasOtlpTagFrom,
  tracesTables,
} from '../../core/tables.js';
import type { DetailAccess } from '../contract/opening.js';
import { columnOrNull, hasColumn, type SchemaShape } from '../contract/shape.js';
import { eventOf, type TimelineKind, type TimelineRow, type TraceEvent } from './event.js';
import { boundedText } from '../../db/quote.js';
import { knownDuration, toolInputText } from './hook-columns.js';

/** The first events of the tree that a trace belongs to, by the time they began. */
export type Timeline = {
  /** The row of the trace that was asked for. */
  askedId: string;
  /** The server's clock, microseconds since 1970. */
  nowUs: number;
  events: readonly TraceEvent[];
  /** There are more behind the last. */
  isCut: boolean;
};

/**
 * @param id of a trace, or its correlation id: 32 hexadecimal digits
 * @param most how many events; the trace that was asked for is one of them, whenever it began
 * @returns undefined when there is no such trace
 * @throws ConsoleError
 */
export async function readTimeline(
  { shape, read }: Pick<DetailAccess, 'shape' | 'read'>,
  id: string,
  most: number,
): Promise<Timeline | undefined> {
  const rows = await read<TimelineRow>(timelineStatement(shape), [id, most + 1]);
  const [first] = rows;
  if (!first) return undefined;
  const isCut = rows.length > most;
  const surplus = isCut ? rows.findLastIndex(({ id: row }) => row !== first.asked_id) : -1;
  const kept = rows.filter((_, at) => at !== surplus);
  return { askedId: first.asked_id, nowUs: first.now_us, events: eventsOf(kept), isCut };
}

export type FoundTrace = { id: string; correlation_id: string | null; archived: boolean };

/** By the beginning of their sender's trace id the newest traces are found, so many of the live and of the archived ones. */
export const mostTagsSearched = 100_000;

/**
 * The traces, live or archived, whose correlation id, id, or OpenTelemetry trace id begins with these hexadecimal digits (4 to 32).
 *
 * @param most so many of them
 * @throws ConsoleError
 */
export function tracesFrom(
  { shape, read }: Pick<DetailAccess, 'shape' | 'read'>,
  digits: string,
  most: number,
): Promise<FoundTrace[]> {
  const parts = tracesTables((table) => shape.relations.has(table)).flatMap((table) => {
    const archived = table !== 'execution_traces';
    const row = `id, ${columnOrNull(shape, table, 'correlation_id', 'uuid')} AS correlation_id, ${archived} AS archived`;
    const found = (condition: string, from = table, rank = 0) =>
      `(SELECT ${row}, ${rank} AS rank FROM ${from} WHERE ${condition} LIMIT $2)`;
    const begins = (column: string) =>
      hasColumn(shape, table, column)
        ? [found(`${column} BETWEEN rpad($1, 32, '0')::uuid AND rpad($1, 32, 'f')::uuid`)]
        : [];
    const isWhole = digits.length === 32;
    const { findsTags = false } = shape.relations.get(table) ?? {};
    const newest = `(SELECT * FROM ${table} ORDER BY started_at DESC LIMIT ${mostTagsSearched}) AS newest`;
    const tagged = isWhole
      ? found(hasOtlpTag('$1::text::uuid'), table, 1)
      : found(hasOtlpTagFrom('$1'), newest, 1);
    return [...begins('correlation_id'), ...begins('id'), ...(findsTags ? [tagged] : [])];
  });
  return read<FoundTrace>(
    `SELECT id, correlation_id, archived FROM (${parts.join('\n    UNION ALL\n')}) AS found
     GROUP BY id, correlation_id, archived ORDER BY min(rank), archived, id LIMIT $2`,
    [digits, most],
  );
}

/** The parent of each event, and its start within the tree. */
function eventsOf(rows: readonly TimelineRow[]): TraceEvent[] {
  const traces = new Map<string, TimelineRow>();
  const parents = new Map<string, string>();
  const hooks = new Set<string>();
  for (const row of rows) {
    if (row.kind === 'hook') hooks.add(row.id);
    if (row.kind !== 'trace') continue;
    traces.set(row.id, row);
    const { correlation_id: correlation } = row;
    // A correlation id that was archived may be written again; the live row comes first.
    if (correlation !== null && !(parents.has(correlation) && row.archived)) {
      parents.set(correlation, row.id);
    }
  }
  const parentOf = ({ kind, trace_id: trace, parent, correlation_id: own }: TimelineRow) => {
    if (kind === 'trace') return parent === null || parent === own ? null : parents.get(parent);
    return parent !== null && hooks.has(parent) ? parent : trace;
  };
  const finite = rows.flatMap(({ started_us: at }) => (Number.isFinite(at) ? [at ?? 0] : []));
  const startUs = finite.reduce((least, at) => Math.min(least, at), Infinity);
  return rows.map((row) =>
    eventOf(row, {
      parentId: parentOf(row) ?? null,
      correlationId: traces.get(row.trace_id)?.correlation_id ?? '',
      offsetMs: Number.isFinite(row.started_us)
        ? Math.round(((row.started_us ?? startUs) - startUs) / 1_000)
        : 0,
    }),
  );
}

type Source = {
  kind: TimelineKind;
  table: ArchivedTable;
  startedAt: string;
  /** The column of the trace, of the parent, of the name, of the status. */
  trace: string;
  parent: string | null;
  name: string;
  status: string | null;
  success: string;
  duration: string;
  /** Further details by name: the column, and how many characters of it at most. */
  details: readonly (readonly [name: string, column: string, most?: number])[];
};

const failure = [
  ['error_type', 'error_type', 200],
  ['error_message', 'error_message', 200],
] as const;

const sources: readonly Source[] = [
  {
    kind: 'trace',
    table: 'execution_traces',
    startedAt: 'started_at',
    trace: 'id',
    parent: 'parent_id',
    name: 'source',
    status: 'status',
    success: 'success',
    duration: 'duration_ms',
    details: [
      ['prompt', 'prompt_text', 200],
      ['user_id', 'user_id', 512],
      ['project', 'project', 512],
      ['session', 'session_id', 36],
      ['model', 'model', 200],
      ['input_tokens', 'input_tokens'],
      ['cache_read_tokens', 'cache_read_tokens'],
      ['cache_creation_tokens', 'cache_creation_tokens'],
      ['output_tokens', 'output_tokens'],
      ['cost_usd', 'cost_usd'],
      ...failure,
    ],
  },
  {
    kind: 'routing_decision',
    table: 'agent_routing_decisions',
    startedAt: 'created_at',
    trace: 'trace_id',
    parent: null,
    name: 'agent_selected',
    status: null,
    success: 'actual_success',
    duration: 'decision_duration_ms',
    details: [
      ['confidence', 'confidence_score'],
      ['strategy', 'routing_strategy', 200],
      ['reason', 'selection_reason', 200],
      ['cache_hit', 'cache_hit'],
      ['pattern_id', 'pattern_id'],
      ['actual_success', 'actual_success'],
    ],
  },
  {
    kind: 'hook',
    table: 'hook_executions',
    startedAt: 'started_at',
    trace: 'trace_id',
    parent: null,
    name: 'hook_name',
    status: 'status',
    success: 'success',
    duration: 'duration_ms',
    details: [
      ['type', 'hook_type', 200],
      ['order', 'execution_order'],
      ['tool', 'tool_name', 200],
      ['tool_use_id', 'tool_use_id', 200],
      ['agent_id', 'agent_id', 200],
      ['file_path', 'file_path', 200],
      ['decision', 'decision', 200],
      ['exit_code', 'exit_code'],
      ...failure,
    ],
  },
  {
    kind: 'endpoint_call',
    table: 'endpoint_calls',
    startedAt: 'started_at',
    trace: 'trace_id',
    parent: 'hook_execution_id',
    name: 'service_name',
    status: 'status_code',
    success: 'success',
    duration: 'duration_ms',
    details: [
      ['method', 'http_method', 200],
      ['url', 'endpoint_url', 200],
      ['status_code', 'status_code'],
      ['retry_count', 'retry_count'],
      ...failure,
    ],
  },
];

/** What telemetry said of a span, by the column of JSON that holds it. */
const spanFacts: Readonly<Record<TimelineKind, readonly [column: string, ...facts: string[]]>> = {
  trace: [
    'context',
    `'span_kind', ${boundedText("context #>> '{span,kind}'", 20)}`,
    `'otlp_trace_id', substring(context ->> 'promptId' FROM '^[0-9a-f]{32}$')`,
  ],
  routing_decision: [''],
  hook: ['metadata', `'span_kind', ${boundedText("metadata ->> 'span_kind'", 20)}`],
  endpoint_call: ['context', `'span_kind', ${boundedText("context ->> 'span_kind'", 20)}`],
};

/** Of a call of a model: what it read, wrote and cost. */
const modelCall = [
  `'model', ${boundedText("context ->> 'model'", 200)}`,
  `'uncached', context -> 'usage' -> 'input'`,
  `'cache_read', context -> 'usage' -> 'cacheRead'`,
  `'cache_written', context -> 'usage' -> 'cacheCreation'`,
  `'output', context -> 'usage' -> 'output'`,
  `'call_cost_usd', context -> 'cost' -> 'usd'`,
];

/**
 * The first events of a tree in time order. `$1`: the trace's id or its correlation id, `$2`: how many at most.
 *
 * get_trace_timeline tells them all with their depth, in a time that grows with the square of a chain and of a table that
 * was not analysed yet. Here each table gives its first rows, and only of these the details are made: the tree is put
 * together from them in the console, in one pass. OFFSET 0: the rows are found by the index of their trace, whatever the
 * planner expects of their order. A join, not `= ANY`: where the table is read as a whole, each row would be compared with each
 * trace of the tree (10,000 traces, 100,000 hooks: 42 s beside 0.04 s).
 */
export function timelineStatement(shape: SchemaShape): string {
  const branches = sources.flatMap((source) =>
    [false, true].flatMap((archived) => {
      const table = archived ? archiveOf(source.table) : source.table;
      return shape.relations.has(table) ? [branchOf(shape, source, table, archived)] : [];
    }),
  );
  const traces = tracesTables((table) => shape.relations.has(table));
  const found = traces.flatMap((table, rank) =>
    // A correlation id comes first: it is what people copy from logs.
    ['correlation_id', 'id'].map(
      (column, by) =>
        `SELECT id, root_id, ${10 * rank + by} AS rank FROM ${table} WHERE ${column} = $1::uuid`,
    ),
  );
  const tagged = traces.filter((table) => shape.relations.get(table)?.findsTags === true);
  for (const table of tagged) {
    found.push(`SELECT id, root_id, 20 AS rank FROM ${table} WHERE ${hasOtlpTag('$1::uuid')}`);
  }
  return `
WITH asked AS MATERIALIZED (
  SELECT id, root_id FROM (${found.join('\n    UNION ALL ')}) AS found ORDER BY rank LIMIT 1
)
SELECT round(extract(epoch FROM now()) * 1000000)::float8 AS now_us, (SELECT id FROM asked) AS asked_id,
  kind, id, correlation_id, trace_id, parent, name, status, success,
  round(extract(epoch FROM started_at) * 1000000)::float8 AS started_us, duration_ms, archived, details
FROM (
  SELECT * FROM (${branches.join('\nUNION ALL\n')}) AS event
  ORDER BY id = (SELECT id FROM asked) DESC, started_at, kind_order, id
  LIMIT $2
) AS first
ORDER BY started_at, kind_order, id`;
}

function branchOf(shape: SchemaShape, source: Source, table: string, archived: boolean): string {
  const column = (name: string, type = 'text') => columnOrNull(shape, table, name, type);
  const { kind, trace, parent, status, details } = source;
  const isTrace = kind === 'trace';
  const startedAt = column(source.startedAt, 'timestamptz');
  const traces = `ARRAY(SELECT id FROM execution_traces${archived ? '_archive' : ''} WHERE root_id = (SELECT root_id FROM asked))`;
  const ofTree = isTrace
    ? `${table} AS one WHERE root_id = (SELECT root_id FROM asked)`
    : `unnest(${traces}) AS tree (id) JOIN ${table} AS one ON one.${trace} = tree.id`;
  const told = details.map(([name, from, most]) => {
    const value = column(from);
    return `'${name}', ${most === undefined ? value : boundedText(`${value}::text`, most)}`;
  });
  if (kind === 'hook') told.push(`'input', ${toolInputText(column)}`);
  const duration =
    kind === 'hook'
      ? knownDuration(column, 'metadata')
      : kind === 'endpoint_call'
        ? knownDuration(column, 'context')
        : column(source.duration, 'bigint');
  const has = (name: string) => shape.relations.get(table)?.columns.has(name) === true;
  const [holder, ...facts] = spanFacts[kind];
  if (has(holder)) told.push(...facts);
  if (kind === 'endpoint_call' && has('context')) told.push(...modelCall);
  return `
SELECT '${kind}' AS kind, ${sources.indexOf(source)} AS kind_order, id, ${isTrace ? column('correlation_id', 'uuid') : 'NULL::uuid'} AS correlation_id,
  ${trace} AS trace_id, ${parent === null ? 'NULL::uuid' : column(parent, 'uuid')} AS parent, ${boundedText(column(source.name), 512)} AS name,
  ${status === null ? 'NULL::text' : boundedText(`${column(status)}::text`, 200)} AS status, ${column(source.success, 'boolean')} AS success,
  ${startedAt} AS started_at, (${duration})::float8 AS duration_ms, ${archived} AS archived,
  jsonb_strip_nulls(jsonb_build_object(${told.join(', ')})) AS details
FROM (
  SELECT * FROM (SELECT one.* FROM ${ofTree} OFFSET 0) AS of_tree
  ORDER BY ${isTrace ? 'id = (SELECT id FROM asked) DESC, ' : ''}${startedAt}, id LIMIT $2
) AS first_of_tree`;
}
