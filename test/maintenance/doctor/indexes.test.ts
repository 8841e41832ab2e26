import { describe, expect, it } from 'vitest';
import {
  duplicateIndexes,
  foreignKeys,
  invalidIndexes,
  unusedIndexes,
  unusedIndexesCheck,
} from '../../../src/maintenance/doctor/checks/indexes.js';
import { indexBloat, indexBloatCheck } from '../../../src/maintenance/doctor/checks/bloat.js';
import {
  pgvector,
  vectorLists,
  vectorTraining,
} from '../../../src/maintenance/doctor/checks/vectors.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { diagnose } from './helpers.js';

/** The commands of a finding are to be typed as they are. */
async function type(test: TestDatabase, command: string | null): Promise<void> {
  if (command === null) throw new Error('the finding names no command');
  for (const statement of command.split(/(?<=;) /)) await test.query(statement);
}

/** A command of the shell: `trace-console reindex …`. */
async function typeInShell(test: TestDatabase, command: string | null): Promise<void> {
  const [program, ...args] = (command ?? '').split(' ');
  expect(program).toBe('trace-console');
  const { exitCode, stderr } = await runCli([...args, '--yes', '--url', test.url]);
  expect(exitCode, stderr).toBe(0);
}

describe('pgvector', () => {
  it('is missed where the extension is not, until it is created', async () => {
    const test = await createTestDatabase({ schema: false });
    const before = await diagnose(test.url, pgvector);
    expect(before).toMatchObject({ severity: 'critical' });
    expect(before.evidence).toMatch(/"vector" [\d.]+ is on the server, but not in this database/);
    await type(test, before.command);
    expect(await diagnose(test.url, pgvector)).toMatchObject({ severity: 'good' });
  });

  it('is told to be old where the server has a newer version', async () => {
    const test = await createTestDatabase({ schema: false, extensions: true });
    const { rows } = await test.query<{ version: string }>(
      `SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'`,
    );
    // No script leads down to an older version: the catalogue is made to say so.
    await test.query(`UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'`);
    const before = await diagnose(test.url, pgvector);
    expect(before).toMatchObject({
      severity: 'warning',
      command: 'ALTER EXTENSION vector UPDATE;',
    });
    expect(before.evidence).toContain('0.7.4');
    await test.query('UPDATE pg_extension SET extversion = $1 WHERE extname = $2', [
      rows[0]?.version,
      'vector',
    ]);
    expect(await diagnose(test.url, pgvector)).toMatchObject({ severity: 'good' });
  });
});

describe('vector indexes', () => {
  it('are untrained when built before the embeddings came, and unfit with the wrong lists', async () => {
    const test = await createTestDatabase();
    for (const check of [vectorTraining, vectorLists]) {
      expect(await diagnose(test.url, check)).toMatchObject({ severity: 'good' });
    }
    await test.query(
      `INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding)
       SELECT 'hash-' || i, 'test', array_fill(i / 400.0, ARRAY[1536])::vector FROM generate_series(1, 400) AS i;
       -- Counted before ANALYZE sets the number of rows, or they would count twice.
       SELECT pg_stat_force_next_flush()`,
    );
    await test.query('ANALYZE success_patterns');
    const untrained = await diagnose(test.url, vectorTraining);
    expect(untrained).toMatchObject({
      severity: 'warning',
      command: 'trace-console reindex idx_pattern_embedding',
      items: ['idx_pattern_embedding (now about 400 rows)'],
    });
    const unfit = await diagnose(test.url, vectorLists);
    expect(unfit.evidence).toBe(
      'idx_pattern_embedding has 100 lists for about 400 rows; 1 would fit.',
    );
    await typeInShell(test, unfit.command);
    expect(await diagnose(test.url, vectorLists)).toMatchObject({ severity: 'good' });
    expect(await diagnose(test.url, vectorTraining)).toMatchObject({ severity: 'good' });
  });
});

