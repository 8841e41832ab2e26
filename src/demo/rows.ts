/** The rows of the eight tables as the demo makes them. Times are milliseconds since 1970 (UTC). */

export type Status = 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'timeout';
export type Json = Record<string, unknown>;
export type Outcome = 'success' | 'failure' | 'partial' | 'skipped';

type Work = {
  id: string;
  created_at: number;
  updated_at: number;
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
  user_id: string;
  project: string;
  source: 'user_prompt' | 'agent_delegation' | 'hook_trigger';
  prompt_text: string;
  status: Status;
  model: string;
  provider: string;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_creation_tokens: number;
  cost_usd: number;
  context: Json;
  tags: string[];
};

export type DecisionRow = {
  id: string;
  created_at: number;
  updated_at: number;
  trace_id: string;
  query_text: string;
  query_embedding: Float32Array | null;
  agent_selected: string;
  confidence_score: number;
  confidence_breakdown: Json;
  routing_strategy: string;
  selection_reason: string;
  alternatives: Json[];
  cache_hit: boolean;
  pattern_id: string | null;
  decision_duration_ms: number;
  actual_success: boolean | null;
};

export type HookRow = Work & {
  trace_id: string;
  hook_type: string;
  hook_name: string;
  execution_order: number;
  tool_name: string | null;
  tool_use_id: string | null;
  agent_id: string | null;
  file_path: string | null;
  status: Status;
  exit_code: number | null;
  decision: string | null;
  input_data: Json | null;
  output_data: Json | null;
  modifications_made: Json | null;
  rag_query_performed: boolean;
  rag_results: Json | null;
  quality_check_performed: boolean;
  quality_results: Json | null;
  error_stack: string | null;
  metadata: Json;
};

export type CallRow = Work & {
  trace_id: string;
  hook_execution_id: string | null;
  service_name: string;
  endpoint_url: string;
  http_method: string;
  status_code: number | null;
  headers: Json;
  request_body: Json | null;
  response_body: Json | null;
  request_bytes: number;
  response_bytes: number | null;
  retry_count: number;
  context: Json;
};

export type PatternRow = {
  id: string;
  created_at: number;
  updated_at: number;
  pattern_hash: string;
  prompt_text: string;
  prompt_embedding: Float32Array;
  embedding_model: string;
  intent_classification: string;
  keywords: string[];
  agent_sequence: string[];
  routing_strategy: string;
  hook_sequence: Json[];
  endpoint_pattern: Json;
  confidence_score: number;
  is_active: boolean;
  context: Json;
  tags: string[];
};

export type UsageRow = {
  id: string;
  created_at: number;
  updated_at: number;
  pattern_id: string;
  trace_id: string | null;
  correlation_id: string | null;
  used_at: number;
  match_score: number;
  was_used: boolean;
  outcome: Outcome;
  expected_duration_ms: number;
  actual_duration_ms: number | null;
  deviations: Json;
  user_feedback: string | null;
};

/** One or more runs of the same chain of agents, added to agent_chaining_patterns. */
export type ChainRow = {
  id: string;
  created_at: number;
  updated_at: number;
  chain_hash: string;
  primary_agent: string;
  agent_sequence: string[];
  delegation_depth: number;
  trigger_context: string;
  occurrence_count: number;
  success_count: number;
  avg_total_duration_ms: number;
  avg_coordination_overhead_ms: number;
  example_trace_ids: string[];
  tags: string[];
  first_seen_at: number;
  last_used_at: number;
};

/** One or more occurrences of the same error, added to error_patterns. */
export type ErrorRow = {
  id: string;
  created_at: number;
  updated_at: number;
  fingerprint: string;
  error_type: string;
  error_category: 'network' | 'validation' | 'system' | 'integration';
  error_message_pattern: string;
  severity: 'critical' | 'high' | 'medium' | 'low';
  agent_name: string | null;
  hook_type: string | null;
  endpoint_url: string | null;
  occurrence_count: number;
  first_occurrence_at: number;
  last_occurrence_at: number;
  example_trace_ids: string[];
  resolution_pattern: string | null;
  resolution_success_rate: number | null;
  prevention_strategies: string[];
  resolved_at: number | null;
  tags: string[];
};
