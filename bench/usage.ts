/**
 * How long the pane Usage takes over a window of 30 days: the first answer, the whole window, a steady refresh.
 *
 *     npm run bench -- usage [--traces 1000000] [--calls 3] [--refreshes 5] [--days 30]
 *
 * So many traces within the window, a quarter of them more before it, each with so many calls of models, in sessions of 40
 * traces. For each grouping: the time to the first rows, of which part of the window they are, and to all of them; the
 * processor time of the server for the whole window and for a refresh two seconds after the last; that of the client for
 * a refresh; and whether the sums are those of plain SQL.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { resolveSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { readShape } from '../src/panes/contract/shape.js';
import { defaultStuckAfterMs } from '../src/panes/reading/windows.js';
import { usage } from '../src/panes/usage.js';
import { schemaFiles } from '../test/helpers/template.js';
import { connected, serverCpuMs, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';
import { fillUsage } from './lib/usage-data.js';

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '1000000' },
    calls: { type: 'string', default: '3' },
    refreshes: { type: 'string', default: '5' },
    days: { type: 'string', default: '30' },
  },
});
const days = Number(flags.days);
const windowMs = days * 86_400_000;

async function fill(client: pg.Client): Promise<void> {
  const apply = async (wanted: (file: string) => boolean) => {
    for (const file of schemaFiles().filter((path) => wanted(basename(path)))) {
      await client.query(readFileSync(file, 'utf8'));
    }
  };
  await apply((file) => file < '009');
  await fillUsage(client, {
    traces: Math.round(Number(flags.traces) * 1.25),
    callsPerTrace: Number(flags.calls),
    tracesPerSession: 40,
    days: days * 1.25,
  });
  await client.query(`SET maintenance_work_mem = '1GB'`);
  await apply((file) => file >= '009');
  await client.query('VACUUM (ANALYZE)');
}

/** Tokens, cents and calls of the window that was read at `nowMs`; what began later counts, too. */
async function plainSums(client: pg.Client, nowMs: number): Promise<string> {
  const { rows } = await client.query<{ tokens: string; cents: string; calls: string }>(
    `SELECT sum(input_tokens + cache_read_tokens + cache_creation_tokens + output_tokens) AS tokens,
       round(sum(cost_usd) * 100) AS cents,
       (SELECT count(*) FROM endpoint_calls WHERE started_at > $1) AS calls
     FROM execution_traces WHERE started_at > $1`,
    [new Date(nowMs - windowMs)],
  );
  return `${rows[0]?.tokens} tokens, ${rows[0]?.cents} cents, ${rows[0]?.calls} calls`;
}

async function measure(database: Database, client: pg.Client, grouping: string): Promise<void> {
  const shape = await readShape(database);
  const reader = usage.createReader();
  const read = (untilMs?: number) =>
    reader.read({
      ...{ shape, windowMs, untilMs, grouping, stuckAfterMs: defaultStuckAfterMs, exact: false },
      capabilities: database.capabilities,
      database,
      transaction: (work) => database.transaction({ ...usage.limits, readOnly: true }, work),
    });
  const serverMs = async () => (await serverCpuMs(client)) ?? NaN;
  const [began, serverBegan] = [performance.now(), await serverMs()];
  let result = await read();
  const [firstMs, firstShare] = [performance.now() - began, result.loading?.share ?? 1];
  let shownMs = firstMs;
  let slowestMs = firstMs;
  while (result.loading) {
    // The console does the same between two pieces.
    await sleep(20);
    const before = performance.now();
    const wasShown = result.loading.share < 0.5;
    result = await read();
    slowestMs = Math.max(slowestMs, performance.now() - before);
    if (wasShown) shownMs = performance.now() - began;
  }
  const wholeMs = performance.now() - began;
  const wholeServerMs = (await serverMs()) - serverBegan;
  const [walls, servers, clients]: [number[], number[], number[]] = [[], [], []];
  for (let refresh = 0; refresh < Number(flags.refreshes); refresh += 1) {
    await sleep(2_000);
    const [before, serverBefore] = [performance.now(), await serverMs()];
    const clientBefore = process.cpuUsage();
    result = await read();
    const spent = process.cpuUsage(clientBefore);
    clients.push((spent.user + spent.system) / 1_000);
    walls.push(performance.now() - before);
    servers.push((await serverMs()) - serverBefore);
  }
  const { tokens, costUsd, calls, groups } = result.extras;
  const ours = `${tokens} tokens, ${Math.round((costUsd ?? 0) * 100)} cents, ${calls} calls`;
  const plain = await plainSums(client, result.asOf.getTime());
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  console.log(
    `  ${grouping.padEnd(8)} first ${ms(firstMs)} (${(100 * firstShare).toFixed(0)} %), window ${ms(shownMs)}, ` +
      `with the one before ${ms(wholeMs)} (server ${ms(wholeServerMs)}, slowest piece ${ms(slowestMs)}); refresh ` +
      `${ms(quantile(walls, 0.5))} (server ${quantile(servers, 0.5).toFixed(0)}, client ${quantile(clients, 0.5).toFixed(0)}); ` +
      `${groups} groups, ${result.notes.join('; ') || 'no note'}; ${ours === plain ? 'sums as SQL' : `SUMS DIFFER: ${ours} / ${plain}`}`,
  );
}

await withBenchServer(
  async (server) => {
    console.log(`${server.description}; ${flags.traces} traces in ${days} days`);
    const url = await server.create('bench_usage');
    await connected(url, fill);
    const source = resolveSource({ url, environment: {} });
    if (source.kind === 'embedded') throw new Error('a URL names a server');
    const database = await Database.open(source);
    try {
      await connected(url, async (client) => {
        for (const { id } of usage.groupings ?? []) await measure(database, client, id);
      });
      console.log(`  client: ${Math.round(process.memoryUsage().rss / 1e6)} MB at the end`);
    } finally {
      await database.close();
    }
    await server.drop('bench_usage');
  },
  { shared_buffers: '1GB', max_wal_size: '8GB', synchronous_commit: 'off' },
);