describe('indexes', () => {
  it('of the schema itself are neither duplicate nor is a foreign key without one', async () => {
    const test = await createTestDatabase();
    for (const check of [duplicateIndexes, foreignKeys, invalidIndexes]) {
      expect(await diagnose(test.url, check)).toMatchObject({ severity: 'good' });
    }
  });

  it('that are invalid are named, and gone when they are dropped', async () => {
    const test = await createTestDatabase();
    await test.query('CREATE INDEX idx_error_type_ccnew ON error_patterns (error_type)');
    await test.query(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_error_type_ccnew'::regclass`,
    );
    expect(await diagnose(test.url, invalidIndexes)).toMatchObject({
      severity: 'warning',
      items: ['idx_error_type_ccnew, left over of idx_error_type, 8.0 kB: drop it'],
      command: 'trace-console reindex --clean-up',
    });
    await test.query(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_error_recent'::regclass`,
    );
    const both = await diagnose(test.url, invalidIndexes);
    expect(both.items).toHaveLength(2);
    for (const command of [both.command, 'trace-console reindex --clean-up']) {
      await typeInShell(test, command);
    }
    expect(await diagnose(test.url, invalidIndexes)).toMatchObject({ severity: 'good' });
  });

  it('that another one covers are named with it', async () => {
    const test = await createTestDatabase();
    await test.query('CREATE INDEX mine ON error_patterns (error_type)');
    const twice = await diagnose(test.url, duplicateIndexes);
    expect(twice.severity).toBe('warning');
    expect(twice.evidence).toMatch(/^1 index too many: mine \(8.0 kB\) is a duplicate of idx_/);
    await type(test, twice.command);
    await test.query('CREATE INDEX longer ON error_patterns (agent_name, hook_type)');
    await test.query('CREATE INDEX shorter ON error_patterns (agent_name)');
    await test.query('CREATE UNIQUE INDEX needed ON error_patterns (agent_name) WHERE false');
    const beginning = await diagnose(test.url, duplicateIndexes);
    expect(beginning).toMatchObject({
      severity: 'advice',
      items: [expect.stringContaining('shorter') as string],
    });
    await type(test, beginning.command);
    expect(await diagnose(test.url, duplicateIndexes)).toMatchObject({ severity: 'good' });
  });

  it('are missed below a foreign key', async () => {
    const test = await createTestDatabase();
    await test.query('DROP INDEX idx_hook_executions_trace');
    await test.query(
      'CREATE TABLE notes (hook uuid REFERENCES hook_executions (id) ON DELETE CASCADE)',
    );
    for (const table of ['hook_executions (trace_id)', 'notes (hook)']) {
      const found = await diagnose(test.url, foreignKeys);
      expect(found.severity).toBe('warning');
      expect(found.evidence).toContain(table);
      await type(test, found.command);
    }
    expect(await diagnose(test.url, foreignKeys)).toMatchObject({ severity: 'good' });
  });

  it('without a scan are named, once the counters are old enough to tell', async () => {
    const test = await createTestDatabase();
    await test.query('SELECT pg_stat_reset()');
    const early = await diagnose(test.url, unusedIndexes);
    expect(early).toMatchObject({ severity: 'skipped' });
    expect(early.evidence).toContain('too early to say');
    await test.query(
      'CREATE TABLE facts AS SELECT n, md5(n::text) AS text FROM generate_series(1, 3000) AS n',
    );
    await test.query('CREATE INDEX facts_text ON facts (text)');
    await test.query('CREATE UNIQUE INDEX facts_n ON facts (n)');
    const check = unusedIndexesCheck({ leastAgeMs: 0, leastBytes: 100_000 });
    const found = await diagnose(test.url, check);
    expect(found).toMatchObject({ severity: 'advice' });
    expect(found.items).toEqual([expect.stringMatching(/^facts_text on facts, \d+ kB$/)]);
    await test.query(`SELECT FROM facts WHERE text = md5('7'); SELECT pg_stat_force_next_flush()`);
    expect(await diagnose(test.url, check)).toMatchObject({ severity: 'good' });
  });

  it('that are mostly empty are estimated, measured where the server can, and full again when rebuilt', async () => {
    const test = await createTestDatabase();
    await test.query(
      `CREATE TABLE keys (id uuid, text text) WITH (autovacuum_enabled = false);
       CREATE INDEX keys_id ON keys (id);
       CREATE INDEX keys_text ON keys (text);
       CREATE INDEX keys_upper ON keys (upper(text)); -- of which there are no statistics
       INSERT INTO keys SELECT md5(n::text)::uuid, md5(n::text) FROM generate_series(1, 20000) AS n`,
    );
    await test.query('VACUUM (ANALYZE) keys');
    const check = indexBloatCheck({ leastBytes: 300_000 });
    expect(await diagnose(test.url, check)).toMatchObject({ severity: 'good' });

    await test.query('DELETE FROM keys WHERE id::text > $1', ['2']);
    await test.query('VACUUM (ANALYZE) keys');
    const found = await diagnose(test.url, check);
    expect(found).toMatchObject({ severity: 'advice', command: 'trace-console reindex keys_text' });
    expect(found.items).toHaveLength(2);
    expect(found.items[0]).toMatch(/^keys_text: about .* of .* empty \(\d\d%, estimated\)$/);
    expect(await diagnose(test.url, indexBloat)).toMatchObject({ severity: 'good' });

    await test.query('CREATE EXTENSION pgstattuple');
    const measured = await diagnose(test.url, check);
    expect(measured.items[0]).toMatch(
      /^keys_text: about .* of .* empty \(\d\d%, measured by pgstattuple\)$/,
    );
    await typeInShell(test, measured.command);
    expect((await diagnose(test.url, check)).items).toHaveLength(1);
  });
});
