import { beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { expectIntact, openConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';
import type { TerminalDriver } from './helpers/terminal.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 5);
});

const size = { cols: 120, rows: 35 };

/** The same numbers from 0 to below 1 in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

/** All is drawn, once, and the keys work. */
async function expectWell(driver: TerminalDriver): Promise<void> {
  driver.press('2');
  await driver.waitFor('┏━ 2 Slow hooks');
  driver.press('1');
  await driver.waitFor('┏━ 1 Recent traces');
  driver.press('%');
  await driver.waitFor('% does nothing here');
  // The message goes with a key that does something.
  driver.press('1');
  await driver.waitFor((lines) => lines.at(-1)?.includes('q quit') === true);
  expectIntact(driver, size);
  expect(driver.text().match(/┏/g)).toHaveLength(1);
  expect(driver.emulator.buffer.active.baseY).toBe(0);
  expect(driver.titles).toEqual([]);
  expect(driver.clipboard).toEqual([]);
  expect(driver.bells).toBe(0);
}

it('500 random sizes leave nothing behind', async () => {
  const driver = await openConsole(database.url, size);
  const random = seeded(6);
  for (let step = 0; step < 500; step++) {
    driver.resize(20 + Math.floor(220 * random()), 5 + Math.floor(75 * random()));
    if (step % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  driver.resize(20, 5);
  await driver.waitFor('20×5 is too small');
  driver.resize(size.cols, size.rows);
  await driver.waitFor((lines) => lines.at(-1)?.includes('q quit') === true);
  await driver.waitFor((lines) => lines.some((line) => line.startsWith('┏')));
  await expectWell(driver);
});

describe('what a terminal sends that is no key', () => {
  const storms: [string, string][] = [
    ['a megabyte in paste marks', `\x1b[200~${'paste \x1b[31m\r\n'.repeat(80_000)}\x1b[201~`],
    ['clicks and wheels as X10 sends them', '\x1b[M !!\x1b[M#!!\x1b[M`!!\x1b[M\xc8\xff\xff'],
    [
      'clicks, wheels and drags in SGR form',
      '\x1b[<0;5;5M\x1b[<0;5;5m\x1b[<64;9;9M\x1b[<35;300;9M',
    ],
    [
      'sequences that nobody knows',
      '\x1b[?997;1n\x1b[999;999z\x1b[>1;2;3c\x1bP1$r0m\x1b\\\x1b]4;1;rgb:1/2/3\x07\x1b_Gi=1\x1b\\\x1b[I\x1b[O',
    ],
  ];

  it.each(storms)('does nothing: %s', async (_name, bytes) => {
    const driver = await openConsole(database.url, size);
    driver.press(bytes);
    await expectWell(driver);
    // In a line that is typed into neither, but for what was pasted.
    driver.press('/');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /') === true);
    driver.press(bytes);
    driver.press('\x15end');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /end█') === true);
    driver.press('\x1b');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /') === false);
    await expectWell(driver);
  });

  it('does nothing: bytes that are no UTF-8, also in the middle of a sequence', async () => {
    const driver = await openConsole(database.url, size);
    driver.pressBytes([0xff, 0xfe, 0xc3, 0x28, 0xe2, 0x82, 0x1b, 0x5b, 0xff, 0xf0, 0x9f, 0x80]);
    // What they could have been the beginning of ends with a key that does nothing here.
    driver.press('%');
    await driver.waitFor('does nothing here');
    await expectWell(driver);
  });

  it('is many keys where a megabyte comes without paste marks, and the console goes on', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('/');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /') === true);
    driver.press('x'.repeat(1_000_000));
    driver.press('\x15end');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /end█') === true, 50_000);
    driver.press('\x1b');
    await driver.waitFor((lines) => lines.at(-1)?.startsWith(' /') === false);
    await expectWell(driver);
  });
});
