import type { Progress } from '../../src/maintenance/action.js';
import type { TestDatabase } from '../helpers/database.js';

/** Runs an action to its end and keeps what it told on the way. */
export async function collect<Outcome>(
  events: AsyncGenerator<Progress, Outcome>,
  onProgress: (progress: Progress) => unknown = () => undefined,
): Promise<{ progress: Progress[]; outcome: Outcome }> {
  const progress: Progress[] = [];
  for (;;) {
    const event = await events.next();
    if (event.done) return { progress, outcome: event.value };
    progress.push(event.value);
    await onProgress(event.value);
  }
}

/** `old` traces of 100 days and `young` ones of 10 days, each with a hook and a call of it. */
export async function fillDueTraces(test: TestDatabase, old: number, young = 0): Promise<void> {
  await test.query(
    `WITH t AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
       SELECT c, c, gen_random_uuid(), 'test', 'completed', now() - make_interval(days => age)
       FROM (SELECT gen_random_uuid() AS c, CASE WHEN n <= $1::int THEN 100 ELSE 10 END AS age
             FROM generate_series(1, $1::int + $2::int) AS n) AS s
       RETURNING id, started_at
     ), h AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at)
       SELECT id, 'PreToolUse', 'guard', 'completed', started_at FROM t RETURNING id, trace_id
     )
     INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method)
     SELECT trace_id, id, 'api', 'https://example.org', 'GET' FROM h`,
    [old, young],
  );
}
