import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { resolveSource, type ServerSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { runDemo } from '../src/demo/run.js';
import { hashEmbedder } from '../src/learning/embedding/embedder.js';
import { learn, watch } from '../src/learning/learner/learn.js';
import {
  adjustedRandIndex,
  chainAgreement,
  type ChainCount,
  plantedRequest,
} from '../test/learning/helpers.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, keptFlags, serverCpuMs, withBenchServer } from './lib/bench-server.js';
import { insertBeside } from './lib/insert-load.js';

// Learning from many traces: time, processor time, memory, how well the demo's requests are found, and what writers
// notice; then --watch beside live traffic. Limits: 100,000 traces in 60 s on two cores, memory flat, the p99 of
// inserts at most 1.3 times that beside a load of the processor alone, --watch at most 5 % of a core.
// The command is the built one (npm run build), with its rests. Learning and the busy core take turns, --rounds times: what else the machine does meets both.
//
//   npm run bench -- learn [--traces 100000] [--rounds 3] [--rate 50] [--seconds 60] [--data FOLDER [--fill]]

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '60' },
    ...keptFlags,
  },
});
const traces = Number(flags.traces);
const print = (line: string) => process.stdout.write(`${line}\n`);
const mb = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;

async function open(url: string): Promise<Database> {
  return Database.open(resolveSource({ url, environment: {} }) as ServerSource);
}

async function fill(url: string): Promise<void> {
  await applySchemaFiles(url);
  const database = await open(url);
  await runDemo(database, { seed: 1, backfillMs: 60 * 86_400_000, traces });
  await database.close();
  await connected(url, (client) => client.query('VACUUM (ANALYZE)'));
}

/** Learns all, and says what it took. */
async function learnAll(database: Database): Promise<void> {
  const cpuBefore = process.cpuUsage();
  const serverBefore = await serverCpuMs({
    query: async (text) => ({ rows: await database.read(text) }),
  });
  const memory: number[] = [];
  const run = learn(database, { embedder: hashEmbedder(), restShare: 2 });
  for (let event = await run.next(); ; event = await run.next()) {
    memory.push(process.memoryUsage().rss);
    if (!event.done) continue;
    const { turns, milliseconds, published } = event.value;
    const cpu = process.cpuUsage(cpuBefore);
    const server = await serverCpuMs({
      query: async (text) => ({ rows: await database.read(text) }),
    });
    const of = (ms: number | undefined) => (ms === undefined ? '?' : (ms / 1000).toFixed(1));
    print(
      `${turns} turns of ${traces} traces in ${(milliseconds / 1000).toFixed(1)} s; processor ${of((cpu.user + cpu.system) / 1000)} s here, ` +
        `${of(server === undefined || serverBefore === undefined ? undefined : server - serverBefore)} s on the server; ` +
        `${published.patterns} patterns, ${published.chains} chains, ${published.errors} errors written`,
    );
    const at = (share: number) => mb(memory[Math.floor(share * (memory.length - 1))] ?? 0);
    print(`memory: ${at(0)} at the first batch, ${at(0.5)} half-way, ${at(1)} at the end`);
    return;
  }
}

async function sayHowWell(database: Database): Promise<void> {
  const rows = await database.read<{ prompt: string; intent: string; cluster: string | null }>(
    `SELECT t.prompt_text AS prompt, t.context->>'intent' AS intent, split_part(l.pattern_key, ':', 2) AS cluster
     FROM execution_traces AS t JOIN trace_console.learned_traces AS l USING (correlation_id)`,
    [],
    { statementTimeoutMs: 60_000 },
  );
  const asked = rows.flatMap(({ prompt, intent, cluster }) => {
    const request = plantedRequest(prompt, intent);
    return request === undefined ? [] : [{ request, intent, cluster: cluster ?? prompt }];
  });
  const clusters = asked.map(({ cluster }) => cluster);
  const requests = asked.map(({ request }) => request);
  const intents = asked.map(({ intent }) => intent);
  const index = (one: string[], other: string[]) => adjustedRandIndex(one, other).toFixed(3);
  print(
    `hash embedding: adjusted Rand index ${index(requests, clusters)} against the requests of the demo, ` +
      `${index(intents, clusters)} against its intents (its requests themselves: ${index(intents, requests)})`,
  );
  const chains = await chainAgreement((text) => database.read<ChainCount>(text));
  print(
    `chains of ${chains.turns} turns: precision ${chains.precision.toFixed(3)}, recall ${chains.recall.toFixed(3)}`,
  );
}

