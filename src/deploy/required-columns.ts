import type { CoreTable } from '../shared/tables.js';

/** Kinds of types that serve the same purpose for reading. */
export type TypeFamily = 'uuid' | 'text' | 'number' | 'boolean' | 'time';

/**
 * The columns without which a pane has nothing to show. A table that has them all is compatible,
 * whatever else it lacks; every other column of the schema is asked for only where it exists.
 */
export const requiredColumns: Record<CoreTable, Record<string, TypeFamily>> = {
  execution_traces: {
    id: 'uuid',
    correlation_id: 'uuid',
    root_id: 'uuid',
    session_id: 'uuid',
    source: 'text',
    status: 'text',
    started_at: 'time',
    completed_at: 'time',
    duration_ms: 'number',
  },
  agent_routing_decisions: {
    id: 'uuid',
    trace_id: 'uuid',
    agent_selected: 'text',
    confidence_score: 'number',
    created_at: 'time',
  },
  hook_executions: {
    id: 'uuid',
    trace_id: 'uuid',
    hook_type: 'text',
    hook_name: 'text',
    status: 'text',
    started_at: 'time',
    duration_ms: 'number',
  },
  endpoint_calls: {
    id: 'uuid',
    trace_id: 'uuid',
    service_name: 'text',
    endpoint_url: 'text',
    http_method: 'text',
    status_code: 'number',
    started_at: 'time',
    duration_ms: 'number',
  },
  success_patterns: {
    id: 'uuid',
    pattern_hash: 'text',
    success_count: 'number',
    failure_count: 'number',
    total_usage_count: 'number',
    success_rate: 'number',
    last_used_at: 'time',
  },
  pattern_usage_log: { id: 'uuid', pattern_id: 'uuid', used_at: 'time' },
  agent_chaining_patterns: { id: 'uuid', primary_agent: 'text' },
  error_patterns: { id: 'uuid', error_type: 'text' },
};

const families: Record<TypeFamily, RegExp> = {
  uuid: /^uuid$/,
  text: /^(text|character varying|character|name|citext)\b/,
  number: /^(smallint|integer|bigint|numeric|real|double precision)\b/,
  boolean: /^boolean$/,
  // A timestamp without time zone means another instant for every reader: not compatible.
  time: /^timestamp(\(\d\))? with time zone$/,
};

export function isOfFamily(type: string, family: TypeFamily): boolean {
  return families[family].test(type);
}
