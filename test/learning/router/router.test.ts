import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  hashEmbedder,
  hashEmbedding,
  hashModel,
  vectorText,
} from '../../../src/learning/embedding/embedder.js';
import { uuidOf } from '../../../src/learning/learner/pattern-state.js';
import { openRouter, routerOn } from '../../../src/learning/router/router.js';
import { searchOf } from '../../../src/learning/router/suggest.js';
import type { Router } from '../../../src/learning/router/types.js';
import { closeDatabases, openDatabase } from '../../demo/helpers.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { addTurn, learnAll, openTrace } from '../helpers.js';

let test1: TestDatabase;
let router: Router;

const noTries = { explore: false } as const;

beforeAll(async () => {
  test1 = await createTestDatabase();
  const database = await openDatabase(test1);
  for (let n = 0; n < 8; n += 1) {
    await addTurn(test1, `Make the flaky login test number ${n} deterministic`, 'tester', true);
    await addTurn(
      test1,
      `Make the flaky login test number ${n} deterministic`,
      'generalist',
      n % 4 === 0,
    );
    await addTurn(
      test1,
      `Translate the invoices of customer ${n} to Portuguese`,
      'translator',
      false,
    );
  }
  await learnAll(database);
  router = await routerOn(database, hashEmbedder());
});
afterAll(closeDatabases);

test('suggests what worked, with its interval, duration and cost', async () => {
  const found = await router.suggest('the flaky login test: make it deterministic please');
  expect(found.recommendation).toMatchObject({ agent: 'tester' });
  expect(found.reason).toMatch(/tester for .*: 100 % of 8 went well \(68 % to 100 %, few uses\)/);
  const tester = found.patterns.find(({ agents }) => agents[0] === 'tester');
  expect(tester).toMatchObject({ fewUses: true, expectedCostUsd: 0.25 });
  expect(tester?.success).toMatchObject({ rate: 1, of: 8 });
  expect(tester?.expectedDurationMs).toBeGreaterThan(50_000);
});

test('says that nothing is known, or that what is known failed, and never guesses', async () => {
  const unknown = await router.suggest('Order twelve pizzas with anchovies');
  expect(unknown).toMatchObject({ patterns: [], recommendation: null });
  expect(unknown.reason).toMatch(/^Nothing known/);
  const failed = await router.suggest('Translate the invoices of customer 9 to Portuguese');
  expect(failed.recommendation).toBeNull();
  expect(failed.reason).toMatch(/mostly failed/);
  expect((await router.suggest('go on')).reason).toMatch(/says too little/);
});

test('decides, writes the decision with its reasons, and how it went', async () => {
  const prompt = 'Please make the flaky login test deterministic';
  const correlationId = await openTrace(test1, prompt);
  const agents = [
    { name: 'generalist' },
    { name: 'tester', capability: 0.9 },
    { name: 'translator' },
  ];
  const decision = await router.decide({ prompt, correlationId, agents, ...noTries });
  expect(decision).toMatchObject({ agent: 'tester', strategy: 'learned_pattern' });
  if (!decision) throw new Error('no decision');
  expect(decision.alternatives.map(({ agent }) => agent)).toEqual(['generalist', 'translator']);
  await router.finish(decision, { outcome: 'success', durationMs: 1234 });
  // Twice more, as after an answer that was lost: the first end stays.
  await Promise.all(
    [5678, 9].map((durationMs) => router.finish(decision, { outcome: 'failure', durationMs })),
  );
  const { rows } = await test1.query<Record<string, unknown>>(
    `SELECT d.agent_selected, d.routing_strategy, d.pattern_id = $2 AS of_pattern, d.actual_success,
       d.confidence_breakdown ?& '{trigger,context,capability,historical}' AS whole,
       jsonb_array_length(d.alternatives) AS alternatives, d.query_embedding IS NOT NULL AS embedded,
       u.outcome, u.actual_duration_ms::int AS took
     FROM agent_routing_decisions AS d JOIN pattern_usage_log AS u ON u.correlation_id = $3 WHERE d.id = $1`,
    [decision.id, decision.patternId, correlationId],
  );
  expect(rows).toEqual([
    {
      agent_selected: 'tester',
      routing_strategy: 'learned_pattern',
      of_pattern: true,
      actual_success: true,
      whole: true,
      alternatives: 2,
      embedded: true,
      outcome: 'success',
      took: 1234,
    },
  ]);
});

