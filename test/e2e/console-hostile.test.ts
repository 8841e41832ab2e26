import { describe, expect, it } from 'vitest';
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

async function fill(database: TestDatabase, text: string): Promise<void> {
  const { rows } = await database.query<{ table_name: string; column_name: string }>(
    `SELECT table_name::text, column_name::text FROM information_schema.columns
     WHERE table_schema = 'public' AND data_type = 'text' AND is_generated = 'NEVER'
       AND table_name IN ('execution_traces', 'agent_routing_decisions', 'hook_executions', 'endpoint_calls')
       AND column_name NOT IN ('status', 'parameters_hash')`,
  );
  const refused: string[] = [];
  for (const { table_name: table, column_name: column } of rows) {
    try {
      await database.query(`UPDATE ${table} SET ${column} = $1`, [text]);
    } catch {
      refused.push(`${table}.${column}`);
    }
  }
  // Columns with a fixed list of values, or a bound, refuse; most must not.
  expect(refused.length).toBeLessThan(rows.length / 2);
}

describe('hostile text in every column', () => {
  it.each(sizes)('stays in its cell at $cols×$rows', async (size) => {
    const database = await createTestDatabase();
    await addTraces(database, 12);
    await fill(database, hostile);
    await database.query(`UPDATE execution_traces SET prompt_text = $1`, [
      hostile.repeat(Math.ceil(1_000_000 / hostile.length)),
    ]);
    const driver = await openConsole(database.url, size);
    const trace = /Trace [0-9a-f]{8}-.*┓/;
    const record = /┃ id +[0-9a-f]{8}-/;
    for (const [pane, steps] of [
      ['2', [/Slowest calls: /, trace, record]],
      ['6', [trace, record]],
      ['1', [/Newest traces: /, trace, record]],
    ] as const) {
      driver.press(pane);
      await driver.waitFor(`┏━ ${pane} `);
      expectIntact(driver, size);
      for (const shows of steps) {
        driver.press('\r');
        await driver.waitFor(shows);
        expectIntact(driver, size);
      }
      driver.press('o');
      driver.press('G');
      await driver.waitFor(/(\d+) of \1 ━|id +[0-9a-f]{8}-/);
      expectIntact(driver, size);
      for (const shows of [...steps.slice(0, -1).toReversed(), '1 Recent traces']) {
        driver.press('\x1b');
        await driver.waitFor(shows);
      }
    }
    expect(driver.titles).toEqual([]);
    expect(driver.clipboard).toEqual([]);
    expect(driver.bells).toBe(0);
    expect(driver.buffer).toBe('alternate');
    driver.press('q');
    expect((await driver.waitForExit()).exitCode).toBe(0);
  });
});
