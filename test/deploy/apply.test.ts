import { describe, expect, it } from 'vitest';
import type { ApplyStep } from '../../src/deploy/plan.js';
import { applySchema, planApply } from '../../src/deploy/apply.js';
import { readLedger } from '../../src/deploy/console-schema.js';
import { schemaFiles } from '../../src/deploy/schema-files.js';
import { verifySchema } from '../../src/deploy/compare.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase } from '../helpers/database.js';
import { fingerprint, openConsole } from './helpers.js';

describe('on an empty database', () => {
  it('creates everything in one go, a line a file, and changes nothing the second time', async () => {
    const test = await createTestDatabase({ schema: false });
    const database = await openConsole(test.url);
    const steps: ApplyStep[] = [];
    const first = await applySchema(database, { onProgress: (step) => steps.push(step) });
    expect(first.applied).toEqual(schemaFiles.map(({ name }) => name));
    expect(steps.map(({ index, total, name }) => `${index}/${total} ${name}`)).toEqual(
      schemaFiles.map(({ name }, index) => `${index + 1}/${schemaFiles.length} ${name}`),
    );
    expect(await verifySchema(database)).toMatchObject({ ok: true, differences: [] });
    // What it may do now is known at once, not at the next start.
    expect(database.capabilities.extensions.vector?.schema).toBe('public');

    const before = await fingerprint(test);
    const second = await applySchema(database);
    expect(second.plan.kind).toBe('complete');
    expect(second.applied).toEqual([]);
    expect(await fingerprint(test)).toEqual(before);

    const ledger = await database.transaction({}, (tx) => readLedger(tx, 'public'));
    expect(ledger.map(({ file, checksum }) => ({ name: file, checksum }))).toEqual(
      schemaFiles.map(({ name, checksum }) => ({ name, checksum })),
    );
    await database.close();
  });

  it('is done by one of two that start at once; the other waits and finds it done', async () => {
    const test = await createTestDatabase({ schema: false });
    const consoles = await Promise.all([openConsole(test.url), openConsole(test.url)]);
    const results = await Promise.all(consoles.map((console) => applySchema(console)));
    expect(results.map(({ applied }) => applied.length).sort()).toEqual([0, schemaFiles.length]);
    const [one] = consoles;
    expect(await verifySchema(one)).toMatchObject({ ok: true });
    await Promise.all(consoles.map((console) => console.close()));
  });

  it('leaves nothing when the console is killed in the middle', async () => {
    const test = await createTestDatabase({ schema: false });
    const { stderr } = await runCli(['schema', 'apply', '--url', test.url], {
      onStart: (child) => {
        child.stderr?.on('data', (text: string) => {
          if (text.includes('005_')) child.kill('SIGKILL');
        });
      },
    });
    expect(stderr).toContain('005_success_patterns.sql');
    expect(stderr).not.toContain('013_archive.sql');
    await expect
      .poll(async () => {
        const { rows } = await test.query<{ n: number }>(
          `SELECT count(*)::int AS n FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'trace-console'`,
        );
        return rows[0]?.n;
      })
      .toBe(0);
    expect(await fingerprint(test)).toEqual([]);
    const { rows } = await test.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'trace_console'`);
    expect(rows).toEqual([]);
  });

  it('needs no question, also without a terminal', async () => {
    const test = await createTestDatabase({ schema: false });
    const { stdout, stderr, exitCode } = await runCli(['schema', 'apply', '--url', test.url]);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stderr.match(/^\[ ?\d+\/\d+\] \d{3}_\w+\.sql: applied$/gm)).toHaveLength(
      schemaFiles.length,
    );
    expect(stdout).toContain('Created: 001_execution_traces.sql');
  });
});

describe('beside objects of others', () => {
  it('asks first: without a terminal it shows where and what, and exits 4 with nothing changed', async () => {
    const test = await createTestDatabase({ schema: false });
    await test.query('CREATE TABLE invoices (n int)');
    const before = await fingerprint(test);
    const refused = await runCli(['schema', 'apply', '--url', test.url]);
    expect(refused.exitCode).toBe(4);
    expect(refused.stdout).toContain(`database ${test.name}, schema public`);
    expect(refused.stdout).toContain('013_archive.sql');
    expect(refused.stderr).toMatch(/schema apply --url \S+ --yes/);
    expect(await fingerprint(test)).toEqual(before);

    const done = await runCli(['schema', 'apply', '--yes', '--json', '--url', test.url]);
    expect(done.exitCode).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({ ok: true, kind: 'new', failed: [] });
    expect(await fingerprint(test)).toEqual(expect.arrayContaining(before));
  });

  it('is refused where it would overwrite a function of others', async () => {
    const test = await createTestDatabase({ schema: false });
    await test.query(`CREATE FUNCTION maintain_derived_columns() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN RETURN NULL; END'`);
    const before = await fingerprint(test);
    const { exitCode, stderr } = await runCli(['schema', 'apply', '--yes', '--url', test.url]);
    expect(exitCode).toBe(4);
    expect(stderr).toContain('the function maintain_derived_columns() is not ours');
    expect(await fingerprint(test)).toEqual(before);
  });

  it('is asked for also where only a type lives, and refuses a view of our name', async () => {
    const test = await createTestDatabase({ schema: false });
    await test.query(`CREATE TYPE colour AS ENUM ('red')`);
    const database = await openConsole(test.url);
    expect(await planApply(database)).toMatchObject({ kind: 'new', empty: false });
    await test.query('CREATE VIEW trace_summary AS SELECT 1 AS one');
    expect(await planApply(database)).toMatchObject({
      kind: 'incompatible',
      conflicts: [expect.stringContaining('the view trace_summary is not ours') as string],
    });
    await database.close();
  });

  it('shows the plan and changes nothing with --dry-run', async () => {
    const test = await createTestDatabase({ schema: false });
    const { stdout, exitCode } = await runCli(['schema', 'apply', '--dry-run', '--url', test.url]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Would run, in one transaction');
    expect(await fingerprint(test)).toEqual([]);
  });

  it('asks before it creates a schema that --schema names', async () => {
    const test = await createTestDatabase({ schema: false });
    const args = ['schema', 'apply', '--schema', 'agent traces', '--url', test.url];
    expect((await runCli(args)).exitCode).toBe(4);
    expect((await runCli([...args, '--yes'])).exitCode).toBe(0);
    const database = await openConsole(test.url, { schema: 'agent traces' });
    expect(await verifySchema(database)).toMatchObject({ ok: true });
    expect(await planApply(database)).toMatchObject({ kind: 'complete' });
    await database.close();
  });
});

describe('under restrictions', () => {
  it('with nothing to do is good, also with --read-only', async () => {
    const test = await createTestDatabase();
    const { exitCode, stdout } = await runCli([
      ...['schema', 'apply', '--read-only', '--url', test.url],
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Nothing to do');
  });

  it('is refused with --read-only', async () => {
    const test = await createTestDatabase({ schema: false });
    const { exitCode, stderr } = await runCli([
      'schema',
      'apply',
      '--read-only',
      '--url',
      test.url,
    ]);
    expect(exitCode).toBe(4);
    expect(stderr).toContain('--read-only');
    expect(await fingerprint(test)).toEqual([]);
  });

  it('rolls everything back and names the file when a statement fails', async () => {
    const test = await createTestDatabase({ schema: false });
    // A type of the same name as a table stops CREATE TABLE, and no look at the relations shows it.
    await test.query(`CREATE DOMAIN error_patterns AS text`);
    const database = await openConsole(test.url);
    await expect(applySchema(database)).rejects.toMatchObject({
      message: expect.stringContaining('008_error_patterns.sql') as string,
      hint: expect.stringContaining('rolled back') as string,
    });
    expect((await fingerprint(test)).filter((line) => line.startsWith('r '))).toEqual([]);
    await database.close();
  });
});
