import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { frameOf } from '../../src/ingest/hook/record.js';
import { appendFrame } from '../../src/ingest/spool/append.js';
import { RowStatements } from '../../src/ingest/writer/statements.js';
import { runCli, type CliResult } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { sessionWithSubagent, writeTranscripts } from '../ingest/claude-folder.js';
import { dumpOf } from '../ingest/ingest-database.js';
import { hookSession } from '../ingest/sources/payloads.js';
import { openTracer } from '../ingest/writer/open-tracer.js';

/** As whoever expects many rows does by hand: the same columns, a part for each span of time, a key that holds the time. */
const byHand = `
  ALTER TABLE endpoint_calls DROP CONSTRAINT endpoint_calls_hook_execution_id_fkey;
  ALTER TABLE hook_executions RENAME TO hooks_before;
  CREATE TABLE hook_executions (LIKE hooks_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED)
    PARTITION BY RANGE (started_at);
  DROP TABLE hooks_before CASCADE;
  ALTER TABLE hook_executions ADD PRIMARY KEY (id, started_at);
  CREATE TABLE hook_executions_old PARTITION OF hook_executions FOR VALUES FROM (MINVALUE) TO ('2026-01-01')
    PARTITION BY RANGE (started_at);
  CREATE TABLE hook_executions_old_rest PARTITION OF hook_executions_old DEFAULT;
  CREATE TABLE hook_executions_new PARTITION OF hook_executions DEFAULT;
  INSERT INTO execution_traces (id, correlation_id, root_id, session_id, source, status, started_at)
    SELECT id, id, id, id, 'test', 'completed', '2025-06-01' FROM gen_random_uuid() AS id;
  INSERT INTO hook_executions (trace_id, hook_type, hook_name, started_at)
    SELECT id, 'PreToolUse', 'guard', at FROM execution_traces, unnest(ARRAY[timestamptz '2025-06-01', '2026-06-01']) AS at`;

let test: TestDatabase;

beforeAll(async () => {
  test = await createTestDatabase();
  await test.query(byHand);
});

function run(line: string): Promise<CliResult> {
  return runCli([...line.split(' '), '--url', test.url]);
}

it('gets its indexes, built on its partitions without stopping writers, and keeps them', async () => {
  expect(await run('schema apply --yes')).toMatchObject({ exitCode: 0 });
  const { rows } = await test.query(
    `SELECT x.indisvalid AS valid, (SELECT count(*)::int FROM pg_partition_tree(i.oid) WHERE isleaf) AS parts
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
     WHERE x.indrelid = 'hook_executions'::regclass AND i.relname LIKE 'idx%'`,
  );
  expect(rows).toHaveLength(8);
  expect(rows).toEqual(Array(8).fill({ valid: true, parts: 2 }));
  const { stdout } = await run('schema verify');
  expect(stdout).not.toMatch(/idx_\w+/);
  expect((await run('schema apply --yes')).stdout).toContain('Nothing');
});

it('is vacuumed and analysed by its name', async () => {
  expect((await run('vacuum hook_executions --yes')).exitCode).toBe(0);
  expect((await run('analyze hook_executions --yes')).stdout).toContain('Analyzed hook_executions');
  const { rows } = await test.query(
    `SELECT relname::text AS table, vacuum_count::int AS vacuums FROM pg_stat_user_tables
     WHERE relname IN ('hook_executions_new', 'hook_executions_old_rest') ORDER BY 1`,
  );
  expect(rows).toEqual([
    { table: 'hook_executions_new', vacuums: 1 },
    { table: 'hook_executions_old_rest', vacuums: 1 },
  ]);
  expect((await run('vacuum --yes')).stdout).toContain('VACUUM "public"."hook_executions"');
});

