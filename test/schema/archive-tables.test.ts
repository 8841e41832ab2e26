import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { schemaFiles } from '../helpers/template.js';
import { addTrace, archiveAll, archivedTables, counts } from './helpers/trace-rows.js';

const files = schemaFiles().map((file) => readFileSync(file, 'utf8'));
const archiveFile = files[12] ?? '';

async function columns(db: TestDatabase, table: string): Promise<string[]> {
  const { rows } = await db.query<{ definition: string }>(
    `SELECT attname || ' ' || format_type(atttypid, atttypmod) || attgenerated::text AS definition FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1`,
    [table],
  );
  return rows.map((row) => row.definition);
}

async function indexes(db: TestDatabase): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT indexname AS name FROM pg_indexes WHERE tablename LIKE '%\\_archive' ORDER BY 1`,
  );
  return rows.map((row) => row.name);
}

test.each(archivedTables)(
  '%s_archive has the columns of its table and archived_at, and refers to nothing',
  async (table) => {
    const db = await createTestDatabase();
    expect(await columns(db, `${table}_archive`)).toEqual(
      [...(await columns(db, table)), 'archived_at timestamp with time zone'].sort(),
    );
    const { rows } = await db.query(
      `SELECT 1 FROM pg_constraint WHERE conrelid = '${table}_archive'::regclass AND contype = 'f'
       UNION ALL SELECT 1 FROM pg_trigger WHERE tgrelid = '${table}_archive'::regclass`,
    );
    expect(rows).toEqual([]);
  },
);

test('an archive has only the indexes that look-ups need', async () => {
  const db = await createTestDatabase();
  expect(await indexes(db)).toEqual([
    'agent_routing_decisions_archive_pkey',
    'agent_routing_decisions_archive_trace_id_idx',
    'endpoint_calls_archive_pkey',
    'endpoint_calls_archive_trace_id_idx',
    'execution_traces_archive_correlation_id_idx',
    'execution_traces_archive_pkey',
    'execution_traces_archive_root_id_idx',
    'execution_traces_archive_started_at_idx',
    'execution_traces_archive_tags_idx',
    'hook_executions_archive_pkey',
    'hook_executions_archive_trace_id_idx',
  ]);
});

test('an archive made by hand as a copy of the table is taken over with its rows', async () => {
  const db = await createTestDatabase({ schema: false });
  await db.query(files.slice(0, 12).join('\n'));
  await addTrace(db, { tree: 'moved by hand' });
  await addTrace(db, { tree: 'moved by us' });
  await db.query(`
    CREATE TABLE execution_traces_archive (LIKE execution_traces INCLUDING ALL);
    WITH moved AS (DELETE FROM execution_traces WHERE prompt_text = 'moved by hand/root' RETURNING *)
    INSERT INTO execution_traces_archive SELECT * FROM moved`);
  const copied = (await indexes(db)).length;
  await db.query(archiveFile);
  // The copied indexes by correlation_id and root_id serve; started_at, which is one of several orders, does as well.
  expect((await indexes(db)).length).toBe(copied + 6);
  // So does its index by tags.
  await db.query(files.at(-1) ?? '');
  expect((await indexes(db)).length).toBe(copied + 6);
  await archiveAll(db);
  const { rows } = await db.query(
    `SELECT prompt_text, archived_at IS NOT NULL AS dated FROM execution_traces_archive ORDER BY 1`,
  );
  expect(rows).toEqual([
    { prompt_text: 'moved by hand/root', dated: true },
    { prompt_text: 'moved by us/root', dated: true },
  ]);
});

test('an older archive without some columns and without a key is completed', async () => {
  const db = await createTestDatabase({ schema: false });
  await db.query(files.slice(0, 12).join('\n'));
  await db.query(`
    CREATE TABLE execution_traces_archive AS SELECT * FROM execution_traces;
    ALTER TABLE execution_traces_archive DROP COLUMN project, DROP COLUMN tags, DROP COLUMN cost_usd, DROP COLUMN updated_at;
    INSERT INTO execution_traces_archive (id, correlation_id, root_id) SELECT u, u, u FROM gen_random_uuid() AS u`);
  for (const run of ['first', 'second']) {
    await db.query(archiveFile);
    expect(await columns(db, 'execution_traces_archive'), run).toEqual(
      [...(await columns(db, 'execution_traces')), 'archived_at timestamp with time zone'].sort(),
    );
  }
  const { rows } = await db.query('SELECT tags, project, updated_at FROM execution_traces_archive');
  expect(rows).toEqual([{ tags: [], project: null, updated_at: null }]);
  await addTrace(db, { tree: 'one' });
  await archiveAll(db);
  expect((await counts(db)).execution_traces).toEqual([0, 2]);
});
