import { parseArgs } from 'node:util';
import pg from 'pg';
import { resolveSource, type ServerSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { runAction } from '../src/maintenance/registry.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, keptFlags, serverCpuMs, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';

// The console's own rebuild of an ivfflat index that was built empty: recall@10 before and after on unseen queries,
// and how long find_similar_patterns takes. Limits: recall 0.98, 15 ms at 100,000 × 1536.
//
//   npm run bench -- vectors [--rows 100000] [--clusters 60] [--noise 0.5] [--queries 40] [--method hnsw]
//     [--data FOLDER [--fill]]
//
// Loosely clustered: --clusters 2000 --noise 1. The server's cache holds the index (800 MB), as that of a server in
// use should: out of the system's cache, with shared_buffers of 128 MB, each page costs twice as much.

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    clusters: { type: 'string', default: '60' },
    noise: { type: 'string', default: '0.5' },
    queries: { type: 'string', default: '40' },
    method: { type: 'string', default: 'ivfflat' },
    ...keptFlags,
  },
});
const rows = Number(flags.rows);
const clusters = Number(flags.clusters);
const noise = Number(flags.noise);
const queries = Number(flags.queries);
const method = flags.method === 'hnsw' ? 'hnsw' : 'ivfflat';

/** A sum of three is as good as a normal number: deviation 1. */
const normal = '(random() + random() + random() - 1.5) * 2';

/** Points of a cluster have a cosine similarity of 1 / (1 + noise²): 0.8 by default, as in the demo; of two clusters about 0. */
const point = `(SELECT array_agg(x + ${noise} * ${normal} / sqrt(1536)) FROM unnest(v) AS x WHERE n > 0)::real[]::vector`;

async function fill(client: pg.Client): Promise<void> {
  await client.query(
    `CREATE TEMP TABLE centre AS SELECT c,
       (SELECT array_agg(${normal} / sqrt(1536)) FROM generate_series(1, 1536 + 0 * c)) AS v
     FROM generate_series(0, $1::int - 1) AS c`,
    [clusters],
  );
  await client.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
     SELECT n::text, 'intent ' || c, ${point}
     FROM generate_series(1, $1::int) AS n JOIN centre ON c = n % $2::int`,
    [rows, clusters],
  );
  await client.query(
    `CREATE TABLE public.query AS SELECT n, ${point}::text AS vector
     FROM generate_series(1, $1::int) AS n JOIN centre ON c = n % $2::int`,
    [queries, clusters],
  );
  await client.query('VACUUM (ANALYZE) success_patterns');
}

type Query = { vector: string; nearest: Set<string> };

async function exactAnswers(client: pg.Client): Promise<Query[]> {
  const { rows: vectors } = await client.query<{ vector: string }>(
    'SELECT vector FROM query ORDER BY n',
  );
  const found: Query[] = [];
  await client.query('SET enable_indexscan = off');
  for (const { vector } of vectors) {
    const { rows: nearest } = await client.query<{ id: string }>(
      'SELECT id FROM success_patterns ORDER BY prompt_embedding <=> $1::vector LIMIT 10',
      [vector],
    );
    found.push({ vector, nearest: new Set(nearest.map(({ id }) => id)) });
  }
  await client.query('RESET enable_indexscan');
  return found;
}

/** The first round fills the cache. Times as a program has them; the processor's tell more on a busy machine. */
async function measure(client: pg.Client, asked: readonly Query[], what: string): Promise<void> {
  let found = 0;
  const times: number[] = [];
  let cpuBefore: number | undefined;
  for (const round of [1, 2, 3]) {
    if (round === 2) cpuBefore = await serverCpuMs(client);
    for (const { vector, nearest } of asked) {
      const begun = performance.now();
      const { rows: ids } = await client.query<{ id: string }>(
        'SELECT id FROM find_similar_patterns($1::vector, -1, 10)',
        [vector],
      );
      if (round === 1) continue;
      times.push(performance.now() - begun);
      found += ids.filter(({ id }) => nearest.has(id)).length;
    }
  }
  const recall = (found / (10 * times.length)).toFixed(3);
  const ms = (share: number) => quantile(times, share).toFixed(1);
  const cpuAfter = await serverCpuMs(client);
  const cpu =
    cpuBefore === undefined || cpuAfter === undefined
      ? ''
      : `, ${((cpuAfter - cpuBefore) / times.length).toFixed(1)} ms of the server's processor`;
  process.stdout.write(
    `${what}: recall@10 ${recall}; a query ${ms(0.5)} ms, p95 ${ms(0.95)} ms${cpu}\n`,
  );
}

await withBenchServer(
  async (server) => {
    process.stdout.write(
      `${server.description}; ${rows} patterns × 1536 in ${clusters} clusters (noise ${noise}), ${queries} unseen queries\n`,
    );
    const kept = `vectors_${[rows, clusters, noise, queries].join('_').replaceAll('.', 'p')}`;
    await server.filled(kept, async (empty) => {
      await applySchemaFiles(empty);
      await connected(empty, fill);
    });
    if (flags.fill) return;
    const url = await server.create('vectors_bench', kept);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const asked = await exactAnswers(client);
    await measure(client, asked, 'built on the empty table');
    const source = resolveSource({ url, environment: {} }) as ServerSource;
    const database = await Database.open(source);
    const run = runAction(
      'reindex',
      { database, signal: new AbortController().signal },
      { indexes: ['idx_pattern_embedding'], method },
    );
    for (let event = await run.next(); ; event = await run.next()) {
      if (!event.done) continue;
      process.stdout.write(`${event.value.summary}\n`);
      break;
    }
    await database.close();
    await measure(client, asked, "after the console's rebuild");
    await client.end();
    await server.drop('vectors_bench');
  },
  { shared_buffers: '2GB', max_wal_size: '8GB' },
  flags.data,
);
