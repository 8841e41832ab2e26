import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { schemaFiles } from '../test/helpers/template.js';
import { type BenchServer, connected, withBenchServer } from './lib/bench-server.js';
import { type InsertLatency, insertBeside } from './lib/insert-load.js';
import { fillTraces } from './lib/trace-data.js';

// archive_traces against the plain statement that it replaces: the same rows, out of equal copies of one database, into
// the same archive tables. Limits: 0.85 of the statement's rate; the p99 of inserts beside it no worse than beside the
// statement, and 1.3 × that beside a mere CPU load at most.
//
//   npm run bench -- archive [--traces 400000] [--batch 5000] [--rounds 2] [--inserts]

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '400000' },
    batch: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '2' },
    inserts: { type: 'boolean', default: false },
  },
});
const traces = Math.ceil(Number(flags.traces) / 8) * 8;
const batchSize = Number(flags.batch);
const rounds = Number(flags.rounds);

type Result = { ms: number; rows: number; note: string };
type Archiver = (client: pg.ClientBase) => Promise<Omit<Result, 'ms'>>;

/** One moment for all runs, such that exactly half of the trees are older than 90 days: the plain statement tears others. */
let asOf = '';

const tables = ['endpoint_calls', 'hook_executions', 'agent_routing_decisions'] as const;

/** The seed's WITH moved AS (DELETE … RETURNING *) INSERT, extended to the children. */
const plainStatement: Archiver = async (client) => {
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
  return { rows: Number(rows[0]?.rows), note: 'one statement' };
};

const inBatches: Archiver = async (client) => {
  let rows = 0;
  let batches = 0;
  let longest = 0;
  let cursor: [string | null, string | null] = [null, null];
  for (;;) {
    const begun = performance.now();
    const { rows: result } = await client.query<{
      rows: string;
      next_started_at: string | null;
      next_id: string | null;
      done: boolean;
    }>(
      `SELECT execution_traces + agent_routing_decisions + hook_executions + endpoint_calls AS rows,
              next_started_at::text, next_id::text, done
       FROM archive_traces('90 days', $1, $2, after_started_at => $3, after_id => $4)`,
      [batchSize, asOf, ...cursor],
    );
    const batch = result[0];
    if (!batch) throw new Error('archive_traces returned no row');
    rows += Number(batch.rows);
    batches += 1;
    longest = Math.max(longest, performance.now() - begun);
    if (batch.done) break;
    cursor = [batch.next_started_at, batch.next_id];
  }
  return { rows, note: `${batches} batches, the longest ${Math.round(longest)} ms` };
};

async function measure(server: BenchServer, archiver: Archiver): Promise<Result> {
  const url = await server.create('bench_archive', 'bench_filled');
  const result = await connected(url, async (client) => {
    const begun = performance.now();
    const { rows, note } = await archiver(client);
    return { ms: performance.now() - begun, rows, note };
  });
  await server.drop('bench_archive');
  return result;
}

async function measureInserts(
  server: BenchServer,
  work: (client: pg.ClientBase) => Promise<unknown>,
): Promise<InsertLatency> {
  const url = await server.create('bench_archive', 'bench_filled');
  const latency = await insertBeside(url, () => connected(url, work));
  await server.drop('bench_archive');
  return latency;
}

async function fill(server: BenchServer): Promise<void> {
  const url = await server.create('bench_filled');
  await connected(url, async (client) => {
    const files = schemaFiles().map((file) => readFileSync(file, 'utf8'));
    await client.query(files.slice(0, 8).join('\n'));
    await fillTraces(client, { traces, hooksPerTrace: 4, callsPerTrace: 1, days: 180 });
    await client.query(files.slice(8).join('\n'));
    await client.query('VACUUM (ANALYZE)');
    const { rows } = await client.query<{ at: string }>(
      `SELECT (started_at + interval '90 days')::text AS at FROM execution_traces WHERE id = md5('trace' || $1::int)::uuid`,
      [traces / 2 + 1],
    );
    asOf = rows[0]?.at ?? '';
  });
}

const rate = ({ ms, rows }: Result): number => rows / (ms / 1000);

function print(name: string, result: Result): void {
  const seconds = (result.ms / 1000).toFixed(1);
  console.log(
    `  ${name.padEnd(16)} ${seconds} s, ${Math.round(rate(result))} rows/s (${result.note})`,
  );
}

await withBenchServer(async (server) => {
  console.log(`${server.description}; ${traces} traces with six children each, half of them due`);
  await fill(server);

  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const plain = await measure(server, plainStatement);
    print('plain statement', plain);
    const batched = await measure(server, inBatches);
    print('archive_traces', batched);
    if (plain.rows !== batched.rows) throw new Error(`${plain.rows} and ${batched.rows} rows`);
    ratios.push(rate(batched) / rate(plain));
  }
  const text = ratios.map((ratio) => ratio.toFixed(2)).join(', ');
  console.log(`archive rate, archive_traces / plain statement: ${text} (goal: at least 0.85)`);

  if (flags.inserts) {
    const latencies = {
      undisturbed: await measureInserts(server, (client) => client.query('SELECT pg_sleep(15)')),
      'beside a CPU load': await measureInserts(server, (client) =>
        client.query(
          `DO $$ BEGIN WHILE clock_timestamp() < now() + interval '15 s' LOOP END LOOP; END $$`,
        ),
      ),
      'beside the plain statement': await measureInserts(server, plainStatement),
      'beside archive_traces': await measureInserts(server, inBatches),
    };
    for (const [name, { inserts, p50, p99, worst }] of Object.entries(latencies)) {
      console.log(
        `  insert ${name}: p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, worst ${worst.toFixed(0)} ms (${inserts})`,
      );
    }
    const { p99 } = latencies['beside archive_traces'];
    console.log(
      `insert p99 beside archive_traces: ${(p99 / latencies['beside the plain statement'].p99).toFixed(2)} × beside the ` +
        `plain statement (goal: at most 1), ${(p99 / latencies['beside a CPU load'].p99).toFixed(2)} × beside a CPU load (goal: at most 1.3)`,
    );
  }
});
