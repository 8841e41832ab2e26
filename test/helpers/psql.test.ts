import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createTestDatabase } from './database.js';
import { psql } from './psql.js';

function scratchFile(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'psql-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'input.sql');
  writeFileSync(file, content);
  return file;
}

test('files run before commands, each in order', async () => {
  const file = scratchFile('CREATE TABLE t (n int);\nINSERT INTO t VALUES (1), (2);\n');
  const database = await createTestDatabase({ schema: false });
  const result = await psql(database.url, {
    files: [file],
    commands: ['DELETE FROM t WHERE n = 1', 'SELECT n, current_database() FROM t'],
  });
  expect(result).toEqual({ stdout: `2|${database.name}\n`, stderr: '', exitCode: 0 });
});

test('an error ends the run: 3 in a file, 1 in a command, with the reason on stderr', async () => {
  const database = await createTestDatabase({ schema: false });
  const file = scratchFile('SELECT 1/0;\n');
  const next = 'CREATE TABLE never ()';
  const inFile = await psql(database.url, { files: [file], commands: [next] });
  const inCommand = await psql(database.url, { commands: ['SELECT 1/0', next] });
  expect([inFile.exitCode, inCommand.exitCode]).toEqual([3, 1]);
  expect(inFile.stderr).toContain('division by zero');
  expect(inCommand.stderr).toContain('division by zero');
  const { rows } = await database.query(`SELECT to_regclass('never') AS found`);
  expect(rows).toEqual([{ found: null }]);
});
