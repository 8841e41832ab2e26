import { parseArgs } from 'node:util';
import { resolveSource, type ServerSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { Random } from '../src/demo/random.js';
import { hashEmbedder, vectorText } from '../src/learning/embedding/embedder.js';
import { routerOn } from '../src/learning/router/router.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';
import { beginTurn } from './lib/trace-data.js';

// A router in a world with known best agents, all through the database: 10,000 times decide and finish. Of each of 8 requests one
// agent of five succeeds with 0.9, the others with 0.2 to 0.6; after 6,000 decisions other agents are the best. Limits: 0.95 of
// the best possible success after the first 2,000, and again from 1,000 after the change on.
//
//   npm run bench -- router-loop [--decisions 10000] [--seed 1]

const { values: flags } = parseArgs({
  options: {
    decisions: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
});
const decisions = Number(flags.decisions);
const changeAt = Math.round(0.6 * decisions);
const agents = ['planner', 'coder', 'tester', 'reviewer', 'writer'];
const requests = [
  'Make the flaky login test deterministic',
  'Add an endpoint for refunds with validation',
  'Split the payment module in two',
  'Explain why the nightly build is slow',
  'Write the changelog of this release',
  'Tune the slowest query of the report',
  'Review the pull request about sessions',
  'Translate the landing page to Portuguese',
];

await withBenchServer(async (server) => {
  const url = await server.create('router_loop_bench');
  await applySchemaFiles(url);
  const random = new Random('router-loop', flags.seed);
  const rates = requests.map(() => {
    const best = random.integer(0, agents.length - 1);
    return agents.map((_, index) => (index === best ? 0.9 : random.between(0.2, 0.6)));
  });
  const embedder = hashEmbedder();
  const vectors = await embedder.embed(requests);
  // As learned from traces that never ended well or badly: where each agent once worked.
  await connected(url, (client) =>
    client.query(
      `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding, embedding_model, agent_sequence)
       SELECT v.n || ' ' || a.name, 'request ' || v.n, v.vector::vector, $1, ARRAY[a.name]
       FROM unnest($2::text[]) WITH ORDINALITY AS v (vector, n), unnest($3::text[]) AS a (name)`,
      [embedder.model, vectors.map(vectorText), agents],
    ),
  );
  const database = await Database.open(resolveSource({ url, environment: {} }) as ServerSource);
  const router = await routerOn(database, embedder, { random: () => random.next() });
  const shares: number[] = [];
  const times: number[] = [];
  for (let n = 0; n < decisions; n += 1) {
    if (n === changeAt) for (const list of rates) list.push(list.shift() ?? 0);
    const which = random.integer(0, requests.length - 1);
    const prompt = `${requests[which] ?? ''}, number ${n}`;
    const correlationId = await beginTurn(database, prompt);
    const begun = performance.now();
    const decision = await router.decide({
      prompt,
      correlationId,
      agents: agents.map((name) => ({ name })),
    });
    if (!decision) throw new Error('an agent should have been chosen');
    const of = rates[which] ?? [];
    const rate = of[agents.indexOf(decision.agent)] ?? 0;
    await router.finish(decision, { outcome: random.chance(rate) ? 'success' : 'failure' });
    times.push(performance.now() - begun);
    shares.push(rate / Math.max(...of));
  }
  const mean = (from: number, to: number) => {
    const part = shares.slice(from, to);
    return (part.reduce((sum, share) => sum + share, 0) / part.length).toFixed(3);
  };
  const early = Math.round(0.2 * decisions);
  const followed = changeAt + Math.round(0.1 * decisions);
  process.stdout.write(
    `${server.description}; ${decisions} decisions, seed ${flags.seed}: share of the best possible success ${mean(0, early)} in the first ` +
      `${early}, ${mean(early, changeAt)} until the world changed, ${mean(changeAt, followed)} in the ${followed - changeAt} after that, ` +
      `${mean(followed, decisions)} from there on; decide and finish p50 ${quantile(times, 0.5).toFixed(1)} ms\n`,
  );
  await router.close();
  await server.drop('router_loop_bench');
});
