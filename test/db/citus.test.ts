import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { applySchema } from '../../src/deploy/apply.js';
import { ConsoleError } from '../../src/db/errors.js';
import { keepSizes } from '../../src/deploy/kept-sizes.js';
import { checks, runChecks } from '../../src/maintenance/doctor/checks.js';
import { refusal } from '../../src/maintenance/guard.js';
import { searchOf } from '../../src/learning/router/suggest.js';
import { reindex } from '../../src/maintenance/reindex/reindex.js';
import { indexUsage } from '../../src/panes/index-usage.js';
import { panes } from '../../src/panes/registry.js';
import { tableSizes } from '../../src/panes/table-sizes.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase, readFresh } from '../panes/open.js';

/**
 * What the console reads of Citus, with the columns that it has there, and what a coordinator answered: `team_a` is a
 * schema whose tables are shells here, and lie on a worker. Nothing of Citus is in Debian, so the extension itself
 * is not here; test/citus.test.ts asks a real cluster.
 */
const recordedCoordinator = `
SET allow_system_table_mods = on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
SELECT 987654, 'citus', 10, 'pg_catalog'::regnamespace, false, '13.0-1';
CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid NOT NULL, colocationid int NOT NULL);
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char" NOT NULL, partkey text,
  colocationid int NOT NULL, repmodel "char" NOT NULL, autoconverted boolean NOT NULL);
CREATE TABLE pg_catalog.citus_shards (table_name regclass, shardid bigint, shard_name text, citus_table_type text,
  colocation_id int, nodename text, nodeport int, shard_size bigint);
GRANT SELECT ON pg_catalog.pg_dist_schema, pg_catalog.pg_dist_partition, pg_catalog.citus_shards TO PUBLIC;`;

const distribute = `
INSERT INTO pg_catalog.pg_dist_schema SELECT oid, 7 FROM pg_namespace WHERE nspname = 'public';
INSERT INTO pg_catalog.pg_dist_partition
SELECT c.oid, 'n', NULL, 7, 's', false FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r';
INSERT INTO pg_catalog.citus_shards
SELECT c.oid, 102000 + c.oid::bigint, c.relname || '_102000', 'schema', 7, 'worker-1', 5432,
  CASE c.relname WHEN 'execution_traces' THEN 123456789 ELSE 8192 END
FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r';`;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query(recordedCoordinator + distribute);
});

