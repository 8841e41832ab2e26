import { getPriority } from 'node:os';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runDemo } from '../../../src/demo/run.js';
import type { Database } from '../../../src/db/database.js';
import { thisProcess } from '../../../src/core/folder-lock.js';
import { calibrate, giveFeedback } from '../../../src/learning/calibrate.js';
import { requestOf } from '../../../src/learning/text/prompt-text.js';
import { hashEmbedder, type Embedder } from '../../../src/learning/embedding/embedder.js';
import { ErrorBook } from '../../../src/learning/learner/error-book.js';
import { learnDry } from '../../../src/learning/learner/learn.js';
import { LearnerLease } from '../../../src/learning/learner/lease.js';
import { closeDatabases, day, noon, openDatabase } from '../../demo/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { testEngine } from '../../helpers/engine.js';
import {
  adjustedRandIndex,
  chainAgreement,
  type ChainCount,
  killWhenLearning,
  learnAll,
  learnedRows,
  pairsOf,
  plantedRequest,
} from '../helpers.js';

/**
 * At the size of the goal, about ten minutes: TRACE_CONSOLE_TEST_LEARN_TRACES=100000 npx vitest run
 * test/learning/learner/learn.test.ts -t "same rows|rows of one go|the demo"
 */
const traces = Number(process.env.TRACE_CONSOLE_TEST_LEARN_TRACES ?? 1_000);
const size = traces / 1_000;
if (size > 1) vi.setConfig({ testTimeout: 1_200_000, hookTimeout: 1_200_000 });

let source: TestDatabase;
let whole: TestDatabase;
let expected: string[];

/** Equal seed and start give equal rows. */
async function demoDatabase(): Promise<{ test: TestDatabase; database: Database }> {
  const test = await createTestDatabase();
  const database = await openDatabase(test);
  await runDemo(database, { seed: 7, start: noon, backfillMs: 40 * day, traces });
  return { test, database };
}

beforeAll(async () => {
  const made = await demoDatabase();
  whole = made.test;
  source = made.test;
  const summary = await learnAll(made.database);
  expect(summary.turns).toBeGreaterThan(300);
  expected = await learnedRows(whole);
});
afterAll(closeDatabases);

test('learned in parts, stopped between any two batches, gives the rows of one go', async () => {
  const { test: parts, database } = await demoDatabase();
  // A tenth of the turns each, but for the last.
  for (let part = 0; part < 9; part += 1) {
    await learnAll(database, { limit: 40 * size, batchSize: size > 1 ? undefined : 23 });
  }
  const stop = new AbortController();
  stop.abort();
  expect(await learnAll(database, { signal: stop.signal })).toMatchObject({
    turns: 0,
    interrupted: true,
  });
  await learnAll(database, { batchSize: 101 });
  expect(await learnedRows(parts)).toEqual(expected);
});

test('killed five times and begun again, the command gives the rows of one go; it gives way to others', async () => {
  const { test: killed } = await demoDatabase();
  let kills = 0;
  const nice = new Set<number>();
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const looking = new AbortController();
    const { signalled } = await runCli(['learn', '--url', killed.url], {
      onStart(child) {
        const afterMs = attempt * 40 * Math.sqrt(size);
        void killWhenLearning(killed, child, afterMs, looking.signal).then((priority) => {
          if (priority !== undefined) nice.add(priority);
        });
      },
    });
    looking.abort();
    if (signalled === 'SIGKILL') kills += 1;
  }
  expect(kills).toBeGreaterThan(0);
  // Beside the embedded database it stays as it was: a daemon would inherit it.
  if (testEngine === 'server') {
    expect([...nice]).toEqual([Math.max(getPriority(), 10)]);
  }
  const last = await runCli(['learn', '--url', killed.url, '--json']);
  expect(last).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(last.stdout)).toMatchObject({ interrupted: false });
  expect(await learnedRows(killed)).toEqual(expected);
});

test('learned again gives the same rows', async () => {
  const database = await openDatabase(whole);
  expect(await learnAll(database)).toMatchObject({ turns: 0 });
  expect(await learnedRows(whole)).toEqual(expected);
});

