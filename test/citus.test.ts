import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { StatusJson } from '../src/cli/status-report.js';
import { runCli } from './helpers/cli.js';

/** The coordinator of a cluster with Citus 12 or newer and pgvector, and a role that may create schemas. */
const { TEST_CITUS_URL: url = '' } = process.env;

/** Applied into a plain schema, then distributed, as docs/citus.md says. */
async function makeTeam(): Promise<{ schema: string; client: pg.Client }> {
  const schema = `tc_test_${randomUUID().slice(0, 8)}`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(async () => {
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await client.end();
  });
  await client.query(`CREATE SCHEMA ${schema}`);
  expect(
    (await runCli(['schema', 'apply', '--yes', '--url', url, '--schema', schema])).exitCode,
  ).toBe(0);
  await client.query('SET citus.enable_unsafe_triggers = on');
  await client.query('SELECT citus_schema_distribute($1)', [schema]);
  return { schema, client };
}

/** Runs only where a cluster is named; what was recorded of one is tested everywhere, by test/db/citus.test.ts. */
describe.runIf(url !== '')('on a cluster of Citus, in the schema of a team', () => {
  it('verifies, writes, shows, prints a trace, archives, restores, and refuses what only a worker can do', async () => {
    const { schema, client } = await makeTeam();
    const run = (...args: string[]) => runCli([...args, '--url', url, '--schema', schema]);
    expect((await run('schema', 'verify')).exitCode).toBe(0);
    expect((await run('demo', '--backfill', '2d', '--traces', '200', '--yes')).exitCode).toBe(0);
    const status = await run('status', '--json');
    // The one pane that a coordinator cannot show says so.
    expect(status.exitCode).toBe(1);
    const { panes } = JSON.parse(status.stdout) as StatusJson;
    expect(panes['recent-traces']?.rows.length).toBeGreaterThan(0);
    const sizes = panes['table-sizes']?.rows as { totalBytes: number }[];
    expect(sizes[0]?.totalBytes).toBeGreaterThan(100_000);
    const refused = Object.entries(panes).filter(([, { error }]) => error !== null);
    expect(refused.map(([id, { error }]) => `${id}: ${error?.code}`)).toEqual([
      'index-usage: cluster',
    ]);
    const { rows } = await client.query<{ id: string }>(
      `SELECT correlation_id::text AS id FROM ${schema}.execution_traces LIMIT 1`,
    );
    expect((await run('trace', rows[0]?.id ?? '')).exitCode).toBe(0);
    expect((await run('reindex', '--vectors', '--yes')).exitCode).toBe(4);
    expect((await run('doctor')).exitCode).toBeLessThan(2);
    expect((await run('archive', '--older-than', '1s', '--yes')).exitCode).toBe(0);
    expect((await run('archive', 'restore', rows[0]?.id ?? '', '--yes')).exitCode).toBe(0);
  });

  it('creates nothing in a schema that is distributed from the beginning', async () => {
    const schema = `tc_test_${randomUUID().slice(0, 8)}`;
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    onTestFinished(async () => {
      await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      await client.end();
    });
    await client.query(`SET citus.enable_schema_based_sharding = on; CREATE SCHEMA ${schema}`);
    const { exitCode, stderr } = await runCli([
      'schema',
      'apply',
      '--yes',
      '--url',
      url,
      '--schema',
      schema,
    ]);
    expect(exitCode).toBe(4);
    expect(stderr).toContain('distributed by Citus already');
  });
});