/** What was learned, so that it is learned again. */
const forget = `
  TRUNCATE trace_console.learned_traces, trace_console.learned_items, trace_console.prompt_clusters;
  DELETE FROM success_patterns WHERE 'learned' = ANY (tags);
  CHECKPOINT`;

/** The command in a process of its own, as writers meet it: the built one, for tsx compiles on both cores before anything is learned. */
async function learnByCommand(url: string): Promise<void> {
  const child = spawn(process.execPath, ['bin/trace-console.js', 'learn', '--url', url], {
    stdio: 'ignore',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`trace-console learn ended with ${code ?? 'a signal'}`);
}

/** Keeps a core busy, as learning would without a database. */
async function busyFor(milliseconds: number): Promise<void> {
  const worker = new Worker('for (;;);', { eval: true });
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  await worker.terminate();
}

await withBenchServer(
  async (server) => {
    print(server.description);
    const kept = `learn_${traces}`;
    await server.filled(kept, fill);
    if (flags.fill) return;
    const url = await server.create('learn_bench', kept);
    const database = await open(url);
    await learnAll(database);
    await sayHowWell(database);

    const ratios: number[] = [];
    for (let round = 0; round < Number(flags.rounds); round += 1) {
      await connected(url, (client) => client.query(forget));
      const begun = performance.now();
      const beside = await insertBeside(url, () => learnByCommand(url));
      const seconds = (performance.now() - begun) / 1000;
      const busy = await insertBeside(url, () => busyFor(Math.min(20_000, seconds * 1000)));
      ratios.push(beside.p99 / busy.p99);
      print(
        `100 inserts a second beside learning (${seconds.toFixed(1)} s): p50 ${beside.p50.toFixed(1)} ms, p99 ${beside.p99.toFixed(1)} ms; ` +
          `beside a busy core p50 ${busy.p50.toFixed(1)} ms, p99 ${busy.p99.toFixed(1)} ms: ${(beside.p99 / busy.p99).toFixed(2)} ×`,
      );
    }
    const median = ratios.toSorted((one, other) => one - other)[Math.floor(ratios.length / 2)];
    print(`median of ${ratios.length} rounds: ${median?.toFixed(2) ?? '?'} × (limit 1.3)`);

    const seconds = Number(flags.seconds);
    const stop = new AbortController();
    const traffic = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        'src/cli/main.ts',
        'demo',
        '--url',
        url,
        '--rate',
        flags.rate,
        '--seconds',
        String(seconds + 5),
      ],
      { stdio: 'ignore' },
    );
    const watched = await open(url);
    const cpuBefore = process.cpuUsage();
    let turns = 0;
    const timer = setTimeout(() => stop.abort(), seconds * 1000);
    for await (const summary of watch(watched, { embedder: hashEmbedder(), signal: stop.signal })) {
      if ('turns' in summary) turns += summary.turns;
    }
    clearTimeout(timer);
    const cpu = process.cpuUsage(cpuBefore);
    const serverMs = await serverCpuMs({
      query: async (text) => ({ rows: await watched.read(text) }),
    });
    const share = (ms: number) => `${(ms / seconds / 10).toFixed(1)} %`;
    print(
      `--watch beside ${flags.rate} traces a second for ${seconds} s: ${turns} turns, ${share((cpu.user + cpu.system) / 1000)} of a core ` +
        `here${serverMs === undefined ? '' : `, all sessions of the server (the demo's too) ${share(serverMs)}`}`,
    );
    traffic.kill('SIGTERM');
    await watched.close();
    await database.close();
    await server.drop('learn_bench');
  },
  undefined,
  flags.data,
);
