import pg from 'pg';
import { expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { psql } from '../helpers/psql.js';
import { runOnce } from '../helpers/template.js';
import { countObjects } from './counts.js';
import { withSettings } from './dump.js';
import { correctedFile, pathOf, printed } from './seed/blocks.js';
import { runBlock } from './seed/run.js';

/** 300 patterns and as many decisions, with random embeddings. */
const embeddings = `
  INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
    SELECT n::text, 'i', (SELECT array_agg(random() + 0 * (n + d)) FROM generate_series(1, 1536) AS d)::real[]::vector(1536)
    FROM generate_series(1, 300) AS n;
  WITH trace AS (
    INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
    VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'embeddings') RETURNING id)
  INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy, query_embedding)
    SELECT trace.id, 'a', 1, 'explicit', prompt_embedding FROM trace, success_patterns`;

async function vectorIndexes(database: TestDatabase): Promise<Record<string, string>> {
  const { rows } = await database.query<{ relname: string; relfilenode: string }>(
    `SELECT relname, relfilenode::text FROM pg_class WHERE relname IN ('idx_pattern_embedding', 'idx_routing_embedding')`,
  );
  return Object.fromEntries(rows.map(({ relname, relfilenode }) => [relname, relfilenode]));
}

async function analyzed(database: TestDatabase): Promise<string[]> {
  const { rows } = await database.query<{ relname: string }>(
    `SELECT relname FROM pg_stat_user_tables WHERE last_analyze IS NOT NULL ORDER BY 1`,
  );
  return rows.map(({ relname }) => relname);
}

test.each([
  [
    'schema-readme/07-index-maintenance.sql',
    ['agent_routing_decisions', 'execution_traces', 'pattern_usage_log', 'success_patterns'],
  ],
  ['local-deployment/09-index-maintenance.sql', ['execution_traces', 'success_patterns']],
])(
  'index maintenance as printed in %s: analyzed, and both indexes rebuilt',
  async (file, tables) => {
    const database = await createTestDatabase();
    await database.query(embeddings);
    const before = await vectorIndexes(database);
    const result = await psql(database.url, { files: [pathOf(file)] });
    expect(result).toMatchObject({ exitCode: 0 });
    const after = await vectorIndexes(database);
    expect(Object.keys(after)).toHaveLength(2);
    for (const [name, node] of Object.entries(after)) expect(node).not.toBe(before[name]);
    expect(await analyzed(database)).toEqual(tables);
  },
);

/** As many patterns as a build samples for its centres, 10,000, each in a direction of its own. */
const manyEmbeddings = `
  INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
    SELECT n::text, 'i', (array_fill(1::real, ARRAY[1535]) || n::real)::vector(1536) FROM generate_series(1, 10000) AS n`;

test('slow vector queries: the printed rebuild ends without an index, the corrected one does not', async () => {
  const file = 'schema-readme/11-slow-vector-queries.sql';
  const lists = `SELECT reloptions, indisvalid FROM pg_class JOIN pg_index ON indexrelid = oid
    WHERE relname = 'idx_pattern_embedding'`;
  const database = await createTestDatabase();
  await database.query(manyEmbeddings);
  // The server's default, whatever that of the test server is.
  const url = withSettings(database.url, { maintenance_work_mem: '64MB' });

  const right = await psql(url, { files: [pathOf(correctedFile(file))] });
  expect(right).toMatchObject({ exitCode: 0 });
  expect((await database.query(lists)).rows).toEqual([
    { reloptions: ['lists=200'], indisvalid: true },
  ]);
  expect(await countObjects(database)).toMatchObject({ indexes: 60, named_indexes: 48 });

  const wrong = await psql(url, { files: [pathOf(file)] });
  expect(wrong.stderr).toMatch(/memory required is \d+ MB, maintenance_work_mem is 64 MB/);
  expect((await database.query(lists)).rows).toEqual([]);
}, 120_000);

test('vector operations fail: the extension cannot be dropped, and with CASCADE the embeddings go', async () => {
  const file = 'local-deployment/11-vector-operations-fail.sql';
  const database = await createTestDatabase();
  await database.query(embeddings);
  await expect(database.query(printed(file))).rejects.toThrow(
    'cannot drop extension vector because other objects depend on it',
  );

  const right = await psql(database.url, { files: [pathOf(correctedFile(file))] });
  expect(right).toMatchObject({ exitCode: 0 });
  expect(right.stdout).toMatch(/^[\d.]+\|public$/m);
  const { rows } = await database.query(
    'SELECT count(prompt_embedding) AS n FROM success_patterns',
  );
  expect(rows).toEqual([{ n: '300' }]);

  await database.query('DROP EXTENSION vector CASCADE; CREATE EXTENSION vector');
  await expect(database.query('SELECT prompt_embedding FROM success_patterns')).rejects.toThrow(
    'column "prompt_embedding" does not exist',
  );
});

test('recommended settings: shared_buffers needs a restart, the others hold for the session', async () => {
  const file = 'schema-readme/06-recommended-settings.sql';
  const server = await startPrivateServer();
  const [before] = await runOnce<{ shared_buffers: string }>(
    server.adminUrl,
    'SHOW shared_buffers',
  );
  expect(before?.shared_buffers).not.toBe('256MB');
  await expect(runOnce(server.adminUrl, printed(file))).rejects.toThrow(
    'parameter "shared_buffers" cannot be changed without restarting the server',
  );

  const { stdout, exitCode } = await psql(server.adminUrl, {
    files: [pathOf(correctedFile(file))],
    commands: [
      'SHOW max_parallel_workers_per_gather',
      'SHOW maintenance_work_mem',
      'SHOW effective_cache_size',
      'SHOW work_mem',
    ],
  });
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '4\n256MB\n1GB\n16MB\n' });
  // The harness gives its settings on the command line, as docker-compose.yml does: there they win over ALTER SYSTEM.
  delete server.process.settings.shared_buffers;
  await server.stop();
  await server.start();
  const client = new pg.Client({ connectionString: server.adminUrl });
  await client.connect();
  try {
    const [buffers, memory] = await runBlock(client, 'SHOW shared_buffers; SHOW work_mem');
    expect(buffers?.rows).toEqual([{ shared_buffers: '256MB' }]);
    // SET ended with its session.
    expect(memory?.rows).not.toEqual([{ work_mem: '16MB' }]);
  } finally {
    await client.end();
  }
}, 120_000);
