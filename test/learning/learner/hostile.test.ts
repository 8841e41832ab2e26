import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import { giveFeedback } from '../../../src/learning/calibrate.js';
import { closeDatabases, openDatabase } from '../../demo/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { errors } from '../../../src/panes/errors.js';
import { readFresh } from '../../panes/open.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { learnAll } from '../helpers.js';

type Turn = {
  prompt?: string;
  agent?: string;
  intent?: string;
  error?: string;
  errorType?: string;
  /** When it began; it ends a minute later, for the server's clock. */
  at?: string;
  duration?: string;
  cost?: string;
  context?: string;
  tools?: string[];
  session?: string;
};

let source: TestDatabase;
let database: Database;

beforeAll(async () => {
  source = await createTestDatabase();
  database = await openDatabase(source);
});
afterAll(closeDatabases);

async function addTurn(turn: Turn, into: TestDatabase = source): Promise<string> {
  const id = randomUUID();
  const { prompt, at, duration, cost, error, errorType, intent, context, agent, tools, session } =
    turn;
  await into.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status, started_at,
         completed_at, duration_ms, cost_usd, error_type, error_message, context)
       VALUES ($1, $1, $12, 'user_prompt', $2, 'completed', $3::timestamptz, $3::timestamptz + interval '1 minute', $4, $5,
         $6, $7, COALESCE($8::jsonb, '{}') || jsonb_strip_nulls(jsonb_build_object('intent', $9::text)))
       RETURNING id),
     decision AS (
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
       SELECT id, $10, 0.9, 'explicit' FROM trace)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, execution_order)
     SELECT id, 'ToolUse', 'tool', tool, 'completed', n FROM trace, unnest($11::text[]) WITH ORDINALITY AS t (tool, n)`,
    [
      id,
      prompt ?? 'Make the flaky login test deterministic',
      at ?? 'yesterday',
      duration,
      cost,
      errorType,
      error,
      context,
      intent,
      agent ?? 'tester',
      tools ?? [],
      session ?? randomUUID(),
    ],
  );
  return id;
}

const face = '\u{1f600}';
const hostile: [string, Turn][] = [
  [
    'half a character at the end of what is kept',
    { prompt: `Count faces${face}`.padEnd(1999, ' x') + face },
  ],
  ['nothing but characters of two units', { prompt: `Count these ${face.repeat(20_000)}` }],
  ['ten megabytes', { prompt: 'Read this paste now '.padEnd(10_000_000, 'a') }],
  ['ten megabytes of blanks', { prompt: 'Read this paste now'.padEnd(10_000_000, ' ') }],
  ['a name that objects have', { agent: '__proto__', intent: '__proto__', tools: ['constructor'] }],
  [
    'text that runs backwards',
    { prompt: 'Delete the file \u202egnp.exe\u202c now \u0007\u001b[31m' },
  ],
  [
    'the longest names',
    { agent: 'a'.repeat(512), tools: ['t'.repeat(512), 'u'.repeat(512), face.repeat(512)] },
  ],
  [
    'many tools with long names',
    {
      tools: Array.from({ length: 20 }, (_, n) => `mcp__playwright__browser_take_screenshot_${n}`),
    },
  ],
  [
    'names of control characters',
    { agent: '\u0001'.repeat(512), tools: ['\u0001'.repeat(512), '\u0002'.repeat(512)] },
  ],
  ['a long intent', { intent: `x${face.repeat(2_000)}` }],
  [
    'an error cut within a character',
    { error: `${'x'.repeat(499)}${face}${face}`, errorType: 'Odd' },
  ],
  ['an error type cut within a character', { error: 'odd', errorType: `x${face.repeat(600)}` }],
  ['a clock far ahead', { at: '290000-01-01' }],
  ['a clock far behind', { at: '4700-01-01 BC' }],
  ['a duration of all bits', { duration: '9223372036854775807' }],
  ['a duration that no number of JavaScript is', { duration: '9007199254740993' }],
  ['a negative duration', { duration: '-5' }],
  ['a cost that is no number', { cost: 'NaN' }],
  ['the highest cost', { cost: '99999999.999999' }],
  ['metadata a thousand levels deep', { context: `${'{"a":'.repeat(1_000)}1${'}'.repeat(1_000)}` }],
];

test.each(hostile)('learns from turns with %s, and goes on', async (_name, turn) => {
  const agent = turn.agent ?? `agent ${randomUUID()}`;
  await addTurn({ ...turn, agent });
  await addTurn({ ...turn, agent });
  expect(await learnAll(database)).toMatchObject({ turns: 2, published: { patterns: 1 } });
  const { rows } = await source.query<{ turns: number; cost: number | null }>(
    `SELECT success_count + failure_count AS turns, (context #>> '{learned,cost_usd}')::float8 AS cost
     FROM success_patterns WHERE agent_sequence[1] = $1`,
    [agent],
  );
  expect(rows).toMatchObject([{ turns: 2 }]);
  if (turn.cost === 'NaN') expect(rows).toMatchObject([{ cost: null }]);
});

test('what comes late says nothing of the turn before which it was', async () => {
  const session = randomUUID();
  const now = new Date();
  const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000).toISOString();
  const judged = async (id: string) => {
    const { rows } = await source.query<{ by: string }>(
      'SELECT judged_by AS by FROM trace_console.learned_traces WHERE correlation_id = $1',
      [id],
    );
    return rows[0]?.by;
  };
  const last = await addTurn({ session, at: hoursAgo(2) });
  await learnAll(database);
  const late = await addTurn({
    session,
    at: hoursAgo(4),
    prompt: 'No, that is wrong, do it again',
  });
  await learnAll(database);
  expect([await judged(last), await judged(late)]).toEqual(['completed', 'completed']);
  const next = new Date(Date.parse(hoursAgo(2)) + 120_000).toISOString();
  await addTurn({ session, at: next, prompt: 'No, that is wrong, do it again' });
  await learnAll(database);
  expect([await judged(last), await judged(late)]).toEqual(['corrected', 'completed']);
});

test('a turn that nobody saw end is counted once a person judged it', async () => {
  const agent = `agent ${randomUUID()}`;
  await addTurn({ agent, prompt: 'Draw the seating plan of the theatre' });
  const unseen = await addTurn({
    agent,
    prompt: 'Draw the seating plan of the theatre',
    errorType: 'no_end',
    error: 'nobody saw it end',
  });
  await learnAll(database);
  const counted = async () => {
    const { rows } = await source.query<Record<string, number>>(
      'SELECT success_count AS good, failure_count AS bad FROM success_patterns WHERE agent_sequence[1] = $1',
      [agent],
    );
    return rows;
  };
  expect(await counted()).toEqual([]);
  const errors = async () =>
    (await source.query(`SELECT occurrence_count FROM error_patterns WHERE error_type = 'no_end'`))
      .rows;
  const before = await errors();
  await giveFeedback(database, { correlationId: unseen, isGood: true });
  expect(await learnAll(database)).toMatchObject({ turns: 0, overruled: 1 });
  expect(await counted()).toEqual([{ good: 2, bad: 0 }]);
  expect(await errors()).toEqual(before);
  await giveFeedback(database, { correlationId: unseen, isGood: false });
  await learnAll(database);
  expect(await counted()).toEqual([{ good: 1, bad: 1 }]);
  expect(await learnAll(database)).toMatchObject({ overruled: 0 });
});

test('what people said of a turn that nobody saw end is heard behind a thousand others, too', async () => {
  const agent = `agent ${randomUUID()}`;
  const prompt = 'Tune the organ of the cathedral';
  await addTurn({ agent, prompt });
  const unseen = await addTurn({ agent, prompt, errorType: 'no_end', error: 'nobody saw it end' });
  await learnAll(database);
  // Judged turns that ended before it, and were archived since.
  await source.query(
    `WITH turn AS (
       INSERT INTO trace_console.learned_traces (target_schema, correlation_id, session_id, started_at, ended_at, is_good, judged_by)
       SELECT 'public', gen_random_uuid(), gen_random_uuid(), '2001-01-01', '2001-01-01', true, 'completed'
       FROM generate_series(1, 1000) RETURNING correlation_id)
     INSERT INTO trace_console.trace_feedback (target_schema, correlation_id, is_good)
     SELECT 'public', correlation_id, false FROM turn`,
  );
  await giveFeedback(database, { correlationId: unseen, isGood: true });
  expect(await learnAll(database)).toMatchObject({ turns: 0, overruled: 1_001 });
  const { rows } = await source.query(
    'SELECT success_count AS good, failure_count AS bad FROM success_patterns WHERE agent_sequence[1] = $1',
    [agent],
  );
  expect(rows).toEqual([{ good: 2, bad: 0 }]);
});

test('an error that ends what it occurred in is counted once, and a dry run says so in words', async () => {
  const failing = await createTestDatabase();
  // As a library writes it: a call fails, and with it its tool, the agent and the turn.
  await failing.query(
    `WITH id AS (SELECT gen_random_uuid() AS root, gen_random_uuid() AS child),
     trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, prompt_text, status, started_at,
         completed_at, error_type, error_message, context)
       SELECT root, root, NULL, root, 'user_prompt', 'Build the ark in time', 'failed', now() - interval '3 minutes',
         now() - interval '1 minute', 'BuildFailed', 'the agent gave up', '{"agent": "noah"}'::jsonb FROM id
       UNION ALL SELECT child, root, root, root, 'agent_delegation', NULL, 'failed', now() - interval '2 minutes',
         now() - interval '1 minute', 'BuildFailed', 'no gopher wood', '{"agent": "shem"}'::jsonb FROM id
       RETURNING id, parent_id),
     hook AS (
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, error_type, error_message)
       SELECT id, 'ToolUse', 'Bash', 'Bash', 'failed', 'BuildFailed', 'make: no gopher wood' FROM trace WHERE parent_id IS NOT NULL
       RETURNING id, trace_id)
     INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method, success, error_type, error_message)
     SELECT trace_id, id, 'forest', '/wood', 'GET', false, 'BuildFailed', 'no gopher wood' FROM hook`,
  );
  const dry = await runCli(['learn', '--dry-run', '--min-turns', '1', '--url', failing.url]);
  expect(dry.stdout).toMatch(/\n +1 +BuildFailed +no gopher wood/);
  expect(dry.stdout).toMatch(/\n +1 +0 % +noah → shem/);
  const failingDatabase = await openDatabase(failing);
  const { rows: shown } = await readFresh(failingDatabase, errors);
  expect(shown).toMatchObject([{ type: 'BuildFailed', count: 1 }]);
  await learnAll(failingDatabase);
  const { rows } = await failing.query(
    'SELECT occurrence_count AS times, error_message_pattern AS message, endpoint_url AS url FROM error_patterns',
  );
  expect(rows).toEqual([{ times: 1, message: 'no gopher wood', url: '/wood' }]);
});

test('a dry run names tools in their order, and says in words what it did not find', async () => {
  const few = await createTestDatabase();
  const none = await runCli(['learn', '--dry-run', '--url', few.url]);
  expect(none.stdout).toBe('No turn has ended that was not learned from.\n');
  await addTurn({ prompt: 'Paint the fence behind the house', tools: ['Read', 'Bash'] }, few);
  const one = await runCli(['learn', '--dry-run', '--url', few.url]);
  expect(one.stdout).toBe(
    `1 turn, 1 group of prompts.

No two of them ask for the same; --min-turns 1 makes a pattern of each.

No agent handed over to another one.

No error occurred.
`,
  );
  await addTurn({ prompt: 'Paint the fence behind the house', tools: ['Read', 'Bash'] }, few);
  const two = await runCli(['learn', '--dry-run', '--url', few.url]);
  expect(two.stdout).toMatch(/Paint the fence behind the house +Read → Bash/);
});
