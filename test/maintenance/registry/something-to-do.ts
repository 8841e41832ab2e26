import pg from 'pg';

/**
 * Fills a database so that every action has something to change: due traces with children, archived ones,
 * old usage logs, a pattern of little value, two that ask for the same, a leftover of a broken rebuild, tables never analysed.
 */
export const somethingToDo = `
WITH trace AS (
  INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, completed_at)
  SELECT id, id, id, 'test', CASE WHEN n = 30 THEN 'in_progress' ELSE 'completed' END, now() - make_interval(days => CASE WHEN n <= 20 THEN 200 ELSE 2 END),
    CASE WHEN n < 30 THEN now() - make_interval(days => CASE WHEN n <= 20 THEN 200 ELSE 2 END) END
  FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 30) AS n) AS ids
  RETURNING id, correlation_id, started_at
), hook AS (
  INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at)
  SELECT id, 'PreToolUse', 'guard', 'completed', started_at FROM trace RETURNING id, trace_id
), call AS (
  INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method)
  SELECT trace_id, id, 'api', 'https://example.org', 'GET' FROM hook
), decision AS (
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
  SELECT id, 'agent', 0.9, 'explicit' FROM trace
), pattern AS (
  INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, failure_count, total_usage_count, last_used_at)
  VALUES ('poor', 'test', 1, 3, 4, now() - interval '60 days'), ('fine', 'test', 9, 1, 10, now()) RETURNING id, pattern_hash
)
INSERT INTO pattern_usage_log (pattern_id, used_at, outcome)
SELECT id, now() - make_interval(days => age), 'success' FROM pattern, unnest(ARRAY[1, 300]) AS age WHERE pattern_hash = 'fine';
INSERT INTO success_patterns (pattern_hash, intent_classification, agent_sequence, prompt_embedding, total_usage_count)
SELECT 'twin ' || n, 'test', '{agent}', array_fill(1 + n::float4 / 10, '{1536}')::vector, n FROM generate_series(5, 6) AS n;
SELECT archive_traces('150 days', 5);
CREATE INDEX idx_error_type_ccnew ON error_patterns (error_type);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_error_type_ccnew'::regclass;
-- A stand-in for pg_cron, which lives in one database of a server only: the copies are others.
CREATE SCHEMA cron;
CREATE TABLE cron.jobs (jobid bigint GENERATED ALWAYS AS IDENTITY, schedule text, command text, jobname text UNIQUE,
  username text DEFAULT current_user, active boolean DEFAULT true);
CREATE VIEW cron.job AS SELECT *, current_database()::text AS database FROM cron.jobs;
CREATE FUNCTION cron.schedule(name text, at text, command text) RETURNS bigint LANGUAGE sql AS
  'INSERT INTO cron.jobs (jobname, schedule, command) VALUES ($1, $2, $3)
   ON CONFLICT (jobname) DO UPDATE SET schedule = $2, command = $3 RETURNING jobid';
CREATE FUNCTION cron.unschedule(name text) RETURNS boolean LANGUAGE sql AS
  'DELETE FROM cron.jobs WHERE jobname = $1 RETURNING true';
INSERT INTO cron.jobs (jobname, schedule, command) VALUES ('trace-console archive public', '* * * * *', 'SELECT 1')`;

/**
 * Everything that an action could change, as text: objects with their files, options and validity, every
 * row, what the planner knows, and what the console keeps for itself.
 */
export async function stateOf(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class
       WHERE relkind IN ('r', 'm') AND relnamespace IN ('public'::regnamespace, to_regnamespace('trace_console'), 'cron'::regnamespace)`,
    );
    const rows = await client.query<{ line: string }>(
      tables.rows
        .map(
          ({ name }) =>
            `SELECT 'rows of ${name}: ' || count(*) || ' ' || COALESCE(md5(string_agg(t::text, ',' ORDER BY t::text)), '') AS line FROM ${name} AS t`,
        )
        .join(' UNION ALL '),
    );
    const objects = await client.query<{ line: string }>(
      `SELECT concat_ws(' ', c.oid::regclass, c.relfilenode, c.reltuples, c.reloptions::text, x.indisvalid) AS line
       FROM pg_class AS c LEFT JOIN pg_index AS x ON x.indexrelid = c.oid
       WHERE c.relnamespace IN ('public'::regnamespace, to_regnamespace('trace_console'), 'cron'::regnamespace)`,
    );
    return [...rows.rows, ...objects.rows].map(({ line }) => line).sort();
  } finally {
    await client.end();
  }
}
