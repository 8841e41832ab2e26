import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { hasConsoleTable, openConsoleTable, readLedger } from '../../src/deploy/console-schema.js';
import { applySchema, planApply } from '../../src/deploy/apply.js';
import { consoleFiles } from '../../src/deploy/schema-files.js';
import { checkSchema } from '../../src/ui/app/schema-flow.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openConsole } from './helpers.js';

const names = consoleFiles.map(({ name }) => name);

async function consoleOf(test: TestDatabase): Promise<Database> {
  const database = await openConsole(test.url);
  onTestFinished(() => database.close());
  return database;
}

const open = (database: Database, table = 'maintenance_runs') =>
  database.transaction({}, (tx) => openConsoleTable(tx, table));

const recorded = (database: Database) =>
  database.transaction({}, async (tx) =>
    (await readLedger(tx, 'trace_console')).map(({ file }) => file),
  );

describe("the console's own schema", () => {
  it('is made by its numbered files, once, whoever comes first', async () => {
    const test = await createTestDatabase();
    const [first, second] = await Promise.all([consoleOf(test), consoleOf(test)]);
    expect(await first.transaction({}, (tx) => hasConsoleTable(tx, 'maintenance_runs'))).toBe(
      false,
    );
    expect(await Promise.all([open(first), open(second)])).toEqual([true, true]);
    expect(await recorded(second)).toEqual(names);
    expect(await open(first, 'no_such_table')).toBe(false);
  });

  it('waits for another console that is making it, longer than it waits for a row', async () => {
    const test = await createTestDatabase();
    const [first, second] = await Promise.all([consoleOf(test), consoleOf(test)]);
    let waits: Promise<boolean> | undefined;
    await first.transaction({}, async (tx) => {
      await openConsoleTable(tx, 'maintenance_runs');
      waits = second.transaction({ lockTimeoutMs: 20 }, (other) =>
        openConsoleTable(other, 'maintenance_runs'),
      );
      await vi.waitFor(async () => {
        const { rows } = await test.query<{ waits: boolean }>(
          `SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
             WHERE l.locktype = 'advisory' AND NOT l.granted AND a.datname = current_database()
               AND now() - a.query_start > interval '100 ms') AS waits`,
        );
        expect(rows).toEqual([{ waits: true }]);
      }, 20_000);
    });
    expect(await waits).toBe(true);
    expect(await recorded(second)).toEqual(names);
  });

  it('takes over the tables that an earlier version made unrecorded, with their rows', async () => {
    const test = await createTestDatabase();
    await test.query('CREATE SCHEMA IF NOT EXISTS trace_console');
    for (const { sql } of consoleFiles.slice(1, 3)) await test.query(sql);
    await test.query(`INSERT INTO trace_console.retention_policies (target_schema, archive_after)
      VALUES ('public', '90 days')`);
    const database = await consoleOf(test);
    expect(await open(database, 'retention_policies')).toBe(true);
    expect(await recorded(database)).toEqual(names);
    const { rows } = await test.query('SELECT archive_after FROM trace_console.retention_policies');
    expect(rows).toEqual([{ archive_after: '90 days' }]);
  });

  it('is undone with the transaction that opened it', async () => {
    const test = await createTestDatabase();
    const database = await consoleOf(test);
    await expect(
      database.transaction({}, async (tx) => {
        await openConsoleTable(tx, 'maintenance_runs');
        throw new Error('given up');
      }),
    ).rejects.toThrow('given up');
    expect(await recorded(database)).toEqual([]);
    expect(await open(database)).toBe(true);
  });

  it('makes tables anew that were dropped alone, whichever they are', async () => {
    const test = await createTestDatabase();
    const database = await consoleOf(test);
    await open(database);
    const { rows } = await test.query<{ name: string }>(
      `SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'trace_console'::regnamespace AND relkind = 'r'`,
    );
    expect(rows.length).toBeGreaterThan(10);
    // The embedded engine keeps counters beside them, in tables of its own.
    const tables = rows
      .map(({ name }) => `trace_console.${name}`)
      .filter((name) => !/\.kept_(index|table)_counters$/.test(name));
    // Without the ledger nothing says which of the others were here.
    const ledger = tables.filter((name) => name === 'trace_console.schema_files');
    const others = tables.filter((name) => name !== 'trace_console.schema_files');
    const half = others.length / 2;
    for (const lost of [ledger, others.slice(0, half), others.slice(half)]) {
      await test.query(`DROP TABLE ${lost.join(', ')} CASCADE`);
      expect((await planApply(database)).lostConsoleTables.sort()).toEqual(lost.sort());
      await applySchema(database);
      expect((await planApply(database)).kind).toBe('complete');
    }
  });

  it('names a table that was dropped alone, on the screen and in verify, with the command that works', async () => {
    const test = await createTestDatabase();
    const database = await consoleOf(test);
    await open(database, 'telemetry_spans');
    await test.query('DROP TABLE trace_console.telemetry_spans');
    expect((await checkSchema(database))?.text).toMatch(/^The schema lacks 1 object; /);
    const verified = await runCli(['schema', 'verify', '--url', test.url]);
    expect(verified.stdout).toContain('tables: trace_console.telemetry_spans is missing');
    expect(verified.stdout).toContain('trace-console schema apply');
    expect(verified.exitCode).toBe(1);
    expect((await runCli(['schema', 'apply', '--yes', '--url', test.url])).exitCode).toBe(0);
    expect((await runCli(['schema', 'verify', '--url', test.url])).exitCode).toBe(0);
    await test.query('DROP TABLE trace_console.telemetry_spans');
    expect(await open(database, 'telemetry_spans')).toBe(true);
  });

  it('leaves what a newer console recorded alone', async () => {
    const test = await createTestDatabase();
    const database = await consoleOf(test);
    await open(database);
    await test.query(`INSERT INTO trace_console.schema_files (target_schema, file, checksum, console_version)
      VALUES ('trace_console', '999_of_tomorrow.sql', 'x', '99')`);
    expect(await open(database)).toBe(true);
    expect(await recorded(database)).toEqual([...names, '999_of_tomorrow.sql']);
  });
});