test('finds the requests of which the demo made its prompts, by their words alone', async () => {
  const { rows } = await source.query<{ prompt: string; intent: string; cluster: string | null }>(
    `SELECT t.prompt_text AS prompt, t.context->>'intent' AS intent, split_part(l.pattern_key, ':', 2) AS cluster
     FROM execution_traces AS t JOIN trace_console.learned_traces AS l USING (correlation_id)`,
  );
  const asked = rows.flatMap(({ prompt, intent, cluster }) => {
    const request = plantedRequest(prompt, intent);
    if (request === undefined) {
      // Two words say too little to be learned from.
      expect(cluster, prompt).toBeNull();
      return [];
    }
    return [{ request, cluster: cluster ?? prompt }];
  });
  expect(asked.length).toBeGreaterThan(250);
  const index = adjustedRandIndex(
    asked.map(({ request }) => request),
    asked.map(({ cluster }) => cluster),
  );
  expect(index).toBeGreaterThan(0.9);
});

test('finds the chains of agents with their counts and the time that no child explains', async () => {
  const { rows } = await source.query<{
    agents: string;
    occurrences: number;
    good: number;
    overhead: number;
  }>(
    `WITH agent AS (
       SELECT t.*, (SELECT d.agent_selected FROM agent_routing_decisions AS d WHERE d.trace_id = t.id) AS agent
       FROM execution_traces AS t
     ), turn AS (
       SELECT l.correlation_id, l.is_good, array_agg(a.agent ORDER BY a.started_at, a.correlation_id <> a.root_id, a.correlation_id) AS agents
       FROM trace_console.learned_traces AS l JOIN agent AS a ON a.root_id = l.correlation_id
       GROUP BY 1, 2 HAVING count(*) > 1
     )
     SELECT agents::text, count(*)::int AS occurrences, count(*) FILTER (WHERE is_good)::int AS good
     FROM turn WHERE cardinality(agents) = 2 AND agents[1] <> agents[2] GROUP BY 1 ORDER BY 1`,
  );
  const { rows: learned } = await source.query<{
    agents: string;
    occurrences: number;
    good: number;
  }>(
    `SELECT agent_sequence::text AS agents, occurrence_count AS occurrences, success_count AS good
     FROM agent_chaining_patterns WHERE 'learned' = ANY (tags) AND agent_sequence::text = ANY ($1) ORDER BY 1`,
    [rows.map(({ agents }) => agents)],
  );
  expect(rows.length).toBeGreaterThan(10);
  // A chain of three traces may begin with the same two agents one after the other.
  for (const { agents, occurrences, good } of rows) {
    const found = learned.find((one) => one.agents === agents);
    expect(found?.occurrences, agents).toBeGreaterThanOrEqual(occurrences);
    expect(found?.good, agents).toBeGreaterThanOrEqual(good);
  }
});

test('finds the chains that the demo planted', async () => {
  const { precision, recall, turns } = await chainAgreement(
    async (text) => (await source.query<ChainCount>(text)).rows,
  );
  expect(turns).toBeGreaterThan(100);
  expect(precision).toBeGreaterThanOrEqual(0.9);
  expect(recall).toBeGreaterThanOrEqual(0.9);
});

test('brings the errors that the demo planted into their families', async () => {
  const { rows } = await source.query<{ type: string; message: string; at: Date }>(
    `SELECT error_type AS type, error_message AS message, started_at AS at
     FROM execution_traces WHERE error_type IS NOT NULL
     UNION ALL SELECT error_type, error_message, started_at FROM endpoint_calls WHERE success = false
     UNION ALL SELECT error_type, error_message, started_at FROM hook_executions WHERE success = false
     ORDER BY at, message`,
  );
  const book = new ErrorBook();
  const events = rows.map(({ type, message, at }) => ({
    // One type of the demo has two messages.
    planted: message.includes('No answer within') ? 'no answer' : type,
    found: book.add({
      errorType: type,
      message,
      at: at.getTime(),
      agent: 'agent',
      hookType: null,
      endpointUrl: null,
      traceId: '',
      isFatal: false,
      then: [],
    }),
  }));
  expect(new Set(events.map(({ planted }) => planted)).size).toBeGreaterThan(12);
  const { precision, recall } = pairsOf(events);
  expect(precision).toBeGreaterThanOrEqual(0.95);
  expect(recall).toBeGreaterThanOrEqual(0.95);
});

