import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { blocks, corrected, correctedFile, printed } from './seed/blocks.js';

const folder = join(import.meta.dirname, 'seed');
const docs = join(import.meta.dirname, '../../docs');
const read = (name: string) => readFileSync(join(docs, name), 'utf8');

/** Words as a reader sees them: white space and the escapes of Markdown's tables do not count. */
const plain = (text: string) => text.replaceAll('\\|', '|').replaceAll(/\s+/g, ' ');

test('every file of the specification is declared, in its order, corrected where it must be', () => {
  const files = ['schema-readme', 'local-deployment'].flatMap((document) =>
    readdirSync(join(folder, document))
      .sort()
      .map((name) => `${document}/${name}`),
  );
  const declared = blocks.flatMap(({ file, runs }) =>
    runs === 'corrected' ? [file, correctedFile(file)] : [file],
  );
  expect(declared.sort()).toEqual(files.sort());
  expect(blocks).toHaveLength(24);
});

test('every block is run by a test: as it is, and corrected where it must be', () => {
  const tests = readdirSync(import.meta.dirname)
    .filter((name) => /^seed-.*\.test\.ts$/.test(name))
    .map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'))
    .join('\n');
  for (const { file } of blocks) expect(tests).toContain(`'${file}'`);
});

test('a block has slips exactly when it is corrected, and each is in the text', () => {
  for (const { file, runs, slips } of blocks) {
    expect(slips.length > 0, file).toBe(runs === 'corrected');
    for (const slip of slips) {
      expect(printed(file)).toContain(slip.printed);
      expect(plain(corrected(file))).toContain(slip.corrected);
    }
  }
});

test.each(blocks.flatMap(({ slips }) => slips))(
  'docs/troubleshooting.md lists: $printed',
  ({ printed: wrong, corrected: right }) => {
    const text = plain(read('troubleshooting.md'));
    expect(text).toContain(plain(wrong));
    expect(text).toContain(plain(right));
  },
);

test('docs/writing-traces.md: its SQL runs, in its order', async () => {
  const statements = [...read('writing-traces.md').matchAll(/^```sql\n(.*?)^```$/gms)].map(
    ([, sql = '']) => sql,
  );
  expect(statements.length).toBeGreaterThan(3);
  const database = await createTestDatabase();
  const session = await database.pool.connect();
  try {
    for (const sql of statements) await session.query(sql);
  } finally {
    session.release();
  }
});
