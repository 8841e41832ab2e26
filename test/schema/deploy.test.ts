import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { psql } from '../helpers/psql.js';
import { schemaFiles } from '../helpers/template.js';
import { countObjects } from './counts.js';
import { dumpSchema, withSettings } from './dump.js';

const files = schemaFiles();
const expected = {
  tables: 8,
  indexes: 60,
  named_indexes: 48,
  views: 5,
  functions: 6,
  triggers: 8,
  policies: 0,
  extensions: 2,
};

test('psql runs the files one by one, and a second run changes nothing', async () => {
  const database = await createTestDatabase({ schema: false });
  const first = await psql(database.url, { files });
  expect(first.stderr).not.toMatch(/ERROR|WARNING/);
  expect(await countObjects(database)).toEqual(expected);

  await database.query(
    `COMMENT ON INDEX idx_execution_traces_root IS 'a note of the administrator'`,
  );
  const before = await dumpSchema(database.url);
  const second = await psql(database.url, { files });
  expect(second.stderr).not.toMatch(/ERROR|WARNING/);
  expect(await dumpSchema(database.url)).toBe(before);
});

test('a second run waits for no reader or writer', async () => {
  const database = await createTestDatabase();
  const busy = await database.pool.connect();
  try {
    await busy.query(`BEGIN;
      INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
        VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'open');
      INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
        SELECT id, 'a', 1, 'explicit' FROM execution_traces;
      INSERT INTO hook_executions (trace_id, hook_type, hook_name) SELECT id, 'Stop', 'h' FROM execution_traces;
      INSERT INTO endpoint_calls (trace_id, service_name, endpoint_url, http_method)
        SELECT id, 's', 'u', 'GET' FROM execution_traces;
      INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('p', 'i');
      INSERT INTO pattern_usage_log (pattern_id) SELECT id FROM success_patterns;
      INSERT INTO agent_chaining_patterns (chain_hash, primary_agent) VALUES ('c', 'a');
      INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern) VALUES ('e', 'E', 'm');
      TABLE trace_summary; TABLE pattern_effectiveness; TABLE agent_performance; TABLE error_analysis;
      TABLE dashboard_summary;`);
    const result = await psql(withSettings(database.url, { lock_timeout: '500ms' }), { files });
    expect(result).toMatchObject({ exitCode: 0 });
  } finally {
    await busy.query('ROLLBACK');
    busy.release();
  }
});

test('all files as one, in one transaction', async () => {
  const database = await createTestDatabase({ schema: false });
  await database.query(files.map((file) => readFileSync(file, 'utf8')).join('\n'));
  expect(await countObjects(database)).toEqual(expected);
});

test('no file says BEGIN, COMMIT or CONCURRENTLY, a psql command, or names the schema public', () => {
  for (const file of files) {
    const sql = readFileSync(file, 'utf8').replaceAll(/--.*$/gm, '');
    expect(sql, file).not.toMatch(/^\s*(BEGIN|COMMIT)\s*;|CONCURRENTLY|^\s*\\|public\./im);
  }
});

test('objects go into the first schema of search_path; extensions stay in theirs', async () => {
  const database = await createTestDatabase({ schema: false });
  await database.query(`CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions;
    CREATE SCHEMA "Trace store"; CREATE TABLE execution_traces (same_name_elsewhere int)`);
  const url = withSettings(database.url, { search_path: '"Trace store",public' });
  for (const run of ['first', 'second']) {
    const result = await psql(url, { files });
    expect(result, run).toMatchObject({ exitCode: 0 });
  }
  expect(await countObjects(database, 'Trace store')).toEqual(expected);
  const used = await psql(url, {
    commands: [
      `SELECT done FROM archive_traces('90 days')`,
      `SELECT patterns FROM prune_patterns()`,
      `SELECT count(*) FROM get_trace_timeline(gen_random_uuid())`,
      `SELECT count(*) FROM find_similar_patterns(array_fill(0.1::real, ARRAY[1536])::extensions.vector)`,
    ],
  });
  expect(used).toMatchObject({ stdout: 't\n0\n0\n0\n', exitCode: 0 });
  const { rows } = await database.query(
    `SELECT extname, extnamespace::regnamespace::text AS schema FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1`,
  );
  expect(rows).toEqual([
    { extname: 'uuid-ossp', schema: 'public' },
    { extname: 'vector', schema: 'extensions' },
  ]);
  const { rows: elsewhere } = await database.query(
    `SELECT attname FROM pg_attribute WHERE attrelid = 'public.execution_traces'::regclass AND attnum > 0`,
  );
  expect(elsewhere).toEqual([{ attname: 'same_name_elsewhere' }]);
});

test('a table of the same name and another shape stops the files and stays as it was', async () => {
  const database = await createTestDatabase({ schema: false });
  await database.query(
    `CREATE TABLE agent_routing_decisions (id int PRIMARY KEY, correlation_id uuid, user_request text, selected_agent text)`,
  );
  const result = await psql(database.url, { files });
  expect(result.exitCode).toBe(3);
  expect(result.stderr).toContain('column "updated_at" does not exist');
  await database.query(
    `INSERT INTO agent_routing_decisions VALUES (1); UPDATE agent_routing_decisions SET id = 2`,
  );
  expect((await countObjects(database)).triggers).toBe(1);
});

test('the vector indexes are built with 256 MB, which does not outlive them', async () => {
  const database = await createTestDatabase({ schema: false });
  const url = withSettings(database.url, { maintenance_work_mem: '16MB' });
  const result = await psql(url, { files, commands: ['SHOW maintenance_work_mem'] });
  expect(result).toMatchObject({ exitCode: 0 });
  expect(result.stdout).toContain('16MB');
  const { rows } = await database.query(
    `SELECT relname, reloptions FROM pg_class WHERE relname IN ('idx_pattern_embedding', 'idx_routing_embedding') ORDER BY 1`,
  );
  expect(rows).toEqual([
    { relname: 'idx_pattern_embedding', reloptions: ['lists=100'] },
    { relname: 'idx_routing_embedding', reloptions: ['lists=100'] },
  ]);
});

test('every index says which question needs it, every view over which period it looks', async () => {
  const database = await createTestDatabase();
  const { rows } = await database.query<{ relname: string }>(
    `SELECT relname FROM pg_class
     WHERE (relname LIKE 'idx\\_%' OR (relkind IN ('v', 'r') AND relnamespace = 'public'::regnamespace
            AND relname NOT LIKE '%\\_archive'))
       AND relnamespace = 'public'::regnamespace AND COALESCE(obj_description(oid, 'pg_class'), '') = ''`,
  );
  expect(rows.map((row) => row.relname)).toEqual([]);
});
