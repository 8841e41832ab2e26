import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openDatabase } from '../src/embedded/index.js';
import { runAction } from '../src/maintenance/registry.js';
import { schemaFiles } from '../test/helpers/template.js';
import {
  type BenchServer,
  connected,
  keptFlags,
  serverCpuMs,
  withBenchServer,
} from './lib/bench-server.js';
import { type InsertLatency, insertBeside } from './lib/insert-load.js';
import { quantile } from './lib/quantile.js';
import { fillTraces } from './lib/trace-data.js';

// The console's archive action against the plain statement that it replaces: the same rows, out of equal copies of one
// database, into the same archive tables. Limits: 0.85 of the statement's rate; the p99 of inserts beside it no worse than
// beside the statement, and 1.3 × that beside a mere CPU load at most; the client's memory flat.
//
// On a machine that does other things as well the seconds of two runs say little: the processor time of the server's
// processes (from /proc, where the server is local) is compared beside them.
//
//   npm run bench -- archive [--traces 400000] [--rounds 2] [--inserts] [--data FOLDER [--fill]]

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '400000' },
    rounds: { type: 'string', default: '2' },
    inserts: { type: 'boolean', default: false },
    ...keptFlags,
  },
});
const traces = Math.ceil(Number(flags.traces) / 8) * 8;
const rounds = Number(flags.rounds);
const filledName = `archive_${traces}`;

type Result = {
  ms: number;
  /** Of the server's processes; undefined when they cannot be seen. */
  cpuMs: number | undefined;
  rows: number;
  note: string;
};
type Archiver = (url: string) => Promise<Omit<Result, 'ms'>>;

/** One moment for all runs, such that exactly half of the trees are older than 90 days: the plain statement tears others. */
let asOf = '';

const tables = ['endpoint_calls', 'hook_executions', 'agent_routing_decisions'] as const;

/** The seed's WITH moved AS (DELETE … RETURNING *) INSERT, extended to the children. */
const plainStatement: Archiver = (url) =>
  connected(url, async (client) => {
    const children = tables.map(
      (table) =>
        `${table}_moved AS (DELETE FROM ${table} WHERE trace_id IN (SELECT id FROM due) RETURNING *),
         ${table}_kept AS (INSERT INTO ${table}_archive SELECT *, now() FROM ${table}_moved RETURNING 1)`,
    );
    const counts = tables.map((table) => `(SELECT count(*) FROM ${table}_kept)`);
    const { rows } = await client.query<{ rows: string }>(
      `WITH due AS MATERIALIZED (SELECT id FROM execution_traces WHERE started_at < '${asOf}'::timestamptz - interval '90 days'),
       ${children.join(', ')},
       moved AS (DELETE FROM execution_traces WHERE id IN (SELECT id FROM due) RETURNING *),
       kept AS (INSERT INTO execution_traces_archive SELECT *, now() FROM moved RETURNING 1)
       SELECT (SELECT count(*) FROM kept) + ${counts.join(' + ')} AS rows`,
    );
    return {
      rows: Number(rows[0]?.rows),
      cpuMs: await serverCpuMs(client),
      note: 'one statement',
    };
  });

/** As `trace-console archive --pause 0` does it, with its journal, its batches and its ANALYZE at the end. */
const action: Archiver = async (url) => {
  const database = await openDatabase({ url });
  try {
    const age = await database.read<{ seconds: number }>(
      `SELECT round(extract(epoch FROM now() - ($1::timestamptz - interval '90 days')))::int AS seconds`,
      [asOf],
    );
    const olderThan = `${age[0]?.seconds ?? 0} seconds`;
    const context = { database, signal: new AbortController().signal };
    const events = runAction('archive', context, { olderThan, pauseMs: 0 });
    let steps = 0;
    let event = await events.next();
    const before = process.memoryUsage().heapUsed;
    let most = before;
    while (!event.done) {
      steps += 1;
      most = Math.max(most, process.memoryUsage().heapUsed);
      event = await events.next();
    }
    const grown = Math.round((most - before) / 1024 / 1024);
    return {
      rows: Object.values(event.value.result.moved).reduce((sum, count) => sum + count, 0),
      cpuMs: await database.transaction({ readOnly: true }, serverCpuMs),
      note: `${steps - 1} batches, the client's heap at most ${grown} MB above its start`,
    };
  } finally {
    await database.close();
  }
};

