type Queryable = {
  query(sql: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
};

export const tables = [
  'agent_chaining_patterns',
  'agent_routing_decisions',
  'endpoint_calls',
  'error_patterns',
  'execution_traces',
  'hook_executions',
  'pattern_usage_log',
  'success_patterns',
];

export const views = [
  'agent_performance',
  'dashboard_summary',
  'error_analysis',
  'pattern_effectiveness',
  'trace_summary',
];

export const functions = [
  'archive_traces',
  'find_similar_patterns',
  'get_trace_timeline',
  'maintain_derived_columns',
  'prune_patterns',
  'record_pattern_usage',
];

/** How many of the schema's objects are in a schema of a database; on its eight tables, where they belong to one. */
export async function countObjects(
  database: Queryable,
  schema = 'public',
): Promise<Record<string, number>> {
  const { rows } = await database.query(
    `WITH ours AS (
       SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = ANY ($2)
     ),
     indexes AS (
       SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN ours ON ours.oid = i.indrelid
       WHERE i.indisvalid
     )
     SELECT
       (SELECT count(*) FROM ours WHERE relkind = 'r') AS tables,
       (SELECT count(*) FROM indexes) AS indexes,
       (SELECT count(*) FROM indexes WHERE relname LIKE 'idx\\_%') AS named_indexes,
       (SELECT count(*) FROM pg_views WHERE schemaname = $1 AND viewname = ANY ($3)) AS views,
       (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = $1 AND p.proname = ANY ($4)) AS functions,
       (SELECT count(*) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM ours) AND NOT tgisinternal) AS triggers,
       (SELECT count(*) FROM pg_policies WHERE schemaname = $1 AND tablename = ANY ($2)) AS policies,
       (SELECT count(*) FROM pg_extension WHERE extname IN ('vector', 'uuid-ossp')) AS extensions`,
    [schema, tables, views, functions],
  );
  return Object.fromEntries(
    Object.entries(rows[0] as Record<string, string>).map(([key, n]) => [key, Number(n)]),
  );
}
