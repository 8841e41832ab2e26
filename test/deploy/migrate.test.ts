import { describe, expect, it, onTestFinished } from 'vitest';
import { planApply } from '../../src/deploy/apply.js';
import { readCatalogue, type Catalogue, manifestOf } from '../../src/deploy/catalogue.js';
import { readLedger } from '../../src/deploy/console-schema.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { deployFirstRelease, filesOfFirstRelease, migrations } from './first-release.js';
import { openConsole } from './helpers.js';

const names = migrations.map(({ name }) => name);

/** A deployment of the first release, made with psql (files 001 to 013 and no ledger) or by the console. */
async function firstRelease(byConsole = false): Promise<TestDatabase> {
  const test = await createTestDatabase({ schema: false });
  if (byConsole) await deployFirstRelease(test.url);
  else for (const { sql } of filesOfFirstRelease) await test.query(sql);
  return test;
}

const insertTrace = `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
  VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $1, 'completed')`;

async function catalogueOf(test: TestDatabase): Promise<Catalogue> {
  const database = await openConsole(test.url);
  const catalogue = await database.transaction({}, (tx) => readCatalogue(tx, 'public'));
  await database.close();
  return catalogue;
}

const apply = (test: TestDatabase, ...more: string[]) =>
  runCli(['schema', 'apply', '--url', test.url, ...more]);

describe('a deployment made by the version before', () => {
  it('is shown what would be replaced, and asked', async () => {
    const test = await firstRelease();
    const { stdout, exitCode } = await apply(test);
    expect(exitCode).toBe(4);
    for (const name of names) expect(stdout).toContain(`  ${name}`);
    const { stdout: verified } = await runCli(['schema', 'verify', '--url', test.url]);
    expect(verified).toContain('of an earlier version');
  });

  it.each([
    ['psql', false],
    ['the console', true],
  ])('made by %s, is brought forward, keeps its data, and equals a fresh one', async (_by, how) => {
    const test = await firstRelease(how);
    await test.query(insertTrace, ['kept']);
    const data = `SELECT md5(string_agg(t::text, ',' ORDER BY id)) AS sum FROM execution_traces AS t`;
    const before = (await test.query(data)).rows;
    const { stdout } = await apply(test, '--yes', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, kind: 'adopt', applied: names });
    expect((await test.query(data)).rows).toEqual(before);
    const fresh = await createTestDatabase();
    expect(manifestOf(await catalogueOf(test))).toEqual(manifestOf(await catalogueOf(fresh)));
    const database = await openConsole(test.url);
    onTestFinished(() => database.close());
    expect(await verifySchema(database)).toMatchObject({ ok: true });
    const ledger = await database.transaction({}, (tx) => readLedger(tx, 'public'));
    const before013 = how ? filesOfFirstRelease.map(({ name }) => name) : [];
    expect(ledger.map(({ file }) => file)).toEqual([...before013, ...names]);
    expect((await planApply(database)).kind).toBe('complete');
  });

  it('keeps a view and a function that somebody wrote in place of ours', async () => {
    const test = await firstRelease();
    await test.query(`COMMENT ON VIEW agent_performance IS 'ours now';
      CREATE OR REPLACE FUNCTION maintain_derived_columns() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RETURN NEW; END $$`);
    await apply(test, '--yes');
    const { rows } = await test.query(
      `SELECT obj_description('agent_performance'::regclass) AS comment, prosrc AS body
       FROM pg_proc WHERE proname = 'maintain_derived_columns'`,
    );
    expect(rows).toEqual([{ comment: 'ours now', body: ' BEGIN RETURN NEW; END ' }]);
  });

  it('keeps the right to call the function that got another parameter', async () => {
    const test = await firstRelease();
    await test.query('GRANT EXECUTE ON FUNCTION find_similar_patterns TO pg_monitor');
    for (const { sql } of migrations) await test.query(sql);
    const { rows } = await test.query(
      `SELECT pronargs, has_function_privilege('pg_monitor', oid, 'EXECUTE') AS granted
       FROM pg_proc WHERE proname = 'find_similar_patterns'`,
    );
    expect(rows).toEqual([{ pronargs: 4, granted: true }]);
  });
});
