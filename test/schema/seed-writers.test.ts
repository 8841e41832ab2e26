import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { psql } from '../helpers/psql.js';
import { corrected, printed } from './seed/blocks.js';

const run = promisify(execFile);
const examples = join(import.meta.dirname, '../../examples');
const pythonFile = join(examples, 'python/write_traces.py');
const python = readFileSync(pythonFile, 'utf8');

/** The tree that both examples write, without its times. */
const written = [
  { depth: 0, kind: 'trace', name: 'user_prompt', status: 'completed' },
  { depth: 1, kind: 'routing_decision', name: 'performance-analyst', status: null },
  { depth: 1, kind: 'hook', name: 'context-injector', status: 'completed' },
  { depth: 2, kind: 'endpoint_call', name: 'search', status: '200' },
  { depth: 1, kind: 'trace', name: 'agent_delegation', status: 'completed' },
];

async function expectWritten(database: TestDatabase): Promise<void> {
  const { rows: roots } = await database.query<{ correlation_id: string }>(
    `SELECT correlation_id, success, duration_ms IS NOT NULL AS timed, input_tokens, output_tokens, cost_usd
     FROM execution_traces WHERE correlation_id = root_id`,
  );
  expect(roots).toEqual([
    {
      correlation_id: expect.any(String) as string,
      success: true,
      timed: true,
      input_tokens: '5200',
      output_tokens: '910',
      cost_usd: '0.042100',
    },
  ]);
  const { rows } = await database.query(
    'SELECT depth, kind, name, status FROM get_trace_timeline($1)',
    [roots[0]?.correlation_id],
  );
  expect(rows).toHaveLength(written.length);
  expect(rows).toEqual(expect.arrayContaining(written));
}

test('plain SQL: the file writes one whole tree a run', async () => {
  const file = join(examples, 'sql/write-trace.sql');
  const database = await createTestDatabase();
  expect(await psql(database.url, { files: [file] })).toMatchObject({ exitCode: 0 });
  await expectWritten(database);

  // Without a command of psql it is also one text for an SQL editor.
  const another = await createTestDatabase();
  await another.query(readFileSync(file, 'utf8'));
  await expectWritten(another);
});

/** The example's statements by name, their `:name` parameters as $1, $2, … in the order of `names`. */
function statements(): Map<string, { sql: string; names: string[] }> {
  const found = [...python.matchAll(/^([A-Z_]+) = """([^"]+)"""$/gm)].map(
    ([, name = '', body = '']) => {
      const names: string[] = [];
      const sql = body.replaceAll(/:([a-z_]+)/g, (_, parameter: string) => {
        if (!names.includes(parameter)) names.push(parameter);
        return `$${names.indexOf(parameter) + 1}`;
      });
      return [name, { sql, names }] as const;
    },
  );
  return new Map(found);
}

test('Python: its statements write the tree, run here in their order', async () => {
  const database = await createTestDatabase();
  const known = statements();
  expect([...known.keys()].sort()).toEqual([
    'FINISH_TRACE',
    'INSERT_ENDPOINT_CALL',
    'INSERT_HOOK',
    'INSERT_ROUTING_DECISION',
    'INSERT_TRACE',
  ]);
  const execute = async (name: string, values: Record<string, unknown>) => {
    const { sql, names } = known.get(name) ?? { sql: '', names: [] };
    const { rows } = await database.query<{ id: string }>(
      sql,
      names.map((parameter) => values[parameter] ?? null),
    );
    return rows[0]?.id;
  };
  const session_id = '00000000-0000-4000-8000-000000000001';
  const root_id = '00000000-0000-4000-8000-000000000002';
  const trace = { session_id, root_id, context: '{}' };
  const trace_id = await execute('INSERT_TRACE', {
    ...trace,
    correlation_id: root_id,
    source: 'user_prompt',
  });
  await execute('INSERT_ROUTING_DECISION', {
    trace_id,
    agent_selected: 'performance-analyst',
    confidence_score: 0.91,
    routing_strategy: 'fuzzy_match',
    alternatives: '[]',
  });
  const hook_execution_id = await execute('INSERT_HOOK', {
    trace_id,
    hook_type: 'PreToolUse',
    hook_name: 'context-injector',
    execution_order: 1,
    status: 'completed',
    duration_ms: 120,
    input_data: '{}',
  });
  await execute('INSERT_ENDPOINT_CALL', {
    trace_id,
    hook_execution_id,
    service_name: 'search',
    endpoint_url: 'http://search:8055/query',
    http_method: 'POST',
    status_code: 200,
    duration_ms: 85,
  });
  const delegated = await execute('INSERT_TRACE', {
    ...trace,
    correlation_id: '00000000-0000-4000-8000-000000000003',
    parent_id: root_id,
    source: 'agent_delegation',
  });
  await execute('FINISH_TRACE', { trace_id: delegated, status: 'completed' });
  await execute('FINISH_TRACE', {
    trace_id,
    status: 'completed',
    input_tokens: 5200,
    output_tokens: 910,
    cost_usd: 0.0421,
  });
  await expectWritten(database);
});

test('Python: the engine is the documented one, within 5 to 20 connections', () => {
  const engine = (text: string) => ({
    pool: /poolclass=(\w+)/.exec(text)?.[1],
    ping: /pool_pre_ping=(\w+)/.exec(text)?.[1],
    size: Number(/pool_size=(\d+)/.exec(text)?.[1]),
    most: Number(/pool_size=(\d+)/.exec(text)?.[1]) + Number(/max_overflow=(\d+)/.exec(text)?.[1]),
  });
  expect(engine(printed('local-deployment/07-engine.py'))).toEqual({
    pool: 'QueuePool',
    ping: 'True',
    size: 10,
    most: 30,
  });
  const within = { pool: 'QueuePool', ping: 'True', size: 5, most: 20 };
  expect(engine(corrected('local-deployment/07-engine.py'))).toEqual(within);
  expect(engine(python)).toEqual(within);
});

/** Python with SQLAlchemy and psycopg, where there is one: `TRACE_CONSOLE_TEST_PYTHON`, else python3. */
async function pythonWithPackages(): Promise<string | undefined> {
  const program = process.env.TRACE_CONSOLE_TEST_PYTHON ?? 'python3';
  try {
    await run(program, ['-c', 'import sqlalchemy, psycopg']);
    return program;
  } catch {
    return undefined;
  }
}

test('Python: the program itself writes the tree, where its packages are installed', async () => {
  const program = await pythonWithPackages();
  // Elsewhere the test of its statements, above, has to do.
  if (program === undefined) return;
  const database = await createTestDatabase();
  const { stdout } = await run(program, ['-B', pythonFile], {
    env: { PATH: process.env.PATH, TRACEABILITY_DB_URL: database.url },
  });
  expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
  await expectWritten(database);
});