async function measure(server: BenchServer, archiver: Archiver): Promise<Result> {
  const url = await server.create('bench_archive', filledName);
  const begun = performance.now();
  const result = await archiver(url);
  const ms = performance.now() - begun;
  await server.drop('bench_archive');
  return { ...result, ms };
}

async function measureInserts(
  server: BenchServer,
  work: (url: string) => Promise<unknown>,
): Promise<InsertLatency> {
  const url = await server.create('bench_archive', filledName);
  const latency = await insertBeside(url, () => work(url));
  await server.drop('bench_archive');
  return latency;
}

const statement = (sql: string) => (url: string) => connected(url, (client) => client.query(sql));

async function fill(url: string): Promise<void> {
  await connected(url, async (client) => {
    const files = schemaFiles().map((file) => readFileSync(file, 'utf8'));
    await client.query(files.slice(0, 8).join('\n'));
    await fillTraces(client, { traces, hooksPerTrace: 4, callsPerTrace: 1, days: 180 });
    await client.query(files.slice(8).join('\n'));
    await client.query('VACUUM (ANALYZE)');
  });
}

/** A little before the first trace that is to stay: ages are told in whole seconds. */
async function halfOf(url: string): Promise<string> {
  const [row] = await connected(url, async (client) => {
    const { rows } = await client.query<{ at: string }>(
      `SELECT (started_at + interval '90 days' - interval '10 seconds')::text AS at FROM execution_traces WHERE id = md5('trace' || $1::int)::uuid`,
      [traces / 2 + 1],
    );
    return rows;
  });
  return row?.at ?? '';
}

function print(name: string, { ms, cpuMs, rows, note }: Result): void {
  const cpu = cpuMs === undefined ? '' : `, ${(cpuMs / 1000).toFixed(1)} s of processor`;
  console.log(
    `  ${name.padEnd(16)} ${(ms / 1000).toFixed(1)} s${cpu}, ${Math.round(rows / (ms / 1000))} rows/s (${note})`,
  );
}

await withBenchServer(
  async (server) => {
    console.log(`${server.description}; ${traces} traces with six children each, half of them due`);
    const url = await server.filled(filledName, fill);
    if (flags.fill) return;
    asOf = await halfOf(url);

    const ratios: string[] = [];
    const cpuRatios: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const plain = await measure(server, plainStatement);
      print('plain statement', plain);
      const batched = await measure(server, action);
      print('archive', batched);
      if (plain.rows !== batched.rows) throw new Error(`${plain.rows} and ${batched.rows} rows`);
      ratios.push((plain.ms / batched.ms).toFixed(2));
      if (plain.cpuMs !== undefined && batched.cpuMs !== undefined)
        cpuRatios.push((plain.cpuMs / batched.cpuMs).toFixed(2));
    }
    console.log(
      `archive rate, archive / plain statement: ${ratios.join(', ')} by the clock, ` +
        `${cpuRatios.join(', ') || '?'} by the server's processor time (goal: at least 0.85)`,
    );

    if (flags.inserts) {
      const besideStatement: number[] = [];
      const besideLoad: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const latencies = {
          undisturbed: await measureInserts(server, statement('SELECT pg_sleep(15)')),
          'beside a CPU load': await measureInserts(
            server,
            statement(
              `DO $$ BEGIN WHILE clock_timestamp() < now() + interval '15 s' LOOP END LOOP; END $$`,
            ),
          ),
          'beside the plain statement': await measureInserts(server, plainStatement),
          'beside archive': await measureInserts(server, action),
        };
        for (const [name, { inserts, p50, p99, worst }] of Object.entries(latencies)) {
          console.log(
            `  insert ${name}: p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, worst ${worst.toFixed(0)} ms (${inserts})`,
          );
        }
        const { p99 } = latencies['beside archive'];
        besideStatement.push(p99 / latencies['beside the plain statement'].p99);
        besideLoad.push(p99 / latencies['beside a CPU load'].p99);
      }
      const all = (ratios: readonly number[]) => ratios.map((one) => one.toFixed(2)).join(', ');
      console.log(
        `insert p99 beside archive: ${quantile(besideStatement, 0.5).toFixed(2)} × beside the ` +
          `plain statement (goal: at most 1), ${quantile(besideLoad, 0.5).toFixed(2)} × beside a CPU load (goal: at most 1.3); ` +
          `by round ${all(besideStatement)} and ${all(besideLoad)}`,
      );
    }
  },
  undefined,
  flags.data,
);
