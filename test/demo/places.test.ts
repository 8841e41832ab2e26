import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { removeDemo } from '../../src/demo/remove.js';
import { runDemo } from '../../src/demo/run.js';
import { coreTables } from '../../src/core/tables.js';
import { createTestDatabase } from '../helpers/database.js';
import { schemaFiles } from '../helpers/template.js';
import { closeDatabases, countRows, day, noon, openDatabase, SteppingClock } from './helpers.js';

afterAll(closeDatabases);

const small = { seed: 9, start: noon, backfillMs: 30 * day, traces: 60, rate: 10, seconds: 4 };

test('writes to and removes from a schema whose name needs quotes, with vector elsewhere', async () => {
  const database = await createTestDatabase({ schema: false });
  await database.query('CREATE SCHEMA extensions; CREATE SCHEMA "Traces of 2026"');
  await database.query('CREATE EXTENSION vector SCHEMA extensions');
  const files = schemaFiles().map((file) => readFileSync(file, 'utf8'));
  await database.query(
    `BEGIN; SET LOCAL search_path = "Traces of 2026", extensions; ${files.join('\n')}; COMMIT`,
  );
  const connection = await openDatabase(database, { schema: 'Traces of 2026' });
  await runDemo(connection, small, { clock: new SteppingClock() });
  for (const table of coreTables) {
    expect(await countRows(database, `"Traces of 2026".${table}`), table).toBeGreaterThan(0);
  }
  const elsewhere = `pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY ('{${coreTables.join(',')}}')`;
  expect(await countRows(database, elsewhere)).toBe(0);
  await removeDemo(connection);
  for (const table of coreTables) {
    expect(await countRows(database, `"Traces of 2026".${table}`), table).toBe(0);
  }
});

test('refuses a read-only connection before it writes', async () => {
  const database = await createTestDatabase();
  const connection = await openDatabase(database, { readOnly: true });
  await expect(runDemo(connection, small)).rejects.toMatchObject({ code: 'read_only' });
  await expect(removeDemo(connection)).rejects.toMatchObject({ code: 'read_only' });
});

test('says which tables are missing', async () => {
  const database = await createTestDatabase({ schema: false });
  const connection = await openDatabase(database);
  await expect(runDemo(connection, small)).rejects.toMatchObject({
    code: 'schema_missing',
    message: expect.stringContaining('execution_traces') as string,
  });
});

test('refuses a schema without the columns that its rows could be found by', async () => {
  const database = await createTestDatabase();
  await database.query('ALTER TABLE execution_traces DROP COLUMN tags');
  const connection = await openDatabase(database);
  await expect(runDemo(connection, small)).rejects.toMatchObject({
    code: 'schema_incompatible',
    message: 'The demo needs columns that are missing: execution_traces.tags.',
  });
  expect(await countRows(database, 'success_patterns')).toBe(0);
});

test('goes on when somebody prunes a pattern that it uses', async () => {
  const database = await createTestDatabase();
  const clock = new SteppingClock(noon, async (step) => {
    if (step === 20) await database.query('DELETE FROM success_patterns');
  });
  const { live } = await runDemo(
    await openDatabase(database),
    { seed: 9, start: noon, rate: 20, seconds: 20 },
    { clock },
  );
  expect(live?.traces).toBe(400);
});

test('a live demo whose rows are removed ends with a reason', async () => {
  const database = await createTestDatabase();
  const other = await openDatabase(database);
  const clock = new SteppingClock(noon, async (step) => {
    if (step === 20) await removeDemo(other);
  });
  const run = runDemo(
    await openDatabase(database),
    { seed: 9, start: noon, rate: 20, seconds: 20 },
    { clock },
  );
  await expect(run).rejects.toThrow('Traces of this demo were removed while it was writing.');
});
