import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, expect } from 'vitest';
import { consoleFiles } from '../../../src/deploy/schema-files.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';

const page = readFileSync(join(import.meta.dirname, '../../../docs/finding.md'), 'utf8');
const [forKeys = '', forScripts = ''] = page.split('Without a terminal, as JSON:');

/** The table of docs/finding.md: what is asked, in how many keys at most, and which. */
export const questions = [
  ...forKeys.matchAll(/^\| (\S.*?) +\| (\d+) +\| (`.*?`) +\| .+ \|$/gm),
].map(([, asked = '', most, keys = '']) => ({
  asked,
  most: Number(most),
  keys: [...keys.matchAll(/`([^`]+)`/g)].map(([, key = '']) => key),
}));

/** The other table: the commands of each question, one after the other. */
export const commands = new Map(
  [...forScripts.matchAll(/^\| (\S.*?) +\| (`trace-console .+?`) +\|$/gm)].map(
    ([, asked = '', cell = '']) => [
      asked,
      [...cell.matchAll(/`trace-console ([^`]+)`/g)].map(([, line = '']) => line),
    ],
  ),
);

/** An index that another one covers. */
export const spare = 'spare_by_session';
const minuteMs = 60_000;
const hourOf = (at: Date) => at.toISOString().slice(11, 16);
const openedAt = new Date();
/** Half way between what went well and what fails. */
const deployedAt = hourOf(new Date(openedAt.getTime() - 25 * minuteMs));
const dayBefore = new Date(openedAt.getTime() - 1_490 * minuteMs);
/** When something failed a day ago, and an hour of it before. */
export const pastMoment = `${dayBefore.toISOString().slice(0, 10)} ${hourOf(dayBefore)}`;

export type Planted = { database: TestDatabase; failedTrace: string };

/**
 * A day with more failures and slower agents than the day before, which went wrong half an hour ago, more events in the
 * last seconds than a tail keeps, and all else that is asked about.
 */
