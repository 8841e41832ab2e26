import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { planApply } from '../../src/deploy/apply.js';
import { readCatalogue, type Catalogue, manifestOf } from '../../src/deploy/catalogue.js';
import { readLedger } from '../../src/deploy/console-schema.js';
import { createdObjects } from '../../src/deploy/judge.js';
import { schemaFiles } from '../../src/deploy/schema-files.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openConsole } from './helpers.js';

const created = schemaFiles.filter(({ name }) => name <= '013_archive.sql');
const migrations = schemaFiles.filter(({ name }) => name > '013_archive.sql');
const names = migrations.map(({ name }) => name);

/** A deployment of the first release, made with psql: files 001 to 013 and no ledger. */
async function firstRelease(): Promise<TestDatabase> {
  const test = await createTestDatabase({ schema: false });
  for (const { sql } of created) await test.query(sql);
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

  it('is brought forward, keeps its data, and equals a fresh one', async () => {
    const test = await firstRelease();
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
    expect(ledger.map(({ file }) => file)).toEqual(names);
    expect((await planApply(database)).kind).toBe('complete');
  });

  it('under writers, and killed at random, has each file whole or not at all', async () => {
    const test = await firstRelease();
    const writer = new pg.Client({ connectionString: test.url });
    await writer.connect();
    let written = 0;
    const done = new AbortController();
    const writing = (async () => {
      while (!done.signal.aborted) {
        await writer.query(insertTrace, ['writer']);
        await writer.query('SELECT * FROM dashboard_summary');
        written += 1;
      }
    })();
    const old = await catalogueOf(test);
    const fresh = await catalogueOf(await createTestDatabase());
    for (let attempt = 0; attempt < 4; attempt += 1) {
      await runCli(['schema', 'apply', '--yes', '--url', test.url], {
        onStart: (child) => void sleep(250 + Math.random() * 350).then(() => child.kill('SIGKILL')),
      });
      await goneFrom(test);
      const now = await catalogueOf(test);
      for (const file of migrations) {
        expect([statesOf(file.sql, old), statesOf(file.sql, fresh)]).toContainEqual(
          statesOf(file.sql, now),
        );
      }
    }
    expect((await apply(test, '--yes')).exitCode).toBe(0);
    expect(manifestOf(await catalogueOf(test))).toEqual(manifestOf(fresh));
    done.abort();
    await writing;
    await writer.end();
    const { rows } = await test.query(
      `SELECT count(*)::int AS n FROM execution_traces WHERE source = 'writer'`,
    );
    expect(rows).toEqual([{ n: written }]);
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

/** What a file makes, as it is in a schema: the hashes of its views and functions. */
function statesOf(sql: string, { views, functions }: Catalogue): unknown[] {
  return createdObjects(sql).map(({ kind, name }) =>
    kind === 'VIEW'
      ? [name, views[name]?.commentHash]
      : Object.entries(functions)
          .filter(([signature]) => signature.startsWith(`${name}(`))
          .map(([signature, { bodyHash }]) => [signature, bodyHash]),
  );
}

async function goneFrom(test: TestDatabase): Promise<void> {
  await expect
    .poll(async () => {
      const { rows } = await test.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'trace-console'`,
      );
      return rows.length;
    })
    .toBe(0);
}