test('publishes an error with its category, agents and how turns got over it', async () => {
  const { rows } = await source.query<Record<string, unknown>>(
    `SELECT error_category, error_message_pattern, agent_name IS NOT NULL AS agent, resolution_pattern IS NOT NULL AS way,
       resolution_success_rate > 0 AND resolution_success_rate <= 1 AS rate
     FROM error_patterns WHERE 'learned' = ANY (tags) AND error_type = 'HookCrash'`,
  );
  expect(rows).toEqual([
    {
      error_category: 'system',
      error_message_pattern: 'hook <*> exited with code <n>',
      agent: true,
      way: true,
      rate: true,
    },
  ]);
});

test('a person overrules how a turn was judged', async () => {
  const database = await openDatabase(whole);
  const [turn] = (
    await whole.query<{ id: string; pattern: string; good: number; bad: number }>(
      `SELECT l.correlation_id AS id, p.pattern_hash AS pattern, p.success_count AS good, p.failure_count AS bad
       FROM trace_console.learned_traces AS l JOIN success_patterns AS p ON p.pattern_hash = l.pattern_key
       WHERE l.judged_by = 'completed' ORDER BY l.ended_at, l.correlation_id LIMIT 1`,
    )
  ).rows;
  if (!turn) throw new Error('no good turn');
  const counts = async () => {
    const { rows } = await whole.query<{ good: number; bad: number }>(
      'SELECT success_count AS good, failure_count AS bad FROM success_patterns WHERE pattern_hash = $1',
      [turn.pattern],
    );
    return rows[0];
  };
  await giveFeedback(database, {
    correlationId: turn.id,
    isGood: false,
    note: 'it broke the build',
  });
  expect(await learnAll(database)).toMatchObject({ turns: 0, overruled: 1 });
  expect(await counts()).toEqual({ good: turn.good - 1, bad: turn.bad + 1 });
  await giveFeedback(database, { correlationId: turn.id, isGood: true });
  await learnAll(database);
  expect(await counts()).toEqual({ good: turn.good, bad: turn.bad });
  expect(await learnAll(database)).toMatchObject({ overruled: 0 });
});

test('calibration measures how alike prompts are, and its threshold is kept', async () => {
  const database = await openDatabase(whole);
  const result = await calibrate(database, hashEmbedder(), false);
  expect(result).toMatchObject({ groupedBy: 'intent', usual: 0.38 });
  expect(result.within.p95).toBeGreaterThan(result.across.p99);
  expect(result.separated.across).toBeGreaterThan(0.97);
  const { test: other, database: calibrated } = await demoDatabase();
  await calibrate(calibrated, hashEmbedder(), true);
  await learnAll(calibrated, { limit: 20 });
  const { rows } = await other.query<{ threshold: number }>(
    'SELECT threshold FROM trace_console.embedding_thresholds',
  );
  expect(rows).toEqual([{ threshold: result.threshold }]);
});

