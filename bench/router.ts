import { parseArgs } from 'node:util';
import { resolveSource, type ServerSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { type Embedder, hashEmbedder, vectorText } from '../src/learning/embedding/embedder.js';
import { searchOf, suggest, vectorFor } from '../src/learning/router/suggest.js';
import { routerOn } from '../src/learning/router/router.js';
import { runAction } from '../src/maintenance/registry.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, keptFlags, serverCpuMs, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';
import { beginTurn } from './lib/trace-data.js';

// A router on many patterns: how long suggest (as the command and the MCP server ask), decide and finish take, and which share of the
// 40 nearest patterns it finds. Limits: p99 of suggest and decide 20 ms at 100,000 patterns, recall 0.95.
//
//   npm run bench -- router [--patterns 100000] [--decisions 500] [--data FOLDER [--fill]]
//
// Patterns are made of 60 requests of the same kind as prompts of people, each with noise, and the index is rebuilt by
// the console's own action. The server's cache holds the index.

const { values: flags } = parseArgs({
  options: {
    patterns: { type: 'string', default: '100000' },
    decisions: { type: 'string', default: '500' },
    ...keptFlags,
  },
});
const patterns = Number(flags.patterns);
const decisions = Number(flags.decisions);
const verbs = [
  'fix',
  'write',
  'review',
  'explain',
  'rename',
  'deploy',
  'measure',
  'translate',
  'split',
  'document',
];
const things = [
  'login tests',
  'refund endpoint',
  'search index',
  'build pipeline',
  'schema migration',
  'landing page',
];
const prompts = verbs.flatMap((verb) =>
  things.map((thing) => `Please ${verb} the ${thing} for the next release`),
);

const noisy = `(SELECT array_agg(x + 0.4 * (random() + random() + random() - 1.5) * 2 / sqrt(1536))
  FROM unnest(c.vector) AS x WHERE n > 0)::real[]::vector`;

/** The share of the nearest patterns, compared one by one, that are found by the index. */
async function recallOf(database: Database, url: string): Promise<number> {
  const embedder = hashEmbedder();
  const { threshold } = await searchOf(database, embedder.model);
  return connected(url, async (client) => {
    await client.query('SET enable_indexscan = off');
    let [found, all] = [0, 0];
    for (let n = 0; n < prompts.length; n += 3) {
      const prompt = `${prompts[n] ?? ''}, number ${n}`;
      const vector = await vectorFor(embedder, prompt);
      const { rows } = await client.query<{ id: string }>(
        `SELECT id FROM success_patterns WHERE prompt_embedding <=> $1::vector <= 1 - $2::float8
         ORDER BY prompt_embedding <=> $1::vector LIMIT 40`,
        [vectorText(vector ?? new Float32Array()), threshold],
      );
      const { patterns: near } = await suggest(database, embedder, prompt, { limit: 40 });
      const ids = new Set(near.map(({ id }) => id));
      found += rows.filter(({ id }) => ids.has(id)).length;
      all += rows.length;
    }
    return found / all;
  });
}

async function openServer(url: string): Promise<Database> {
  return Database.open(resolveSource({ url, environment: {} }) as ServerSource);
}

/** The patterns, and their index as the console's own action rebuilds it. */
async function fill(url: string, embedder: Embedder): Promise<void> {
  await applySchemaFiles(url);
  const vectors = await embedder.embed(prompts);
  await connected(url, async (client) => {
    await client.query('CREATE TEMP TABLE centre (c integer, vector real[])');
    for (const [index, vector] of vectors.entries()) {
      await client.query('INSERT INTO centre VALUES ($1, $2)', [index, [...vector]]);
    }
    await client.query(
      `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding, embedding_model,
         agent_sequence, success_count, failure_count)
       SELECT n::text, 'request ' || c.c, ${noisy}, $1, ARRAY['agent-' || n % 7], n % 90, n % 11
       FROM generate_series(1, $2::int) AS n JOIN centre AS c ON c.c = n % ${prompts.length}`,
      [embedder.model, patterns],
    );
    await client.query('VACUUM (ANALYZE) success_patterns');
  });
  const database = await openServer(url);
  const rebuild = runAction(
    'reindex',
    { database, signal: new AbortController().signal },
    { indexes: ['idx_pattern_embedding'] },
  );
  for (let event = await rebuild.next(); !event.done; event = await rebuild.next());
  await database.close();
}

await withBenchServer(
  async (server) => {
    const embedder = hashEmbedder();
    const kept = `router_${patterns}`;
    await server.filled(kept, (empty) => fill(empty, embedder));
    if (flags.fill) return;
    const url = await server.create('router_bench', kept);
    const database = await openServer(url);
    const router = await routerOn(database, embedder);
    const times = { suggest: [] as number[], decide: [] as number[], finish: [] as number[] };
    let cpuBefore: number | undefined;
    const asking = { query: async (text: string) => ({ rows: await database.read(text) }) };
    for (let n = -50; n < decisions; n += 1) {
      // The first ones warm the cache.
      if (n === 0) cpuBefore = await serverCpuMs(asking);
      const prompt = `${prompts[(n + 50) % prompts.length] ?? ''}, number ${n}`;
      const correlationId = await beginTurn(database, prompt);
      const asked = performance.now();
      const known = await suggest(database, embedder, prompt);
      if (known.patterns.length === 0) throw new Error('a pattern should have been suggested');
      const begun = performance.now();
      const decision = await router.decide({ prompt, correlationId, fallback: 'nobody' });
      const decided = performance.now();
      if (typeof decision?.patternId !== 'string')
        throw new Error('a pattern should have been found');
      await router.finish(decision, { outcome: 'success', durationMs: 10 });
      if (n < 0) continue;
      times.suggest.push(begun - asked);
      times.decide.push(decided - begun);
      times.finish.push(performance.now() - decided);
    }
    const cpuAfter = await serverCpuMs(asking);
    const of = (list: number[]) =>
      `p50 ${quantile(list, 0.5).toFixed(1)} ms, p99 ${quantile(list, 0.99).toFixed(1)} ms`;
    const cpu =
      cpuBefore === undefined || cpuAfter === undefined
        ? ''
        : `; ${((cpuAfter - cpuBefore) / decisions).toFixed(1)} ms of the server's processor for the three`;
    const recall = (await recallOf(database, url)).toFixed(3);
    process.stdout.write(
      `${server.description}; ${patterns} patterns, ${decisions} decisions: suggest ${of(times.suggest)}; decide ${of(times.decide)}; ` +
        `finish ${of(times.finish)}${cpu}; recall@40 ${recall}\n`,
    );
    await router.close();
    await database.close();
    await server.drop('router_bench');
  },
  { shared_buffers: '2GB', max_wal_size: '8GB' },
  flags.data,
);
