/** The tables of the schema, parents before children: the order in which they can be filled. */
export const coreTables = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
  'success_patterns',
  'pattern_usage_log',
  'agent_chaining_patterns',
  'error_patterns',
] as const;

export type CoreTable = (typeof coreTables)[number];

/** The tables that the archive moves, parents first. */
export const archivedTables = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
] as const satisfies readonly CoreTable[];

export type ArchivedTable = (typeof archivedTables)[number];

/** A tag of traces that came by OpenTelemetry: by it they are found by the trace id of their sender (32 hexadecimal digits). */
export const otlpTag = (traceId: string): string => `${otlpPrefix}${traceId}`;

const otlpPrefix = 'otlp:';

/** Of a span, by the number that OTLP gives it; 0 says nothing. */
export const spanKinds = ['', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
export type SpanKind = Exclude<(typeof spanKinds)[number], ''>;

/** SQL: whether a row of execution_traces, or of its archive, has the tag of a trace id that is written as a UUID. */
export const hasOtlpTag = (uuid: string): string =>
  `(tags <> '{}' AND tags @> ARRAY['${otlpPrefix}' || replace(${uuid}::text, '-', '')])`;

/** SQL: whether a row has the tag of a trace id that begins with these digits; no index knows beginnings. */
export const hasOtlpTagFrom = (digits: string): string =>
  `(tags <> '{}' AND EXISTS (SELECT FROM unnest(tags) AS tag WHERE starts_with(tag, '${otlpPrefix}' || ${digits})))`;

/** SQL: whether an index finds rows of a table, of which `oid` is the id, by their tags; older archives have none. */
export const findsTags = (oid: string): string => `EXISTS (
    SELECT FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_am AS m ON m.oid = x.relam
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = ${oid} AND i.indisvalid AND m.amname = 'gin' AND a.attname = 'tags')`;

/** By what the rows of learned tables are told apart. */
export const learnedKeys = {
  success_patterns: 'pattern_hash',
  agent_chaining_patterns: 'chain_hash',
  error_patterns: 'fingerprint',
} as const;

/** `execution_traces` → `execution_traces_archive` */
export function archiveOf(table: ArchivedTable): string {
  return `${table}_archive`;
}

/** Where traces stand, live and archived: those of the two tables that are there. */
export function tracesTables(isThere: (table: string) => boolean): string[] {
  return ['execution_traces', archiveOf('execution_traces')].filter(isThere);
}

export type ColumnType =
  | 'uuid'
  | 'uuid[]'
  | 'text'
  | 'text[]'
  | 'boolean'
  | 'integer'
  | 'bigint'
  | 'numeric'
  | 'jsonb'
  | 'timestamptz'
  | 'vector';

type Columns = Readonly<Record<string, ColumnType>>;

const work = {
  started_at: 'timestamptz',
  completed_at: 'timestamptz',
  duration_ms: 'bigint',
  error_type: 'text',
  error_message: 'text',
} as const;

/**
 * The columns that rows of agents' work are written to, with their types. What is derived or generated is left out, and
 * so are embeddings; who writes fewer leaves the others to their defaults.
 */
export const workColumns = {
  execution_traces: {
    id: 'uuid',
    correlation_id: 'uuid',
    root_id: 'uuid',
    parent_id: 'uuid',
    session_id: 'uuid',
    user_id: 'text',
    project: 'text',
    source: 'text',
    prompt_text: 'text',
    status: 'text',
    model: 'text',
    provider: 'text',
    input_tokens: 'bigint',
    output_tokens: 'bigint',
    cache_read_tokens: 'bigint',
    cache_creation_tokens: 'bigint',
    cost_usd: 'numeric',
    context: 'jsonb',
    tags: 'text[]',
    ...work,
  },
  agent_routing_decisions: {
    id: 'uuid',
    created_at: 'timestamptz',
    trace_id: 'uuid',
    query_text: 'text',
    agent_selected: 'text',
    confidence_score: 'numeric',
    confidence_breakdown: 'jsonb',
    routing_strategy: 'text',
    selection_reason: 'text',
    alternatives: 'jsonb',
    cache_hit: 'boolean',
    pattern_id: 'uuid',
    decision_duration_ms: 'bigint',
    actual_success: 'boolean',
  },
  hook_executions: {
    id: 'uuid',
    trace_id: 'uuid',
    hook_type: 'text',
    hook_name: 'text',
    execution_order: 'integer',
    tool_name: 'text',
    tool_use_id: 'text',
    agent_id: 'text',
    file_path: 'text',
    status: 'text',
    exit_code: 'integer',
    decision: 'text',
    input_data: 'jsonb',
    output_data: 'jsonb',
    modifications_made: 'jsonb',
    rag_query_performed: 'boolean',
    rag_results: 'jsonb',
    quality_check_performed: 'boolean',
    quality_results: 'jsonb',
    error_stack: 'text',
    metadata: 'jsonb',
    ...work,
  },
  endpoint_calls: {
    id: 'uuid',
    trace_id: 'uuid',
    hook_execution_id: 'uuid',
    service_name: 'text',
    endpoint_url: 'text',
    http_method: 'text',
    status_code: 'integer',
    headers: 'jsonb',
    request_body: 'jsonb',
    response_body: 'jsonb',
    request_bytes: 'bigint',
    response_bytes: 'bigint',
    retry_count: 'integer',
    context: 'jsonb',
    ...work,
  },
} as const satisfies Readonly<Record<ArchivedTable, Columns>>;

/** Columns but some. */
export function without<All extends Columns, const Name extends keyof All>(
  columns: All,
  ...names: readonly Name[]
): Omit<All, Name> {
  const left = new Set<PropertyKey>(names);
  return Object.fromEntries(
    Object.entries(columns).filter(([name]) => !left.has(name)),
  ) as unknown as Omit<All, Name>;
}

/** The columns of a row: the compiler refuses one that the row has not, and a row with one that is not named. */
export function columnsOf<Row>() {
  return <All extends Readonly<Record<keyof Row, ColumnType>>>(
    columns: All & Readonly<Record<Exclude<keyof All, keyof Row>, never>>,
  ): Pick<All, keyof Row> => columns;
}
