import { beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { boxOf, openConsole } from './helpers/console.js';
import { addSessions } from './helpers/console-rows.js';
import type { TerminalDriver } from './helpers/terminal.js';

let database: TestDatabase;
let driver: TerminalDriver;

/**
 * A day with more failures and slower agents than the day before, which went wrong half an hour ago, and more events
 * in the last seconds than a tail keeps.
 */
beforeAll(async () => {
  database = await createTestDatabase();
  const traces = async (
    agent: string,
    {
      count,
      failed,
      minutesAgo,
      tookMs,
    }: { count: number; failed: number; minutesAgo: number; tookMs: number },
  ) => {
    await database.query(
      `WITH made AS (
         INSERT INTO execution_traces (correlation_id, root_id, session_id, project, source, model, status, error_type,
           error_message, prompt_text, started_at, duration_ms, input_tokens, output_tokens, cost_usd)
         SELECT id, id, md5($1 || n / 10)::uuid, 'project-of-' || $1, 'user_prompt', 'model-of-' || $1,
           CASE WHEN n <= $3 THEN 'failed' ELSE 'completed' END,
           CASE WHEN n <= $3 THEN 'DeployFailed' END, CASE WHEN n <= $3 THEN 'no quota for host ' || n END,
           CASE WHEN n <= $3 THEN 'deploy the service to host ' || n ELSE 'write a unit test for module ' || n END,
           at, $5::int + n, 1000, 100, 0.25
         FROM (SELECT n, gen_random_uuid() AS id, now() - $4 * interval '1 minute' - n * interval '2 s' AS at
               FROM generate_series(1, $2::int) AS n) AS numbered
         RETURNING id, status, started_at, duration_ms),
       decided AS (
         INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, created_at)
         SELECT id, $1, 0.9, 'explicit', started_at FROM made)
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, error_type, duration_ms, started_at)
       SELECT id, 'PreToolUse', 'guard-of-' || $1, tool,
         CASE WHEN made.status = 'failed' AND tool = 'Bash' THEN 'failed' ELSE 'completed' END,
         CASE WHEN made.status = 'failed' AND tool = 'Bash' THEN 'Denied' END, duration_ms / 2, started_at
       FROM made, unnest(ARRAY['Bash', 'Edit']) AS tool`,
      [agent, count, failed, minutesAgo, tookMs],
    );
  };
  for (const minutesAgo of [5, 40, 1500]) {
    const isLate = minutesAgo === 5;
    const failed = isLate ? 30 : 1;
    await traces('agent-deploy', { count: 60, failed, minutesAgo, tookMs: isLate ? 4_000 : 1_000 });
    await traces('agent-steady', { count: 60, failed: 1, minutesAgo, tookMs: 1_000 });
  }
  await addSessions(database);
  await database.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, project, source, status, duration_ms, started_at)
     SELECT gen_random_uuid(), gen_random_uuid(), '00000000-0000-4000-8000-000000000000', 'noise', 'noise', 'completed',
       5, now() - n * interval '10 ms'
     FROM generate_series(1, 1500) AS n`,
  );
  await database.query('ANALYZE');
});

/** As it opens, with every pane filled. */
async function open(): Promise<void> {
  driver = await openConsole(database.url, { cols: 160, rows: 40 });
}

type Typed = { typed: string };
const typed = (text: string): Typed => ({ typed: text });

/** Presses keys; what is typed is a name, and is not counted. */
function ask(most: number, ...keys: readonly (string | Typed)[]): void {
  const counted = keys.filter((key) => typeof key === 'string');
  expect(counted.length).toBeLessThanOrEqual(most);
  for (const key of keys) driver.press(typeof key === 'string' ? key : key.typed);
}

const box = (title: string) => boxOf(driver.screen(), title);

it('agent X live, and failed Bash hooks live, however much else is written', async () => {
  await open();
  ask(4, ':', typed('follow agent-deploy'), '\r');
  await driver.waitFor(/6 Activity \/agent:"agent-deploy" 480 found/);
  expect(box('6 Activity').join()).not.toContain('noise');
  ask(4, ':', typed('activity kind:hook status:failed tool:Bash'), '\r');
  await driver.waitFor(/6 Activity \/kind:hook status:failed tool:Bash 33 found/);
  ask(4, ':', typed('window 10m'), '\r');
  await driver.waitFor(/6 Activity .* 31 found/);
});

it('which agent got slower, and which fails more, since yesterday; before and after a deployment', async () => {
  await open();
  ask(4, '7', 'w', 'w', 's');
  await driver.waitFor(() => /^agent-deploy .*\+\d+% /.test(rowsOf('7 Agents')[0] ?? ''));
  ask(4, '7', 'B');
  await driver.waitFor('beside the window before');
  await driver.waitFor(() =>
    /^agent-deploy +120 +60 +\+100% +31 +1 +26% +1\.7% +\+24%/.test(rowsOf('7 Agents')[0] ?? ''),
  );
  ask(1, 'B');
  await driver.waitFor((lines) => !lines.join().includes('beside the window before'));
  ask(4, ':', typed('window 1h'), '\r');
  ask(4, ':', typed('compare -25m'), '\r');
  await driver.waitFor(
    /worse +Agents +agent-deploy +failing +1\.7% +50% +\+48 points +of 60 and 60 calls/,
  );
  expect(driver.screen().join('\n')).toMatch(/worse +Agents +agent-deploy +p95 +\d/);
  expect(driver.screen().join('\n')).not.toMatch(/worse +Agents +agent-steady/);
  ask(3, '/', typed('pane:agents figure:failing'), '\r');
  await driver.waitFor((lines) => !lines.join().includes('DeployFailed'));
  ask(1, '\r');
  await driver.waitFor('Traces of agent-deploy');
  await driver.waitFor(/60 in 25m.*30 failed/);
  ask(1, '\x1b');
  await driver.waitFor('Compared at');
});

/** The rows of a pane below its heading. */
function rowsOf(title: string): string[] {
  const lines = box(title);
  return lines.slice(lines.findIndex((line) => /^(agent|hook|status) /.test(line)) + 1);
}

it('which prompts fail, with an example; failed traces of an agent, with prompt and error; traces like one', async () => {
  await open();
  ask(3, ':', typed('prompts similar'), '\r');
  await driver.waitFor(/deploy the service to host +3\d +3\d +100%/);
  ask(1, '\r');
  await driver.waitFor(/DeployFailed: no quota for host \d+ +deploy the service to host/);
  ask(3, '\r');
  await driver.waitFor(/Trace [0-9a-f]{8}-/);
  ask(3, 'a');
  await driver.waitFor(/Traces like this one, by words: deploy service host/);
  await driver.waitFor(/deploy the service to host \d+/);
  ask(1, '\x1b');
  await driver.waitFor((lines) => !lines.join().includes('Traces like this one'));
  ask(4, ':', typed('agent agent-deploy'), '\r', 'f');
  await driver.waitFor(/only failed/);
});
