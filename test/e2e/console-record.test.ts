import { beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { boxOf, openConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';
import type { TerminalDriver } from './helpers/terminal.js';

let database: TestDatabase;

/** Of characters that take longest to measure. */
const longText = `begin ${'👩‍👩‍👧‍👦漢字かな'.repeat(40_000)}\nthe needle end`;
const context = {
  mode: 'fast',
  limits: { tokens: 200_000, seconds: { soft: 30, hard: 60 } },
  tools: Array.from({ length: 12 }, (_, n) => `tool ${n}`),
};

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 1);
  await database.query('UPDATE execution_traces SET prompt_text = $1, context = $2', [
    longText,
    JSON.stringify(context),
  ]);
});

const size = { cols: 100, rows: 30 };

async function openTraceInFull(): Promise<TerminalDriver> {
  const driver = await openConsole(database.url, size);
  driver.press('1\r\r');
  await driver.waitFor(/Trace [0-9a-f]{8}-/);
  driver.press('\r');
  await driver.waitFor(/context +▾ 3 members/);
  return driver;
}

/** Where the cursor is; -1: nowhere. */
function chosenRow(driver: TerminalDriver): number {
  for (let row = 2; row < size.rows; row++) if (driver.cell(2, row)?.isInverse()) return row;
  return -1;
}

/** The text of the line under the cursor. */
function chosen(driver: TerminalDriver): string {
  return driver.screen()[chosenRow(driver)]?.slice(2, -2).trim() ?? '';
}

/** Moves down until the cursor is on a line with this text. */
async function goTo(driver: TerminalDriver, text: string): Promise<void> {
  // The header changes by itself.
  const place = () => [chosenRow(driver), ...driver.screen().slice(2)].join('\n');
  for (let step = 0; !chosen(driver).includes(text); step++) {
    if (step > 60) throw new Error(`no line with ${text}:\n${driver.text()}`);
    const before = place();
    driver.press('j');
    await driver.waitFor(() => place() !== before);
  }
}

it('a record folds each field and each part of its JSON for itself, and copies the one under the cursor', async () => {
  const driver = await openTraceInFull();
  await goTo(driver, '▸ tools: [… 12 items]');
  driver.press('o');
  await driver.waitFor('2: "tool 2"');
  expect(chosen(driver)).toBe('▾ tools: 12 items');
  driver.press('jjj');
  await driver.waitFor(() => chosen(driver) === '2: "tool 2"');
  driver.press('y');
  await driver.waitFor('Copied: 2');
  // To the list that it is in, and that folded.
  driver.press('hh');
  await driver.waitFor(() => chosen(driver) === '▸ tools: [… 12 items]');
  driver.press('y');
  await driver.waitFor('Copied: tools');
  driver.press('gY');
  await driver.waitFor('the row as JSON');
  expect(driver.clipboard.slice(0, 2)).toEqual(['tool 2', JSON.stringify(context.tools, null, 2)]);
  expect(driver.clipboard[2]).toMatch(/^\{\n {2}"id": "/);
  driver.press('O');
  await driver.waitFor('Every value is shown whole');
  driver.press('O');
  await driver.waitFor(/… \d+ or more lines more/);
});

it('takes keys while a text of 600,000 wide characters is unfolded, searched and read at its end', async () => {
  const driver = await openTraceInFull();
  await goTo(driver, 'prompt_text');
  driver.press('o');
  await driver.waitFor((lines) => !/… \d+ or more lines more/.test(lines.join('\n')));
  driver.press('G');
  // What comes while it is laid out is done at once.
  driver.press('kk');
  driver.press('/needle');
  await driver.waitFor('/needle · 1 of 1', 60_000);
  await driver.waitFor('the needle end');
  driver.press('\r\x1b');
  await driver.waitFor((lines) => !lines.join('\n').includes('/needle'));
  driver.press('G');
  await driver.waitFor(/ of [\d,]+ ━┛/);
  driver.press('g');
  await driver.waitFor('begin');
  expect(chosen(driver)).toMatch(/^id /);
});

it('opens the neighbour of a pattern, and the way back leads to its line', async () => {
  await database.query(`
    INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_text, prompt_embedding, success_count, total_usage_count)
    SELECT 'hash ' || n, 'intent ' || n, 'prompt ' || n, array_fill(1 + n / 100.0, ARRAY[1536])::vector, 3, 3 FROM generate_series(1, 3) AS n`);
  const driver = await openConsole(database.url, size);
  driver.press('5');
  await driver.waitFor('┏━ 5 Top patterns');
  driver.press('\r');
  await driver.waitFor('Nearest patterns by embedding');
  const first = /Pattern (intent \d)/.exec(driver.text())?.[1] ?? '';
  await goTo(driver, '1.000');
  const neighbour = /intent \d/.exec(chosen(driver))?.[0] ?? '';
  expect(neighbour).not.toBe(first);
  driver.press('\r');
  await driver.waitFor(`┏━ Pattern ${neighbour}`);
  await driver.waitFor('Nearest patterns by embedding');
  expect(boxOf(driver.screen(), `Pattern ${neighbour}`).join('\n')).toContain(first);
  driver.press('\x1b');
  await driver.waitFor(`┏━ Pattern ${first}`);
  expect(chosen(driver)).toContain(neighbour);
});
