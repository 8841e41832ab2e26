import type pg from 'pg';

type Queryable = {
  query<Row extends pg.QueryResultRow>(
    sql: string,
    params?: unknown[],
  ): Promise<pg.QueryResult<Row>>;
};

export type TraceOptions = {
  /** What the tree is called; its root_id is a hash of it. */
  tree: string;
  /** The trace's name within the tree; default `root`. */
  trace?: string;
  /** The parent's name within the tree. */
  parent?: string;
  status?: 'in_progress' | 'completed' | 'failed';
  /** How long ago it started, in days. */
  age?: number;
};

/** Adds a trace with one routing decision, two hooks and one call by the first hook; returns the trace's id. */
export async function addTrace(db: Queryable, options: TraceOptions): Promise<string> {
  const { tree, trace = 'root', parent, status = 'completed', age = 100 } = options;
  const { rows } = await db.query<{ id: string }>(
    `WITH moment AS (SELECT now() - make_interval(secs => 86400 * $5::float) AS at),
     trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, prompt_text, status, started_at, tags)
       SELECT md5($1 || '/' || $2)::uuid, md5($1 || '/root')::uuid, md5($1 || '/' || $3)::uuid, md5($1)::uuid, 'user_prompt',
              $1 || '/' || $2, $4, at, ARRAY[$1]
       FROM moment RETURNING id),
     decision AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
       SELECT id, 'agent', 0.8, 'explicit', at + interval '10 ms' FROM trace, moment),
     hook AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, execution_order, status, started_at, duration_ms, input_data)
       SELECT id, 'PreToolUse', 'hook-' || n, n, 'completed', at + n * interval '20 ms', 5, '{"n": 1.50}'
       FROM trace, moment, generate_series(1, 2) AS n RETURNING id, execution_order),
     call AS (
       INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method, status_code, started_at, duration_ms)
       SELECT trace.id, hook.id, 'service', 'http://service/', 'GET', 200, at + interval '25 ms', 3
       FROM trace, hook, moment WHERE execution_order = 1)
     SELECT id FROM trace`,
    [tree, trace, parent ?? null, status, age],
  );
  const row = rows[0];
  if (!row) throw new Error('no trace was added');
  return row.id;
}

export type ArchivedBatch = {
  trees: number;
  execution_traces: number;
  agent_routing_decisions: number;
  hook_executions: number;
  endpoint_calls: number;
  trees_too_young: number;
  trees_in_progress: number;
  trees_locked: number;
  next_started_at: string | null;
  next_id: string | null;
  done: boolean;
};

/** One call of archive_traces, its counts as numbers and its cursor as text. */
export async function archiveBatch(
  db: Queryable,
  args = `'90 days'`,
  cursor: Pick<ArchivedBatch, 'next_started_at' | 'next_id'> = {
    next_started_at: null,
    next_id: null,
  },
): Promise<ArchivedBatch> {
  const { rows } = await db.query<{ batch: ArchivedBatch }>(
    `SELECT to_json(batch) AS batch
     FROM archive_traces(${args}, after_started_at => $1::timestamptz, after_id => $2::uuid) AS batch`,
    [cursor.next_started_at, cursor.next_id],
  );
  const row = rows[0];
  if (!row) throw new Error('archive_traces returned no row');
  return row.batch;
}

/** Calls archive_traces until it is done; returns all batches. */
export async function archiveAll(db: Queryable, args?: string): Promise<ArchivedBatch[]> {
  const batches: ArchivedBatch[] = [];
  for (;;) {
    const batch = await archiveBatch(db, args, batches.at(-1));
    batches.push(batch);
    if (batch.done) return batches;
  }
}

export const archivedTables = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
] as const;

/** Rows of each table, live and archived together: their number, distinct ids, and a checksum of their content. */
export async function contents(db: Queryable): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const table of archivedTables) {
    const columns = (await columnsOf(db, table)).join(', ');
    const { rows } = await db.query<{ summary: string }>(
      `SELECT count(*) || ' rows, ' || count(DISTINCT id) || ' ids, sum '
              || COALESCE(sum(hashtextextended(ROW(${columns})::text, 0)::numeric), 0) AS summary
       FROM (SELECT ${columns} FROM ${table} UNION ALL SELECT ${columns} FROM ${table}_archive) AS place`,
    );
    result[table] = rows[0]?.summary ?? '';
  }
  return result;
}

/** The names of a table's columns, in their order. */
export async function columnsOf(db: Queryable, table: string): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT quote_ident(attname) AS name FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  return rows.map((row) => row.name);
}

/** Live and archived rows of each table. */
export async function counts(db: Queryable): Promise<Record<string, [number, number]>> {
  const result: Record<string, [number, number]> = {};
  for (const table of archivedTables) {
    const { rows } = await db.query<{ live: number; archived: number }>(
      `SELECT (SELECT count(*) FROM ${table})::int AS live, (SELECT count(*) FROM ${table}_archive)::int AS archived`,
    );
    result[table] = [rows[0]?.live ?? -1, rows[0]?.archived ?? -1];
  }
  return result;
}
