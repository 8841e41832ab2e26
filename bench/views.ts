import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { applySchemaFiles, schemaFiles } from '../test/helpers/template.js';
import { connected, keptFlags, serverCpuMs, withBenchServer } from './lib/bench-server.js';
import {
  copyName,
  dropStatement,
  materializeStatements,
  refreshStatement,
} from '../src/deploy/materialized.js';
import { quantile } from './lib/quantile.js';
import { fillTraces } from './lib/trace-data.js';

// How long the five views, agent_performance as a materialized view and a trace's timeline take. Limits at 1 M traces: 200 ms a
// view, agent_performance 1 s; the
// timeline of a tree of 1,000 events 15 ms. Two thirds of the traces are of the last 30 days, which is what agent_performance
// and error_analysis look at: 667,000 executions, and some 80,000 failures.
//
//   npm run bench -- views [--traces 1000000] [--rounds 7] [--data FOLDER [--fill]]

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '7' },
    ...keptFlags,
  },
});
const traces = Math.ceil(Number(flags.traces) / 8) * 8;
const rounds = Number(flags.rounds);

/** A name, its limit in milliseconds, and what is asked. */
const questions = [
  ['trace_summary', 200, 'SELECT * FROM trace_summary ORDER BY started_at DESC LIMIT 50'],
  [
    'pattern_effectiveness',
    200,
    'SELECT * FROM pattern_effectiveness ORDER BY success_rate DESC, total_usage_count DESC LIMIT 10',
  ],
  ['agent_performance', 1_000, 'SELECT * FROM agent_performance'],
  ['agent_performance, materialized', 200, 'SELECT * FROM trace_console.public_agent_performance'],
  ['error_analysis', 200, 'SELECT * FROM error_analysis'],
  ['dashboard_summary', 200, 'SELECT * FROM dashboard_summary'],
  [
    'timeline of 1,000 events',
    15,
    `SELECT * FROM get_trace_timeline('00000000-0000-4000-8000-000000000001')`,
  ],
] as const;

const patterns = `
  INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, failure_count, total_usage_count)
  SELECT n::text, 'intent ' || n % 40, n % 91, n % 7, n % 91 + n % 7 FROM generate_series(1, 50000) AS n`;

/** A tree of 40 traces, each with a decision, 16 hooks and 7 calls of them. */
const tree = `
  WITH trace AS (
    INSERT INTO execution_traces (correlation_id, root_id, parent_id, session_id, source, status, started_at, completed_at)
    SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, '00000000-0000-4000-8000-000000000001',
      CASE WHEN n > 1 THEN ('00000000-0000-4000-8000-' || lpad((n / 2)::text, 12, '0'))::uuid END,
      '00000000-0000-4000-8000-000000000001', 'user_prompt', 'completed', now() - interval '1 hour' + n * interval '1 s', now()
    FROM generate_series(1, 40) AS n RETURNING id, started_at
  ), decision AS (
    INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
    SELECT id, 'agent-1', 0.9, 'explicit' FROM trace
  ), hook AS (
    INSERT INTO hook_executions (trace_id, hook_type, hook_name, tool_name, status, started_at)
    SELECT id, 'PreToolUse', 'hook-' || j, 'Bash', 'completed', started_at + j * interval '10 ms'
    FROM trace CROSS JOIN generate_series(1, 16) AS j RETURNING id, trace_id, hook_name, started_at
  )
  INSERT INTO endpoint_calls (trace_id, hook_execution_id, service_name, endpoint_url, http_method, started_at)
  SELECT trace_id, id, 'api', 'https://api.internal/v1', 'POST', started_at FROM hook WHERE hook_name <= 'hook-15'`;

async function fill(client: pg.Client): Promise<void> {
  const files = schemaFiles().map((file) => readFileSync(file, 'utf8'));
  await client.query(files.slice(0, 8).join('\n'));
  await fillTraces(client, { traces, hooksPerTrace: 2, callsPerTrace: 1, days: 45 });
  // Twenty types each of errors: error_analysis looks for the agents behind each.
  await client.query(
    `SET session_replication_role = replica;
     UPDATE execution_traces SET error_type = 'trace error ' || abs(hashtext(id::text)) % 20 WHERE status = 'failed';
     UPDATE hook_executions SET error_type = 'hook error ' || abs(hashtext(id::text)) % 20 WHERE status = 'failed';
     RESET session_replication_role`,
  );
  await client.query(files.slice(8).join('\n'));
  await client.query(patterns);
  await client.query(tree);
  await client.query('VACUUM (ANALYZE)');
}

/** The first time fills the caches. */
async function ask(client: pg.Client, sql: string): Promise<{ times: number[]; rows: number }> {
  const times: number[] = [];
  let rows = (await client.query(sql)).rows.length;
  for (let round = 0; round < rounds; round += 1) {
    const begun = performance.now();
    rows = (await client.query(sql)).rows.length;
    times.push(performance.now() - begun);
  }
  return { times, rows };
}

await withBenchServer(
  async (server) => {
    console.log(`${server.description}; ${traces} traces of 45 days`);
    const url = await server.filled(`bench_views_${traces}`, (empty) => connected(empty, fill));
    if (flags.fill) return;
    // What was kept may have been filled before the newest files.
    await applySchemaFiles(url);
    await connected(url, async (client) => {
      const copy = copyName('public', 'agent_performance') ?? '';
      await client.query('CREATE SCHEMA IF NOT EXISTS trace_console');
      for (const sql of materializeStatements('public', 'agent_performance', copy))
        await client.query(sql);
      for (const [name, limit, sql] of questions) {
        const { times, rows } = await ask(client, sql);
        // Of parallel workers the processor time is not known: it is taken without them.
        await client.query('SET max_parallel_workers_per_gather = 0');
        const cpuBefore = await serverCpuMs(client);
        await ask(client, sql);
        const cpuAfter = await serverCpuMs(client);
        await client.query('RESET max_parallel_workers_per_gather');
        const cpu =
          cpuBefore === undefined || cpuAfter === undefined
            ? '?'
            : ((cpuAfter - cpuBefore) / (rounds + 1)).toFixed(0);
        console.log(
          `  ${name.padEnd(31)} ${quantile(times, 0.5).toFixed(1)} ms (best ${Math.min(...times).toFixed(1)}), ` +
            `${cpu} ms of one processor, ${rows} rows (limit ${limit} ms)`,
        );
      }
      const begun = performance.now();
      await client.query(refreshStatement(copy));
      console.log(
        `  refresh of the materialized view ${(performance.now() - begun).toFixed(0)} ms`,
      );
      await client.query(dropStatement(copy));
    });
  },
  { shared_buffers: '2GB', max_wal_size: '8GB', synchronous_commit: 'off' },
  flags.data,
);