describe('in a schema whose tables lie on a worker', () => {
  it('shows the sizes of the shards, and of what only workers know nothing', async () => {
    const { rows, extras, notes } = await readFresh(await openDatabase(database.url), tableSizes);
    const [largest] = rows;
    expect(largest).toMatchObject({ table: 'execution_traces', totalBytes: 123_456_789 });
    expect(
      rows.map(({ heapBytes, rows: count, deadRows }) => [heapBytes, count, deadRows]),
    ).toEqual(rows.map(() => [null, null, null]));
    expect(extras.totalBytes).toBe(123_456_789 + 8_192 * (rows.length - 1));
    expect(notes.join()).toMatch(/Citus: sizes are those of the shards/);
  });

  it('does not call an index unused that is used elsewhere', async () => {
    const console_ = await openDatabase(database.url);
    await expect(readFresh(console_, indexUsage)).rejects.toMatchObject({ code: 'cluster' });
    const results = await runChecks(
      {
        capabilities: console_.capabilities,
        database: console_,
        transaction: (work) => console_.transaction({ readOnly: true }, work),
      },
      checks,
    );
    const passedOver = results.filter(({ evidence }) =>
      evidence.includes('workers of the Citus cluster'),
    );
    expect(passedOver.map(({ id }) => id).sort()).toEqual(
      [
        'bloat',
        'dead-rows',
        'growth',
        'index-bloat',
        'stale-statistics',
        'unused-indexes',
        'vector-lists',
        'vector-training',
      ].sort(),
    );
    expect(passedOver.every(({ severity }) => severity === 'skipped')).toBe(true);
  });

  it('refuses to rebuild the empty shell of an index', async () => {
    const console_ = await openDatabase(database.url);
    expect(refusal(console_, reindex, { vectors: true })).toMatchObject({ code: 'cluster' });
    const { exitCode, stderr } = await runCli([
      'reindex',
      '--vectors',
      '--yes',
      '--url',
      database.url,
    ]);
    expect(exitCode).toBe(4);
    expect(stderr).toContain('lie on workers of the Citus cluster');
    expect(stderr).toContain('citus_shards');
  });

  it('deploys nothing anew, verifies, shows every other pane and a trace, archives and restores as on one server', async () => {
    const run = (...args: string[]) => runCli([...args, '--url', database.url]);
    expect((await run('schema', 'verify')).exitCode).toBe(0);
    await database.query(
      `WITH trace AS (
         INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at, completed_at)
         SELECT id, id, id, 'user_prompt', 'completed', now() - age, now() - age
         FROM (VALUES ('00000000-0000-4000-8000-000000000001'::uuid, interval '1 minute'),
           ('00000000-0000-4000-8000-000000000002', interval '200 days')) AS made (id, age) RETURNING id, started_at
       )
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, started_at)
       SELECT id, 'PreToolUse', 'guard', 'completed', started_at FROM trace`,
    );
    const console_ = await openDatabase(database.url);
    const refused: string[] = [];
    for (const pane of panes) {
      await readFresh<object, object>(console_, pane).catch((error: unknown) => {
        refused.push(`${pane.id}: ${error instanceof ConsoleError ? error.code : 'another'}`);
      });
    }
    expect(refused).toEqual(['index-usage: cluster']);
    const old = '00000000-0000-4000-8000-000000000002';
    expect((await run('trace', old)).stdout).toContain('guard');
    expect((await run('archive', '--older-than', '90d', '--dry-run')).stdout).toContain(
      'there are no statistics to estimate them by',
    );
    const archived = await run('archive', '--older-than', '90d', '--yes', '--json');
    expect(archived.exitCode).toBe(0);
    expect(JSON.parse(archived.stdout)).toMatchObject({ bytes: null });
    const kept = 'SELECT count(*)::int AS n FROM execution_traces';
    expect((await database.query(kept)).rows).toEqual([{ n: 1 }]);
    expect((await run('archive', 'restore', old, '--yes')).exitCode).toBe(0);
    expect((await database.query(kept)).rows).toEqual([{ n: 2 }]);
    expect((await run('doctor')).exitCode).toBeLessThan(2);
  });

  it('vacuums, analyzes and prunes without figures of shells, writes a demo, and refuses materialized views', async () => {
    const run = (...args: string[]) => runCli([...args, '--url', database.url]);
    for (const command of ['vacuum', 'analyze']) {
      const { stdout } = await run(command, 'execution_traces', '--dry-run');
      expect(stdout).toContain('not known here: the rows lie on workers');
      expect(stdout).toContain('execution_traces  its rows lie on workers');
      const done = await run(command, 'execution_traces', '--yes');
      expect(done).toMatchObject({ exitCode: 0 });
      expect(done.stdout).not.toContain('dead rows');
    }
    expect(await run('prune', '--yes')).toMatchObject({ exitCode: 0 });
    const demo = ['demo', '--backfill', '1h', '--traces', '20', '--yes'];
    expect(await run(...demo)).toMatchObject({ exitCode: 0 });
    const refused = await run('schema', 'materialize', '--yes');
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain('lie on workers of the Citus cluster');
  });

  it('is a line of the fleet with the size of its own shards', async () => {
    await database.query(`CREATE SCHEMA other_team`);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-citus-'));
    onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
    const config = path.join(folder, 'config.toml');
    const lines = ['public', 'other_team'].map(
      (schema) => `[connections.${schema}]\nurl = "${database.url}"\nschema = "${schema}"`,
    );
    fs.writeFileSync(config, lines.join('\n'), { mode: 0o600 });
    const { stdout } = await runCli(['fleet', '--config', config, '--json']);
    const teams = JSON.parse(stdout) as { name: string; state: string; bytes: number }[];
    const [{ bytes } = { bytes: 0 }] = (
      await database.query<{ bytes: number }>(
        `SELECT sum(shard_size)::float8 AS bytes FROM pg_catalog.citus_shards`,
      )
    ).rows;
    expect(teams[0]).toMatchObject({ name: 'public', state: 'primary', bytes });
    expect(teams[1]).toMatchObject({ name: 'other_team', state: 'primary' });
  });

  it('suggests by the patterns on the worker, exports the sizes of shards, and says before a reset that no rows were counted', async () => {
    await database.query(
      `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
       SELECT n::text, 'made', ('[' || n || repeat(',1', 1535) || ']')::vector FROM generate_series(1, 2500) AS n`,
    );
    // As the catalogue of a coordinator says it: nobody has ever counted rows of a shell.
    const shell = `UPDATE pg_class SET reltuples = 0 WHERE oid IN ('success_patterns'::regclass, 'idx_pattern_embedding'::regclass)`;
    await database.query(`${shell}; SELECT pg_stat_reset()`);
    const { settings } = await searchOf(await openDatabase(database.url), 'any');
    expect(settings).toMatchObject({
      'citus.propagate_set_commands': 'local',
      enable_seqscan: 'off',
    });
    const metrics = (await runCli(['metrics', '--url', database.url])).stdout;
    expect(metrics).toContain('trace_console_table_size_bytes{table="execution_traces"} 123456789');
    expect(metrics).not.toContain('trace_console_index_scans');
    const reset = await runCli(['schema', 'reset', '--dry-run', '--url', database.url]);
    expect(reset.stdout).toContain('table execution_traces, its rows lie on workers');
  });

  it('keeps no sizes of shells', async () => {
    expect(await keepSizes(await openDatabase(database.url))).toBe(false);
  });

  it('names Citus in the status', async () => {
    const { stdout } = await runCli(['status', '--pane', 'recent-traces', '--url', database.url]);
    expect(stdout).toContain('Citus 13.0-1');
  });
});

it('creates nothing in a schema that is distributed already, and says the way', async () => {
  const empty = await createTestDatabase({ schema: false, extensions: true });
  await empty.query(recordedCoordinator + distribute);
  await expect(applySchema(await openDatabase(empty.url))).rejects.toMatchObject({
    code: 'cluster',
    hint: expect.stringContaining('docs/citus.md') as string,
  });
  const { rows } = await empty.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
  );
  expect(rows[0]?.n).toBe(0);
});

it("makes the console's own schema nobody's team", async () => {
  const plain = await createTestDatabase({ schema: false, extensions: true });
  await plain.query(recordedCoordinator);
  // What Citus does when a schema is created while its sharding by schema is on.
  await plain.query(`
    CREATE FUNCTION public.distribute() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
      IF current_setting('citus.enable_schema_based_sharding', true) = 'on' THEN
        INSERT INTO pg_catalog.pg_dist_schema SELECT oid, 8 FROM pg_namespace WHERE nspname = 'trace_console';
      END IF; END $$;
    CREATE EVENT TRIGGER distribute ON ddl_command_end WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION public.distribute();
    ALTER DATABASE ${plain.name} SET citus.enable_schema_based_sharding = 'on';`);
  await applySchema(await openDatabase(plain.url));
  const { rows } = await plain.query('SELECT FROM pg_catalog.pg_dist_schema');
  expect(rows).toEqual([]);
});
