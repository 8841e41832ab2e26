/**
 * Measures the writer for services:
 *
 *     npm run bench -- writer [--rows 20000] [--seconds 15]
 *
 * Rows a second beside COPY of the same rows into the same tables, in turns; and what it adds to the delay of the
 * caller's event loop at 1,000 events a second, with the database there and away, beside the same program without it,
 * in turns.
 */
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { createTracer, type Tracer } from '../src/ingest/writer/index.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { connected, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '5' },
  },
});
const rows = Number(values.rows);
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);
const tables = ['execution_traces', 'hook_executions', 'endpoint_calls'] as const;

/** A turn: a trace, three calls of tools, a call of a model: five rows. */
function turn(tracer: Tracer, number: number): void {
  tracer.trace({ prompt: `Fix test ${number}`, session: `s${number % 50}`, userId: 'u' }, () => {
    for (let n = 0; n < 3; n += 1) {
      tracer.hook({ tool: 'Bash', input: { command: 'npm test', n } }, (hook) =>
        hook.set({ output: { stdout: 'ok '.repeat(60) } }),
      );
    }
    tracer.modelCall({ provider: 'anthropic', model: 'm' }, (call) =>
      call.set({ tokens: { input: 100, output: 20 }, costUsd: 0.01, requestId: `r${number}` }),
    );
  });
}

async function clear(client: pg.Client): Promise<void> {
  await client.query('TRUNCATE execution_traces CASCADE');
  await client.query('CHECKPOINT');
}

async function written(url: string): Promise<number> {
  const tracer = createTracer({ url, queueRows: 1e6, queueBytes: 1 << 30 });
  // Connected, as COPY is.
  turn(tracer, -1);
  await tracer.flush();
  const begun = performance.now();
  for (let n = 0; n < rows / 5; n += 1) {
    turn(tracer, n);
    // A service answers one request after the other.
    if (n % 20 === 0) await setImmediate();
  }
  if (!(await tracer.flush(600_000))) throw new Error('not written');
  const ms = performance.now() - begun;
  await tracer.close();
  return (rows / ms) * 1_000;
}

/** The rows that the writer has made, by COPY in its text format, parents first. */
async function copied(client: pg.Client): Promise<number> {
  const texts = new Map<string, Buffer>();
  for (const table of tables) {
    const chunks: Buffer[] = [];
    const stream = client.query(copyTo(`COPY ${table} TO STDOUT`));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(stream, 'end');
    texts.set(table, Buffer.concat(chunks));
  }
  await clear(client);
  const begun = performance.now();
  await client.query('BEGIN');
  for (const table of tables) {
    const stream = client.query(copyFrom(`COPY ${table} FROM STDIN`));
    stream.end(texts.get(table));
    await once(stream, 'finish');
  }
  await client.query('COMMIT');
  return (rows / (performance.now() - begun)) * 1_000;
}

/** The 99th percentile of the delay of the event loop (ms) while something is done 1,000 times a second. */
async function delay(work: (n: number) => void): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  const begun = performance.now();
  let done = 0;
  while (performance.now() - begun < seconds * 1_000) {
    const due = performance.now() - begun;
    for (; done < due; done += 1) work(done);
    await sleep(1);
  }
  histogram.disable();
  return histogram.percentile(99) / 1e6;
}

await withBenchServer(async (server) => {
  const url = await server.create('writer_bench');
  await applySchemaFiles(url);
  await connected(url, async (client) => {
    const ratios: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      await clear(client);
      const mine = await written(url);
      const theirs = await copied(client);
      // The first one warms up.
      if (round === 0) continue;
      ratios.push(mine / theirs);
      console.log(
        `${Math.round(mine)} rows/s, COPY ${Math.round(theirs)} rows/s: ${(mine / theirs).toFixed(2)}`,
      );
    }
    console.log(`median ratio to COPY ${quantile(ratios, 0.5).toFixed(2)} (limit 0.5)`);
    const addedBy = { there: [] as number[], away: [] as number[] };
    const urls = { there: url, away: 'postgresql://nobody@127.0.0.1:1/none' };
    for (let round = 0; round < rounds; round += 1) {
      await clear(client);
      const base = await delay((n) => void JSON.stringify({ n }));
      for (const database of ['there', 'away'] as const) {
        const tracer = createTracer({ url: urls[database], onProblem: () => undefined });
        const beside = await delay((n) => {
          if (n % 5 === 0) turn(tracer, n);
        });
        await tracer.close(database === 'there' ? undefined : 0);
        addedBy[database].push(beside - base);
        console.log(
          `p99 of the event loop ${beside.toFixed(2)} ms (database ${database}), without ${base.toFixed(2)} ms`,
        );
      }
    }
    for (const database of ['there', 'away'] as const) {
      const added = quantile(addedBy[database], 0.5).toFixed(2);
      console.log(`median added p99, database ${database}: ${added} ms (limit 1)`);
    }
  });
});
