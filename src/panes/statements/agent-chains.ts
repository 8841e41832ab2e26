import { columnOrNull, type SchemaShape } from '../shape.js';

/** The chains used last. `$1`: how many. The first rows of idx_agent_chaining_last_used. */
export function agentChainsStatement(shape: SchemaShape): string {
  const optional = (column: string, type: string) =>
    columnOrNull(shape, 'agent_chaining_patterns', column, type);
  return `
SELECT
  id,
  primary_agent,
  ${optional('agent_sequence', 'text[]')} AS agents,
  ${optional('delegation_depth', 'integer')} AS depth,
  ${optional('occurrence_count', 'integer')} AS occurrences,
  ${optional('success_rate', 'numeric')} AS success_rate,
  ${optional('avg_total_duration_ms', 'bigint')} AS avg_ms,
  ${optional('avg_coordination_overhead_ms', 'bigint')} AS overhead_ms,
  last_used_at AS last_used
FROM agent_chaining_patterns
ORDER BY last_used_at DESC
LIMIT $1`;
}

export type AgentChainsRow = {
  id: string;
  primary_agent: string;
  agents: string[] | null;
  depth: number | null;
  occurrences: number | null;
  success_rate: number | null;
  avg_ms: number | null;
  overhead_ms: number | null;
  last_used: Date | null;
};
