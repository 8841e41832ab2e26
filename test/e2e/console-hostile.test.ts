import { beforeAll, describe, expect, it } from 'vitest';
import { quoteIdent } from '../../src/db/quote.js';
import { coreTables } from '../../src/core/tables.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { expectIntact, openConsole, sizes } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

/** Everything a terminal could be talked into, and what breaks layouts. */
const hostile = [
  ...[
    '\x1b[2J\x1b[H',
    '\x1b]0;title\x07',
    '\x1b]52;c;aGFja2Vk\x07',
    '\x07\x07',
    '\x1bc',
    '\x1b[?1049l',
  ],
  ...[
    '\x9b31m',
    '\x9d0;c1 title\x9c',
    '\x90dcs\x9c',
    '\u202eright to left\u2066',
    '\ttab\r\nline\v',
  ],
  ...['👩‍👩‍👧‍👦', '👍🏽', '🇩🇪', '漢字かな', 'e\u0301\u0301\u0301', '\u200b\ufeff', 'ก็็็็'],
].join('');
const megabyte = hostile.repeat(Math.ceil(1_000_000 / hostile.length));

/** The names of tables hold 63 bytes. */
const hostileName = '\x1b]0;t\x07\x9b2J\u202e漢👍🏽\t\nx';

/** Every column of every core table that takes texts; those with an index take 512 characters. */
async function fill(database: TestDatabase): Promise<void> {
  await addTraces(database, 3);
  await database.query(
    `INSERT INTO success_patterns (pattern_hash, intent_classification, success_count, total_usage_count) VALUES ('h', 'i', 3, 3);
     INSERT INTO pattern_usage_log (pattern_id) SELECT id FROM success_patterns;
     INSERT INTO agent_chaining_patterns (chain_hash, primary_agent, occurrence_count) VALUES ('h', 'a', 3);
     INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern) VALUES ('f', 't', 'm')`,
  );
  const { rows } = await database.query<{ table: string; column: string; type: string }>(
    `SELECT table_name::text AS table, column_name::text AS column, udt_name::text AS type
     FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = ANY ($1) AND udt_name IN ('text', '_text', 'jsonb')
       AND is_generated = 'NEVER'`,
    [coreTables],
  );
  const refused: string[] = [];
  for (const { table, column, type } of rows) {
    const value = { text: '$1', _text: 'ARRAY[$1, $1]', jsonb: `jsonb_build_object($1, $1)` }[type];
    const set = (text: string) =>
      database.query(`UPDATE ${table} SET ${column} = ${value?.replaceAll('$1', '$1::text')}`, [
        text,
      ]);
    await set(megabyte)
      .catch(() => set(hostile))
      .catch(() => refused.push(column));
  }
  // A list of values is all that keeps them out.
  expect([...new Set(refused)].sort()).toEqual(['error_category', 'outcome', 'severity', 'status']);
  await database.query(`CREATE TABLE ${quoteIdent(hostileName)} (id int PRIMARY KEY)`);
}

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await fill(database);
});

describe('hostile text and a megabyte in every column', () => {
  it.each(sizes)('stays in its cell at $cols×$rows', async (size) => {
    const driver = await openConsole(database.url, size);
    for (const pane of ['1', '2', '3', '4', '5', '6']) {
      driver.press(pane);
      await driver.waitFor(`┏━ ${pane} `);
      expectIntact(driver, size);
      driver.press('z');
      await driver.waitFor((lines) => lines[2]?.startsWith(`┏━ ${pane} `) === true);
      expectIntact(driver, size);
      driver.press('\r');
      await driver.waitFor((lines) => /^┏━ (?!\d )/.test(lines[2] ?? '') && !asking(lines));
      expectIntact(driver, size);
      // Unfolded, to its end, and back.
      driver.press('oG\x1b');
      await driver.waitFor((lines) => lines[2]?.startsWith(`┏━ ${pane} `) === true, 60_000);
      driver.press('z');
    }
    expect(driver.titles).toEqual([]);
    expect(driver.clipboard).toEqual([]);
    expect(driver.bells).toBe(0);
    expect(driver.buffer).toBe('alternate');
    driver.press('q');
    expect((await driver.waitForExit()).exitCode).toBe(0);
  });
});

const asking = (lines: string[]) => lines.some((line) => line.includes('asking …'));
