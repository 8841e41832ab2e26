import { parseArgs } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { resolveSource, type ServerSource } from '../src/db/connection/source.js';
import { Database } from '../src/db/database.js';
import { runDemo } from '../src/demo/run.js';
import { learnAll } from '../test/learning/helpers.js';
import { applySchemaFiles } from '../test/helpers/template.js';
import { type BenchServer, connected, keptFlags, withBenchServer } from './lib/bench-server.js';
import { quantile } from './lib/quantile.js';

// Each tool of the MCP server through the SDK's client, by a role that may only SELECT, at many traces. Limit: each answer
// 200 ms. The server runs from the sources; its start and each tool's first answer are told apart.
//
//   npm run bench -- mcp [--traces 200000] [--rounds 30] [--data FOLDER [--fill]]

const { values: flags } = parseArgs({
  options: {
    traces: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '30' },
    ...keptFlags,
  },
});
const rounds = Number(flags.rounds);
const reader = 'mcp_bench_reader';
const print = (line: string) => process.stdout.write(`${line}\n`);

type Question = [tool: string, args: Record<string, unknown>];

/** Usual questions, and those that look furthest. */
function questions(id: string, session: string, event: string): Question[] {
  const long = { since_hours: 2_160 };
  return [
    ['list_traces', {}],
    ['list_traces', { ...long, status: 'failed', limit: 50 }],
    ['list_traces', { ...long, text: 'no prompt says this' }],
    ['list_traces', { ...long, session_id: session }],
    ['list_traces', { ...long, project: 'no such project' }],
    ['get_trace', { id }],
    ['get_trace', { id, limit: 100 }],
    ['get_trace', { event, field: 'input_data' }],
    ['search_events', {}],
    ['search_events', { ...long, tool: 'Bash', exit_code: 1 }],
    ['search_events', { ...long, tool: 'NoSuchTool' }],
    ['search_events', { ...long, file: 'no/such/file' }],
    ['search_events', { ...long, error: 'no such error' }],
    ['similar_patterns', { prompt: 'The login test is flaky, make it deterministic' }],
    ['usage', {}],
    ['usage', { by: 'day', since_hours: 720 }],
    ['usage', { by: 'project', since_hours: 720 }],
    ['known_errors', {}],
    ['known_errors', { text: 'timeout' }],
  ];
}

async function fill(url: string): Promise<void> {
  await applySchemaFiles(url);
  const source = resolveSource({ url, environment: {} }) as ServerSource;
  const database = await Database.open(source);
  await runDemo(database, { seed: 1, backfillMs: 60 * 86_400_000, traces: Number(flags.traces) });
  await learnAll(database);
  await database.close();
  await connected(url, (client) => client.query('VACUUM (ANALYZE)'));
}

async function ask(server: BenchServer): Promise<void> {
  const kept = `mcp_${flags.traces}`;
  await server.filled(kept, fill);
  if (flags.fill) return;
  const url = await server.create('mcp_bench', kept);
  const ids = await connected(url, async (client) => {
    await client.query(
      `DROP ROLE IF EXISTS ${reader}; CREATE ROLE ${reader} LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA public TO ${reader};
       GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${reader}`,
    );
    // The largest of the newest trees.
    const { rows } = await client.query<{ id: string; session: string; event: string }>(
      `SELECT t.root_id AS id, min(t.session_id::text) AS session, min(h.id::text) AS event
       FROM (SELECT * FROM execution_traces ORDER BY started_at DESC LIMIT 5000) AS t
       JOIN hook_executions AS h ON h.trace_id = t.id GROUP BY 1 ORDER BY count(*) DESC LIMIT 1`,
    );
    return rows[0] ?? { id: '', session: '', event: '' };
  });
  const address = new URL(url);
  address.username = reader;
  address.password = 'reader';
  const client = new Client({ name: 'bench', version: '1' });
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: ['--import', 'tsx', 'src/cli/main.ts', 'mcp', '--url', address.href],
    }),
  );
  print(
    `${server.description}; ${flags.traces} traces, ${rounds} rounds by a role that may only SELECT`,
  );
  for (const [name, args] of questions(ids.id, ids.session, ids.event)) {
    const times: number[] = [];
    let characters = 0;
    for (let round = 0; round <= rounds; round += 1) {
      const begun = performance.now();
      const answer = await client.callTool({ name, arguments: args });
      times.push(performance.now() - begun);
      if (answer.isError === true) throw new Error(`${name}: ${JSON.stringify(answer.content)}`);
      characters = JSON.stringify(answer.content).length;
    }
    const [first = 0, ...others] = times;
    const of = (share: number) => quantile(others, share).toFixed(1);
    print(
      `${name} ${JSON.stringify(args)}: first ${first.toFixed(1)} ms, p50 ${of(0.5)} ms, p99 ${of(0.99)} ms, ${characters} characters`,
    );
  }
  await client.close();
  await server.drop('mcp_bench');
  await connected(url.replace('mcp_bench', 'postgres'), (admin) =>
    admin.query(`DROP ROLE IF EXISTS ${reader}`),
  ).catch(() => undefined);
}

await withBenchServer(ask, undefined, flags.data);
