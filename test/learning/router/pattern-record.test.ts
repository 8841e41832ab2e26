import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashEmbedder } from '../../../src/learning/embedding/embedder.js';
import { routerOn } from '../../../src/learning/router/router.js';
import type { Router } from '../../../src/learning/router/types.js';
import type { Opened } from '../../../src/panes/contract/opening.js';
import { patternOpening } from '../../../src/panes/reading/pattern.js';
import { topPatterns } from '../../../src/panes/top-patterns.js';
import { closeDatabases, openDatabase } from '../../demo/helpers.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { detailAccess, readFresh } from '../../panes/open.js';
import { addTurn, learnAll, openTrace } from '../helpers.js';

let test1: TestDatabase;
let router: Router;

const noTries = { explore: false } as const;

beforeAll(async () => {
  test1 = await createTestDatabase();
  router = await routerOn(await openDatabase(test1), hashEmbedder());
});
afterAll(closeDatabases);

function linesOf(opened: Opened, section: string): string[] {
  if (opened.kind !== 'records') throw new Error('no record');
  const found = opened.sections?.find(({ title }) => title === section);
  return (found?.lines ?? []).map((line) => line.map(({ text }) => text.trim()).join(' | '));
}

test('how long it takes, and how it goes lately, is the same figure in a suggestion and on the screen', async () => {
  const prompt = 'Sweep the attic of the old mill';
  for (const seconds of [8, 13]) {
    const id = await addTurn(test1, prompt, 'sweeper', true);
    await test1.query('UPDATE execution_traces SET duration_ms = $2 WHERE correlation_id = $1', [
      id,
      seconds * 1_000,
    ]);
  }
  for (const isGood of [false, true, false]) await addTurn(test1, prompt, 'sweeper', isGood);
  for (let n = 0; n < 2; n += 1) await addTurn(test1, prompt, 'cleaner', true);
  const database = await openDatabase(test1);
  await learnAll(database);
  const { patterns } = await router.suggest(prompt);
  const [sweeper, cleaner] = ['sweeper', 'cleaner'].map((agent) =>
    patterns.find(({ agents }) => agents[0] === agent),
  );
  // Of two of which one took as long as the others, a minute.
  expect(sweeper).toMatchObject({ expectedDurationMs: 13_000, success: { of: 5 } });
  const opened = await patternOpening('Pattern', sweeper?.id ?? '').read(
    await detailAccess(database),
  );
  expect(linesOf(opened, 'Its life')).toContainEqual(
    expect.stringMatching(/^good turns take 13\.0s \(median\), nine of ten at most 50\.6s/),
  );

  const { rows } = await readFresh(database, topPatterns);
  const shown = new Map(rows.map(({ id, lately }) => [id, lately]));
  const lately = patterns.map(({ id, recentRate }) => [shown.get(id), recentRate]);
  expect(lately.every(([one, other]) => one === other)).toBe(true);
  expect(sweeper?.recentRate).toBeLessThan(0.62);
  // Two turns say nothing of how it goes lately.
  expect(cleaner?.recentRate).toBeNull();
});

test('the record of a pattern shows what its offers changed, as plain SQL counts it', async () => {
  const prompt = (n: number) => `Bake the wedding cake number ${n} with three floors`;
  // Without a router: its agent in 6 of 10 turns well, another one in 2 of 8.
  for (let n = 0; n < 10; n += 1) await addTurn(test1, prompt(n), 'baker', n < 6);
  for (let n = 0; n < 8; n += 1) await addTurn(test1, prompt(n), 'painter', n < 2);
  await learnAll(await openDatabase(test1));
  let pattern: string | null = null;
  for (let n = 0; n < 20; n += 1) {
    const correlationId = await openTrace(test1, prompt(100 + n));
    const agents = [{ name: 'baker' }, { name: 'painter' }];
    const request = { prompt: prompt(100 + n), correlationId, agents, ...noTries };
    const decision = await router.decide(request);
    if (!decision) throw new Error('nothing decided');
    expect(decision).toMatchObject({ agent: 'baker', strategy: 'learned_pattern' });
    pattern = decision.patternId;
    const isGood = n !== 7;
    await router.finish(decision, { outcome: isGood ? 'success' : 'failure' });
    await test1.query('UPDATE execution_traces SET status = $2 WHERE correlation_id = $1', [
      correlationId,
      isGood ? 'completed' : 'failed',
    ]);
  }
  await learnAll(await openDatabase(test1));

  const { rows } = await test1.query<{ served: string; turns: number; good: number }>(
    `SELECT CASE WHEN d.pattern_id = $1 THEN 'offered' WHEN d.agent_selected = 'baker' THEN 'not offered'
       ELSE 'other agents' END AS served, count(*)::int AS turns, count(*) FILTER (WHERE t.success)::int AS good
     FROM execution_traces AS t JOIN agent_routing_decisions AS d ON d.trace_id = t.id
     WHERE t.prompt_text LIKE 'Bake the wedding cake%' GROUP BY 1 ORDER BY 1`,
    [pattern],
  );
  expect(rows).toEqual([
    { served: 'not offered', turns: 10, good: 6 },
    { served: 'offered', turns: 20, good: 19 },
    { served: 'other agents', turns: 8, good: 2 },
  ]);
  const opening = patternOpening('Pattern', pattern ?? '');
  const opened = await opening.read(await detailAccess(await openDatabase(test1)));
  expect(linesOf(opened, 'Where a router offered it')).toEqual([
    expect.stringMatching(/^offered \| 20 turns \| 95% succeeded \(76% to 99%\) \| median /),
    expect.stringMatching(/^not offered \| 10 turns \| 60% succeeded \(31% to 83%\) \| median 1m/),
    expect.stringMatching(
      /^other agents \| 8 turns \| 25% succeeded \(7\.1% to 59%\) \| median 1m/,
    ),
    expect.stringMatching(/^Not an experiment/),
    expect.stringMatching(/^Other agents: /),
  ]);
  // The 10 turns without a router and the 20 uses that it logged: what the counter of uses says.
  expect(linesOf(opened, 'Uses in 30 days').slice(1)).toEqual([
    expect.stringMatching(/^30 uses, the last .* \| 25 succeeded \| 5 failed \| 0 partial/),
    '20 uses logged, 10 turns learned from besides',
  ]);
});