test('a turn that a router logged is not counted a second time when it is learned from', async () => {
  const prompt = 'Make the flaky login test number 99 deterministic';
  const correlationId = await openTrace(test1, prompt);
  const decision = await router.decide({ prompt, correlationId, explicit: 'tester' });
  if (!decision) throw new Error('no decision');
  expect(decision).toMatchObject({ strategy: 'explicit', confidence: 1 });
  const count = async () => {
    const { rows } = await test1.query<{ good: number }>(
      'SELECT success_count AS good FROM success_patterns WHERE id = $1',
      [decision.patternId],
    );
    return rows[0]?.good ?? 0;
  };
  const before = await count();
  await test1.query(`UPDATE execution_traces SET status = 'completed' WHERE correlation_id = $1`, [
    correlationId,
  ]);
  await router.finish(decision, { outcome: 'success' });
  await learnAll(await openDatabase(test1));
  expect(await count()).toBe(before + 1);
});

test('a turn that ended a moment ago waits for what its router says of it', async () => {
  const prompt = 'Make the flaky login test number 77 deterministic';
  const correlationId = await openTrace(test1, prompt);
  const decision = await router.decide({ prompt, correlationId, explicit: 'tester' });
  if (!decision) throw new Error('no decision');
  await test1.query(`UPDATE execution_traces SET status = 'completed' WHERE correlation_id = $1`, [
    correlationId,
  ]);
  const learned = async () => {
    await learnAll(await openDatabase(test1));
    const { rows } = await test1.query<{ logged: boolean }>(
      'SELECT is_logged AS logged FROM trace_console.learned_traces WHERE correlation_id = $1',
      [correlationId],
    );
    return rows;
  };
  expect(await learned()).toEqual([]);
  await router.finish(decision, { outcome: 'success' });
  expect(await learned()).toEqual([{ logged: true }]);
});

test('with nothing known, triggers decide, then the fallback, then nobody', async () => {
  const prompt = 'Order twelve pizzas with anchovies';
  const correlationId = await openTrace(test1, prompt);
  const agents = [
    { name: 'cook', triggers: ['pizza'] },
    { name: 'tester', triggers: ['test'] },
  ];
  expect(await router.decide({ prompt, correlationId, agents })).toMatchObject({
    agent: 'cook',
    strategy: 'trigger_match',
    patternId: null,
  });
  expect(await router.decide({ prompt, correlationId, fallback: 'generalist' })).toMatchObject({
    agent: 'generalist',
    strategy: 'fallback',
  });
  expect(await router.decide({ prompt, correlationId })).toBeNull();
  await expect(
    router.decide({ prompt, correlationId: randomUUID(), fallback: 'generalist' }),
  ).rejects.toMatchObject({ code: 'not_found' });
});

test('patterns of another model are never compared, and crowd none of its own out', async () => {
  const other = await routerOn(
    await openDatabase(test1),
    { ...hashEmbedder(), model: 'another' },
    { threshold: -1 },
  );
  const prompt = 'Make the flaky login test deterministic';
  expect(await other.suggest(prompt)).toMatchObject({
    patterns: [],
    reason: expect.stringContaining(
      'no pattern has the embedding another, but some have hash-1',
    ) as string,
  });
  const own = (await router.suggest(prompt)).patterns;
  expect(own.length).toBeGreaterThan(1);
  // At the very place of the prompt, and more than are looked at.
  await test1.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding, embedding_model, agent_sequence)
     SELECT 'other ' || n, 'other', $1::vector, 'another', '{other}' FROM generate_series(1, 60) AS n`,
    [vectorText(hashEmbedding(prompt))],
  );
  expect((await router.suggest(prompt)).patterns).toEqual(own);
  await test1.query(`DELETE FROM success_patterns WHERE embedding_model = 'another'`);
});

test('the index of few patterns is searched whole', async () => {
  const { settings } = await searchOf(await openDatabase(test1), hashModel);
  expect(settings).toMatchObject({
    'ivfflat.probes': '100',
    'ivfflat.iterative_scan': 'relaxed_order',
  });
  expect(settings).not.toHaveProperty('enable_seqscan');
});

test('a use goes to the pattern that its own was merged into, and to none when it was pruned', async () => {
  const prompt = 'Make the flaky login test deterministic';
  const uses = async () => {
    const { rows } = await test1.query<{ pattern: string; uses: number }>(
      'SELECT pattern_id AS pattern, count(*)::int AS uses FROM pattern_usage_log GROUP BY 1 ORDER BY 1',
    );
    return rows;
  };
  const correlationId = await openTrace(test1, prompt);
  const decision = await router.decide({ prompt, correlationId, explicit: 'tester' });
  if (!decision) throw new Error('no decision');
  const before = await uses();
  const gone = randomUUID();
  await router.finish({ ...decision, patternId: gone }, { outcome: 'success', durationMs: NaN });
  expect(await uses()).toEqual(before);
  await test1.query(
    `UPDATE success_patterns SET context = context || jsonb_build_object('merged', jsonb_build_array(jsonb_build_object('id', $2::text)))
     WHERE id = $1`,
    [decision.patternId, gone],
  );
  await router.finish({ ...decision, patternId: gone }, { outcome: 'success' });
  const after = (more: number) =>
    before.map((row) =>
      row.pattern === decision.patternId ? { ...row, uses: row.uses + more } : row,
    );
  expect(await uses()).toEqual(after(1));
  // Of a learned one the ledger of merges says it, also when the one that took it in was merged itself.
  const key = 'learned:gone:group';
  await test1.query(
    `INSERT INTO trace_console.merged_patterns (target_schema, pattern_key, into_key)
     SELECT 'public', $2, pattern_hash FROM success_patterns WHERE id = $1`,
    [decision.patternId, key],
  );
  const second = await router.decide({ prompt, correlationId, explicit: 'tester' });
  if (!second) throw new Error('no decision');
  await router.finish({ ...second, patternId: uuidOf(key) }, { outcome: 'success' });
  expect(await uses()).toEqual(after(2));
});

test('an index is never searched less far than the role asks for', async () => {
  const asking = await createTestDatabase();
  await asking.query(
    `CREATE INDEX ON success_patterns USING hnsw (prompt_embedding vector_cosine_ops);
     ALTER DATABASE ${asking.name} SET hnsw.ef_search = 400;
     ALTER DATABASE ${asking.name} SET ivfflat.probes = 77`,
  );
  await asking.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification) SELECT n, 'none' FROM generate_series(1, 1e4) AS n`,
  );
  await asking.query('ANALYZE success_patterns');
  const { settings } = await searchOf(await openDatabase(asking), hashModel);
  expect(settings).toMatchObject({ 'hnsw.ef_search': '400', 'ivfflat.probes': '77' });
});

