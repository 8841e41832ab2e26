import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { functions, tables, views } from './counts.js';

const document = readFileSync(join(import.meta.dirname, '../../docs/schema.md'), 'utf8');

/** The part of the document under a heading, up to the next one. */
function section(heading: string): string {
  const [, found = ''] = document.split(new RegExp(`^### ${heading}$`, 'm'));
  return found.split(/^##/m)[0] ?? '';
}

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

test.each(tables)('docs/schema.md has every column of %s', async (table) => {
  const { rows } = await database.query<{ column_name: string }>(
    `SELECT column_name FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = $1
       AND column_name NOT IN ('id', 'created_at', 'updated_at')`,
    [table],
  );
  const text = section(table);
  expect(rows.length).toBeGreaterThan(8);
  expect(
    rows.map((row) => row.column_name).filter((name) => !text.includes(`\`${name}\``)),
  ).toEqual([]);
});

test('docs/schema.md has every index with the question that is its comment', async () => {
  const { rows } = await database.query<{ name: string; question: string }>(
    `SELECT c.relname AS name, obj_description(c.oid, 'pg_class') AS question
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
     WHERE t.relname = ANY ($1) AND c.relname LIKE 'idx\\_%'`,
    [tables],
  );
  expect(rows).toHaveLength(48);
  const lines = document.replaceAll('\\', '').split('\n');
  const missing = rows.filter(
    ({ name, question }) =>
      !lines.some((line) => line.includes(`\`${name}\``) && line.includes(`| ${question} `)),
  );
  expect(missing).toEqual([]);
});

test('docs/schema.md has every view and function', () => {
  for (const name of views) expect(document).toContain(`\`${name}\``);
  for (const name of functions) expect(document).toContain(`\`${name}(`);
});
