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

/** `execution_traces` → `execution_traces_archive` */
export function archiveOf(table: ArchivedTable): string {
  return `${table}_archive`;
}