it('is rebuilt by the name of the table, and of an index', async () => {
  const filesOf = async () => {
    const { rows } = await test.query<{ file: string }>(
      `SELECT relfilenode::text AS file FROM pg_partition_tree('hook_executions_pkey') AS part
       JOIN pg_class AS c ON c.oid = part.relid WHERE isleaf ORDER BY c.relname`,
    );
    return rows.map(({ file }) => file);
  };
  const before = await filesOf();
  expect(await run('reindex hook_executions_pkey --yes')).toMatchObject({ exitCode: 0 });
  const after = await filesOf();
  expect(after).toHaveLength(2);
  expect(after.filter((file) => before.includes(file))).toEqual([]);
  expect(await run('reindex --table hook_executions --yes')).toMatchObject({ exitCode: 0 });
  expect((await filesOf()).filter((file) => after.includes(file))).toEqual([]);
});

it('is counted as one, and archived', async () => {
  const { stdout } = await run('metrics');
  expect(stdout).toContain('trace_console_table_rows{table="hook_executions"} 2');
  const archived = await run('archive --older-than 90d --yes');
  expect(archived.stdout).toContain('Archived 1 trace and 2 rows');
});

describe('all tables of work and the archive have keys that hold the time', () => {
  const keys = {
    execution_traces: 'started_at',
    agent_routing_decisions: 'created_at',
    hook_executions: 'started_at',
    endpoint_calls: 'started_at',
  };
  const partitioned = (table: string, time: string) => `
    ALTER TABLE ${table} RENAME TO before;
    CREATE TABLE ${table} (LIKE before INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED)
      PARTITION BY RANGE (${time});
    DROP TABLE before CASCADE;
    ALTER TABLE ${table} ADD PRIMARY KEY (id, ${time});
    CREATE TABLE ${table}_old PARTITION OF ${table} FOR VALUES FROM (MINVALUE) TO ('2026-09-21 14:13:25+00');
    CREATE TABLE ${table}_new PARTITION OF ${table} DEFAULT;`;
  let whole: TestDatabase;
  let home: string;

  beforeAll(async () => {
    whole = await createTestDatabase();
    test = await createTestDatabase();
    for (const [table, time] of Object.entries(keys)) {
      await test.query(partitioned(table, time) + partitioned(`${table}_archive`, time));
    }
    home = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-partitioned-'));
    return () => fs.rmSync(home, { recursive: true });
  });

  const both = async (work: (url: string) => Promise<unknown>): Promise<void> => {
    for (const { url } of [whole, test]) await work(url);
  };
  const areEqual = async () => {
    const dump = await dumpOf(test);
    expect(dump).toEqual(await dumpOf(whole));
    return dump;
  };

  it('get their views and indexes again, but for the key that cannot be', async () => {
    const { exitCode, stderr } = await run('schema apply --yes');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /execution_traces_correlation_id_key: unique constraint on partitioned table must/,
    );
    expect(stderr).toContain('idx_execution_traces_started_at: built');
  });

  it('take the rows of transcripts, also a second time, as tables in one piece do', async () => {
    writeTranscripts(home, sessionWithSubagent());
    for (let time = 0; time < 2; time += 1) {
      await both(async (url) => {
        expect(await runCli(['import', 'claude', home, '--yes', '--url', url])).toMatchObject({
          exitCode: 0,
        });
      });
    }
    expect((await areEqual()).hook_executions?.length).toBeGreaterThan(2);
  });

  it('take the rows of hooks', async () => {
    const startMs = Date.now() - 60_000;
    const calls = hookSession('claude', 'by-hooks', startMs);
    await both(async (url) => {
      const spool = fs.mkdtempSync(path.join(home, 'spool-'));
      for (const { event, payload } of calls) {
        const input = JSON.stringify(payload);
        appendFrame(spool, frameOf({ cli: 'claude', event, input, atMs: startMs }, {}));
      }
      const env = { TRACE_CONSOLE_SPOOL: spool, XDG_STATE_HOME: home };
      const { stdout } = await runCli(['collect', '--once', '--url', url, '--json'], { env });
      expect(JSON.parse(stdout)).toMatchObject({ ok: true, records: calls.length });
    });
    const { execution_traces: traces } = await dumpOf(test);
    expect(traces).toHaveLength((await dumpOf(whole)).execution_traces?.length ?? -1);
  });

  it('take the rows of a service, each once, however many write it at once', async () => {
    // It has made its statements for a table in one piece.
    await test.query(
      'ALTER TABLE endpoint_calls RENAME TO parts; CREATE TABLE endpoint_calls (LIKE parts INCLUDING DEFAULTS)',
    );
    await test.query('ALTER TABLE endpoint_calls ADD PRIMARY KEY (id)');
    const writer = openTracer({ url: test.url }, []);
    writer.trace('a turn', () => writer.startCall({ service: 's', url: 'http://s' }).end());
    expect(await writer.flush()).toBe(true);
    await test.query('DROP TABLE endpoint_calls; ALTER TABLE parts RENAME TO endpoint_calls');
    writer.trace('a turn', () => writer.startCall({ service: 's', url: 'http://s' }).end());
    expect(await writer.flush()).toBe(true);
    const before = await dumpOf(test);
    writer.trace('a turn', () => {
      for (let n = 0; n < 5; n += 1) writer.startHook({ tool: 't' }).end();
    });
    expect(await writer.flush()).toBe(true);
    expect(writer.stats()).toMatchObject({ written: 10, refused: 0, queued: 0 });
    const after = await dumpOf(test);
    expect(after.hook_executions).toHaveLength((before.hook_executions?.length ?? 0) + 5);

    const database = await openDatabase({ url: test.url });
    onTestFinished(() => database.close());
    const statements = await database.transaction({}, (tx) => RowStatements.read(tx));
    const [trace] = after.execution_traces as { id: string }[];
    const image = (n: number) => ({
      id: '00000000-0000-4000-8000-000000000001',
      trace_id: trace?.id,
      hook_type: 'ToolUse',
      hook_name: `image ${n}`,
      execution_order: n,
      metadata: {},
      rag_query_performed: false,
      quality_check_performed: false,
      status: n === 3 ? 'completed' : 'in_progress',
      started_at: Date.parse('2026-09-21T14:13:20Z') + n * 2_000,
    });
    await Promise.all(
      [0, 1, 2, 3, 4].map((n) =>
        database.transaction({}, (tx) =>
          statements.write(tx, 'hook_executions', [JSON.stringify(image(n))], true),
        ),
      ),
    );
    const { rows } = await test.query('SELECT status FROM hook_executions WHERE id = $1', [
      image(0).id,
    ]);
    expect(rows).toEqual([{ status: 'completed' }]);
  });

  it('take the demo, learning, an archive, and its export back', async () => {
    const flags = '--seed 7 --start 2026-11-01T00:00:00Z --backfill 2d --traces 60 --yes';
    expect(await run(`demo ${flags}`)).toMatchObject({ exitCode: 0 });
    expect(await run('learn')).toMatchObject({ exitCode: 0 });
    expect(await run('archive --older-than 1h --yes')).toMatchObject({ exitCode: 0 });
    const file = path.join(home, 'archive.jsonl');
    const archived = async () =>
      (await test.query('SELECT * FROM hook_executions_archive ORDER BY id')).rows;
    const before = await archived();
    expect(before.length).toBeGreaterThan(100);
    const purged = await run(`archive purge --older-than 1h --export ${file} --yes`);
    expect(purged).toMatchObject({ exitCode: 0 });
    expect(await archived()).toEqual([]);
    for (let time = 0; time < 2; time += 1) {
      expect(await run(`archive import ${file} --yes`)).toMatchObject({ exitCode: 0 });
    }
    expect(await archived()).toEqual(before);
  });
});

it('a table of what is learned without its key refuses learning and the demo, in words', async () => {
  const bare = await createTestDatabase();
  await bare.query('ALTER TABLE error_patterns DROP CONSTRAINT error_patterns_fingerprint_key');
  for (const line of ['learn', 'demo --seconds 1 --yes']) {
    const refused = await runCli([...line.split(' '), '--url', bare.url]);
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain('error_patterns has no unique key of just fingerprint');
    expect(refused.stderr).toContain('schema verify');
  }
});
