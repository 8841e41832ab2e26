import { beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { boxOf, openConsole, sizes } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 40);
  await addTraces(database, 5, 'failed');
  await database.query('ANALYZE');
});

describe.each(sizes)('finding at $cols×$rows', (size) => {
  it('filters the rows of a pane as it is typed, keeps it for the pane, and clears it', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('3/');
    await driver.waitFor(/ \/█ +Enter keeps it, Esc shows all/);
    driver.press('table:hook !pkey');
    await driver.waitFor(/3 Index usage \/table:hook !pkey \d+ of \d+/);
    const rows = boxOf(driver.screen(), '3 Index usage').filter((line) => line.includes('idx_'));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((line) => line.startsWith('idx_hook'))).toBe(true);
    driver.press('\r');
    driver.press('4');
    await driver.waitFor('┏━ 4 Table sizes');
    driver.press('3/');
    await driver.waitFor(' /table:hook !pkey█');
    driver.press(' nothing=');
    await driver.waitFor('no column nothing');
    driver.press('\r');
    await driver.waitFor('Not yet: no column nothing');
    driver.press('\x15nonsense');
    await driver.waitFor(/None of \d+ rows matches \/nonsense/);
    driver.press('\x1b');
    await driver.waitFor(
      (lines) => !lines.join().includes('/nonsense') && lines.join().includes('idx_'),
    );
  });

  it('keeps the cursor on its row while a filter hides others, and says when it is hidden', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('4s');
    await driver.waitFor('┏━ 4 Table sizes');
    driver.press('/table:hook\r');
    await driver.waitFor('/table:hook 2 of');
    driver.press('j');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('/table:hook'));
    driver.press('/patterns\r');
    await driver.waitFor('/patterns ');
    await driver.waitFor('the chosen row is gone');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('the chosen row is gone'));
  });

  it('has every pane, command and setting behind the colon, completed and found by pieces', async () => {
    const driver = await openConsole(database.url, size);
    driver.press(':');
    await driver.waitFor('┏━ Commands, ');
    driver.press('win 15');
    await driver.waitFor('┃ window 15m');
    driver.press('\r');
    await driver.waitFor('window 15m');
    driver.press(':agch');
    await driver.waitFor('┃ agent-chains');
    driver.press('\t');
    await driver.waitFor(':agent-chains█');
    driver.press('\r');
    await driver.waitFor((lines) => lines[2]?.includes('Agent chains') === true);
    driver.press('\x1b');
    await driver.waitFor('1 Recent traces');
    driver.press('3:sort s');
    await driver.waitFor('┃ sort ');
    driver.press('\x1b');
    await driver.waitFor((lines) => !lines.join().includes('┏━ Commands'));
    driver.press(':xyzzy');
    await driver.waitFor('No such command');
    driver.press('\r');
    await driver.waitFor('There is no command "xyzzy"');
  });
});