test('without the schema it says what is missing, and how to make it', async () => {
  const empty = await createTestDatabase({ schema: false, extensions: true });
  await expect(openRouter({ url: empty.url })).rejects.toMatchObject({
    code: 'schema_missing',
    message: 'success_patterns does not exist in the schema that is used.',
    hint: expect.stringContaining('trace-console schema apply') as string,
  });
  await expect(openRouter({ url: empty.url, schema: 'nowhere' })).rejects.toMatchObject({
    code: 'schema_missing',
  });
  const { exitCode, stderr } = await runCli(['suggest', 'fix the login test', '--url', empty.url]);
  expect({ exitCode, stderr }).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining(`hint: Create it: trace-console schema apply --url`) as string,
  });
});

test('what no database takes in a text is left out of what is written', async () => {
  const prompt = `Make the flaky login test deterministic\0 \ud83d`;
  const correlationId = await openTrace(test1, 'Make the flaky login test deterministic');
  const agents = [{ name: 'tester' }, { name: 'odd \ud83d\0' }];
  const decision = await router.decide({ prompt, correlationId, agents, ...noTries });
  if (!decision) throw new Error('no decision');
  await router.finish(decision, { outcome: 'partial', feedback: 'odd \0', durationMs: -1 });
  const { rows } = await test1.query(
    `SELECT d.query_text AS prompt, d.alternatives #>> '{0,agent}' AS other, u.user_feedback AS feedback
     FROM agent_routing_decisions AS d JOIN pattern_usage_log AS u ON u.correlation_id = $2 WHERE d.id = $1`,
    [decision.id, correlationId],
  );
  expect(rows).toEqual([
    {
      prompt: 'Make the flaky login test deterministic \ufffd',
      other: 'odd \ufffd',
      feedback: 'odd ',
    },
  ]);
});

test('a role that may only read looks, and is told what deciding needs', async () => {
  const prompt = 'Make the flaky login test deterministic';
  const correlationId = await openTrace(test1, prompt);
  await test1.query(`ALTER DATABASE ${test1.name} SET default_transaction_read_only = on`);
  const later = await openDatabase(test1);
  await test1.query(
    `SET default_transaction_read_only = off; ALTER DATABASE ${test1.name} RESET default_transaction_read_only`,
  );
  const readOnly = await routerOn(later, hashEmbedder());
  expect((await readOnly.suggest(prompt)).recommendation).toMatchObject({ agent: 'tester' });
  await expect(
    readOnly.decide({ prompt, correlationId, fallback: 'tester' }),
  ).rejects.toMatchObject({ code: 'read_only' });
});

test('the command prints the patterns and ends with 1 where nothing is known', async () => {
  const run = (...args: string[]) => runCli(['suggest', ...args, '--url', test1.url]);
  const known = await run('Make the flaky login test deterministic');
  expect(known).toMatchObject({ exitCode: 0, stderr: '' });
  expect(known.stdout).toMatch(/similarity +success +95 %/);
  const unknown = await run('Order twelve pizzas with anchovies', '--json');
  expect(unknown.exitCode).toBe(1);
  expect(JSON.parse(unknown.stdout)).toMatchObject({ recommendation: null });
});
