import { describe, expect, it } from 'vitest';
import { applySchema } from '../../src/deploy/apply.js';
import { readLedger } from '../../src/deploy/console-schema.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { fingerprint, openConsole } from './helpers.js';

async function deployed() {
  const test = await createTestDatabase({ schema: false });
  await test.query('CREATE TABLE invoices (n int)');
  const others = await fingerprint(test);
  const database = await openConsole(test.url);
  await applySchema(database);
  return { test, database, others };
}

describe('reset', () => {
  it('needs a confirmation: without a terminal it lists what would go, and exits 4', async () => {
    const { test, database } = await deployed();
    const before = await fingerprint(test);
    const { stdout, stderr, exitCode } = await runCli(['schema', 'reset', '--url', test.url]);
    expect(exitCode).toBe(4);
    expect(stdout).toMatch(/table execution_traces, about 0 rows/);
    expect(stderr).toMatch(/schema reset --url \S+ --yes/);
    expect(await fingerprint(test)).toEqual(before);
    await database.close();
  });

  it('drops what is ours and nothing else; the archives stay, and the next apply works', async () => {
    const { test, database, others } = await deployed();
    await test.query(`INSERT INTO execution_traces_archive
      (id, created_at, updated_at, correlation_id, root_id, session_id, source, status, context, tags, started_at)
      VALUES (gen_random_uuid(), now(), now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
        'old', 'completed', '{}', '{}', now())`);
    const { exitCode } = await runCli(['schema', 'reset', '--yes', '--url', test.url]);
    expect(exitCode).toBe(0);
    const left = await fingerprint(test);
    expect(left).toEqual(expect.arrayContaining(others));
    expect(left.filter((line) => line.startsWith('r ')).map((line) => line.split(' ')[1])).toEqual([
      'agent_routing_decisions_archive',
      'endpoint_calls_archive',
      'execution_traces_archive',
      'hook_executions_archive',
      'invoices',
    ]);
    expect(left.filter((line) => line.startsWith('f '))).toEqual([]);
    const { rows: extensions } = await test.query(
      `SELECT 1 FROM pg_extension WHERE extname IN ('vector', 'uuid-ossp')`,
    );
    expect(extensions).toHaveLength(2);
    expect(await database.transaction({}, (tx) => readLedger(tx, 'public'))).toEqual([]);

    expect((await applySchema(database)).plan.kind).toBe('new');
    expect(await verifySchema(database)).toMatchObject({ ok: true });
    const { rows } = await test.query(`SELECT source FROM execution_traces_archive`);
    expect(rows).toEqual([{ source: 'old' }]);
    await database.close();
  });

  it('drops the archives when asked', async () => {
    const { test, database, others } = await deployed();
    const { exitCode, stdout } = await runCli([
      ...['schema', 'reset', '--yes', '--archives', '--json', '--url', test.url],
    ]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, keptArchives: [] });
    expect(await fingerprint(test)).toEqual(others);
    await database.close();
  });

  it('stops, with everything left, when an object of others depends on ours', async () => {
    const { test, database } = await deployed();
    await test.query('CREATE VIEW report AS SELECT count(*) FROM execution_traces');
    const before = await fingerprint(test);
    const { exitCode, stderr } = await runCli(['schema', 'reset', '--yes', '--url', test.url]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('view report depends on table execution_traces');
    expect(await fingerprint(test)).toEqual(before);
    await database.close();
  });

  it('leaves a function of others alone that shares a name with one of ours', async () => {
    const { test, database } = await deployed();
    await test.query(
      `CREATE FUNCTION archive_traces(text) RETURNS text LANGUAGE sql AS 'SELECT $1'`,
    );
    await runCli(['schema', 'reset', '--yes', '--url', test.url]);
    const { rows } = await test.query(`SELECT archive_traces('mine') AS answer`);
    expect(rows).toEqual([{ answer: 'mine' }]);
    await database.close();
  });
});

describe("the seed's own reset, eight tables dropped with CASCADE", () => {
  it('leaves a database on which apply works', async () => {
    const { test, database } = await deployed();
    await test.query(`DROP TABLE IF EXISTS execution_traces, agent_routing_decisions, hook_executions,
      endpoint_calls, success_patterns, pattern_usage_log, agent_chaining_patterns, error_patterns CASCADE`);
    const { exitCode } = await runCli(['schema', 'apply', '--yes', '--url', test.url]);
    expect(exitCode).toBe(0);
    expect(await verifySchema(database)).toMatchObject({ ok: true });
    await database.close();
  });
});