export async function plantAnswers(): Promise<Planted> {
  const database = await createTestDatabase();
  for (const minutesAgo of [5, 40, 1_500]) {
    const isLate = minutesAgo === 5;
    const tookMs = isLate ? 4_000 : 1_000;
    await plantTraces(database, 'agent-deploy', { failed: isLate ? 30 : 1, minutesAgo, tookMs });
    await plantTraces(database, 'agent-steady', { failed: 1, minutesAgo, tookMs: 1_000 });
  }
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, project, source, status, duration_ms, started_at)
     SELECT id, id, '00000000-0000-4000-8000-000000000000', 'noise', 'noise', 'completed', 5, now() - n * interval '10 ms'
     FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, 1500) AS n) AS made;
     INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status, started_at)
     SELECT id, id, id, 'stuck', 'never answered', 'in_progress', now() - interval '3 hours'
     FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 2)) AS made;
     INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method, status_code, started_at, duration_ms)
     SELECT t.id, service, 'http://' || service || '/', 'POST', CASE service WHEN 'payments' THEN 503 ELSE 200 END,
       t.started_at + interval '3 s', 20
     FROM execution_traces AS t, unnest(ARRAY['payments', 'search']) AS service
     WHERE t.prompt_text = 'deploy the service to host 8';
     CREATE INDEX ${spare} ON execution_traces (session_id)`,
  );
  const kept = consoleFiles.find(({ name }) => name.includes('relation_sizes'))?.sql ?? '';
  await database.query(`CREATE SCHEMA IF NOT EXISTS trace_console; ${kept}`);
  await database.query(
    `INSERT INTO trace_console.relation_sizes
     SELECT 'public', 'hook_executions', 'r', (at AT TIME ZONE 'UTC')::date, at, CASE day WHEN 2 THEN 0 ELSE 2 * 1048576 END
     FROM generate_series(0, 2, 2) AS day, LATERAL (SELECT now() - day * interval '1 day' AS at) AS taken;
     ANALYZE`,
  );
  const { rows } = await database.query<{ id: string }>(
    `SELECT correlation_id AS id FROM execution_traces WHERE prompt_text = 'deploy the service to host 7' AND status = 'failed'`,
  );
  return { database, failedTrace: rows[0]?.id ?? '' };
}

type Batch = { failed: number; minutesAgo: number; tookMs: number };

/** 60 traces of an agent, one in two seconds; the first of them failed in a Bash hook. */
async function plantTraces(
  database: TestDatabase,
  agent: string,
  { failed, minutesAgo, tookMs }: Batch,
): Promise<void> {
  await database.query(
    `WITH made AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, project, source, model, status, error_type,
         error_message, prompt_text, started_at, duration_ms, input_tokens, output_tokens, cost_usd)
       SELECT id, id, md5($1 || $3 || n / 10)::uuid, 'project-of-' || $1, 'user_prompt', 'model-of-' || $1,
         CASE WHEN n <= $2 THEN 'failed' ELSE 'completed' END,
         CASE WHEN n <= $2 THEN 'DeployFailed' END, CASE WHEN n <= $2 THEN 'no quota for host ' || n END,
         CASE WHEN n <= $2 THEN 'deploy the service to host ' || n ELSE 'write a unit test for module ' || n END,
         at, $4::int + n, 1000, 100, CASE $1 WHEN 'agent-deploy' THEN 0.5 ELSE 0.25 END
       FROM (SELECT n, gen_random_uuid() AS id, now() - $3 * interval '1 minute' - n * interval '2 s' AS at
             FROM generate_series(1, 60) AS n) AS numbered
       RETURNING id, status, started_at, duration_ms),
     decided AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at,
         query_embedding)
       SELECT id, $1, 0.9, 'explicit', started_at,
         (CASE status WHEN 'failed' THEN ARRAY[1.0, 0.1] ELSE ARRAY[0.1, 1.0] END || array_fill(0.0, ARRAY[1534]))::vector
       FROM made)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, error_type, duration_ms, started_at)
     SELECT id, 'PreToolUse', 'guard-of-' || $1, tool,
       CASE WHEN made.status = 'failed' AND tool = 'Bash' THEN 'failed' ELSE 'completed' END,
       CASE WHEN made.status = 'failed' AND tool = 'Bash' THEN 'Denied' END, duration_ms / 2, started_at
     FROM made, unnest(ARRAY['Bash', 'Edit']) AS tool`,
    [agent, failed, minutesAgo, tookMs],
  );
}

/** What stands in the document for a name, an id, a moment. An id is that of the planted trace, or of what the command before has found. */
export function named(
  text: string,
  asked: string,
  { failedTrace }: Planted,
  found: { id?: string; name?: string } = {},
): string {
  const moment = asked.startsWith('What failed yesterday') ? pastMoment : deployedAt;
  return text
    .replaceAll(/\bX\b/g, 'agent-deploy')
    .replaceAll(/\bID\b/g, found.id ?? failedTrace.slice(0, 13))
    .replaceAll(/\bNAME\b/g, found.name ?? '')
    .replaceAll(/\bMOMENT\b/g, moment);
}

const clients: pg.Client[] = [];

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
});

/** A backend that holds a lock, and one that waits for it. */
export async function block({ database }: Planted): Promise<void> {
  const [holder, waiter] = await Promise.all(
    ['billing', 'reports'].map(async (name) => {
      const client = new pg.Client({ connectionString: database.url, application_name: name });
      client.on('error', () => undefined);
      clients.push(client);
      await client.connect();
      return client;
    }),
  );
  await holder?.query('BEGIN; LOCK TABLE error_patterns IN ROW EXCLUSIVE MODE');
  waiter
    ?.query('BEGIN; LOCK TABLE error_patterns IN ACCESS EXCLUSIVE MODE; COMMIT')
    .catch(() => undefined);
  await expect
    .poll(
      async () => {
        const { rows } = await database.query<{ n: number }>(
          `SELECT count(*)::int AS n FROM pg_stat_activity
           WHERE application_name = 'reports' AND wait_event_type = 'Lock' AND datname = current_database()`,
        );
        return rows[0]?.n;
      },
      { timeout: 20_000 },
    )
    .toBe(1);
}