test('another model embeds groups and patterns anew, and finds the groups that its vectors part', async () => {
  const { test: other, database } = await demoDatabase();
  await learnAll(database, { limit: 200 });
  const { rows: texts } = await other.query<{ prompt: string; intent: string }>(
    `SELECT prompt_text AS prompt, context->>'intent' AS intent FROM execution_traces WHERE root_id = correlation_id`,
  );
  // A model that knows what a request is about, whatever its words: one direction an intent.
  const intents = [...new Set(texts.map(({ intent }) => intent))];
  const intentOf = new Map(texts.map(({ prompt, intent }) => [requestOf(prompt) ?? '', intent]));
  const separating: Embedder = {
    model: 'separating',
    embed: (requests) =>
      Promise.resolve(
        requests.map((request) => {
          const vector = new Float32Array(1536);
          vector[intents.indexOf(intentOf.get(request) ?? '')] = 0.9;
          vector[100 + (request.length % 1000)] = Math.sqrt(1 - 0.9 ** 2);
          return vector;
        }),
      ),
    usage: () => ({ texts: 0, tokens: 0, costUsd: 0 }),
  };
  await learnAll(database, { embedder: separating });
  const { rows: models } = await other.query<{ model: string | null }>(
    `SELECT DISTINCT embedding_model AS model FROM success_patterns WHERE 'learned' = ANY (tags)
     UNION SELECT model FROM trace_console.prompt_clusters`,
  );
  expect(models).toEqual([{ model: 'separating' }]);

  const { test: fresh, database: second } = await demoDatabase();
  await learnAll(second, { embedder: separating });
  const { rows: all } = await fresh.query<{ prompt: string; intent: string; cluster: string }>(
    `SELECT t.prompt_text AS prompt, t.context->>'intent' AS intent, split_part(l.pattern_key, ':', 2) AS cluster
     FROM execution_traces AS t JOIN trace_console.learned_traces AS l USING (correlation_id)
     WHERE l.pattern_key IS NOT NULL`,
  );
  // The same words are asked with two intents at times: no embedding parts these.
  const asked = new Map<string, Set<string>>();
  for (const { prompt, intent } of texts) {
    const request = requestOf(prompt) ?? '';
    asked.set(request, (asked.get(request) ?? new Set<string>()).add(intent));
  }
  const rows = all.filter(({ prompt }) => asked.get(requestOf(prompt) ?? '')?.size === 1);
  expect(rows.length).toBeGreaterThan(0.8 * all.length);
  const index = adjustedRandIndex(
    rows.map(({ intent }) => intent),
    rows.map(({ cluster }) => cluster),
  );
  expect(index).toBeGreaterThanOrEqual(0.9);
});

test('a dry run finds the same and writes nothing', async () => {
  const { test: dry, database } = await demoDatabase();
  const run = learnDry(database, { embedder: hashEmbedder() });
  let event = await run.next();
  while (!event.done) event = await run.next();
  const { rows } = await whole.query<{ clusters: number }>(
    'SELECT count(*)::int AS clusters FROM trace_console.prompt_clusters',
  );
  expect(event.value.clusters).toBe(rows[0]?.clusters);
  expect(event.value.patterns[0]?.turns).toBeGreaterThan(5);
  const { rows: left } = await dry.query(
    `SELECT FROM success_patterns WHERE 'learned' = ANY (tags)
     UNION ALL SELECT FROM pg_class WHERE relname = 'learned_traces'`,
  );
  expect(left).toHaveLength(0);
});

test('one learner at a time; one that was killed is replaced', async () => {
  const database = await openDatabase(whole);
  const lease = await LearnerLease.take(database);
  await expect(learnAll(database)).rejects.toMatchObject({ code: 'busy' });
  await lease.release();
  // No process has so large an id.
  await whole.query(
    `UPDATE trace_console.learners SET holder = gen_random_uuid(), lease_until = 'infinity', process = $1::jsonb`,
    [JSON.stringify({ ...thisProcess(), pid: 2 ** 22 + 1 })],
  );
  expect(await learnAll(database)).toMatchObject({ turns: 0 });
});

test('a tool that was cancelled is no error; what is only polite names no pattern, which has its row once one turn suffices', async () => {
  const asked = await createTestDatabase();
  await asked.query(
    `WITH trace AS (
       INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status, started_at, completed_at)
       SELECT id, id, id, 'user_prompt', 'Hello Claude! Could you help me understand how Python decorators work?', 'completed',
         now() - interval '2 minutes', now() - interval '1 minute' FROM gen_random_uuid() AS id RETURNING id)
     INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, success, error_message)
     SELECT id, 'ToolUse', 'tool', tool, status, false, message FROM trace, (VALUES
       ('MultiEdit', 'cancelled', NULL), ('Bash', 'failed', 'no such command')) AS t (tool, status, message)`,
  );
  const asking = await openDatabase(asked);
  expect(await learnAll(asking)).toMatchObject({ turns: 1, published: { patterns: 0 } });
  expect(await learnAll(asking, { leastTurns: 1 })).toMatchObject({ turns: 0 });
  const { rows } = await asked.query(
    `SELECT intent_classification AS name FROM success_patterns
     UNION ALL SELECT error_message_pattern FROM error_patterns ORDER BY 1`,
  );
  expect(rows).toEqual([{ name: 'no such command' }, { name: 'understand_python_decorators' }]);
});
