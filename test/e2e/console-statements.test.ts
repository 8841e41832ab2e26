import { it } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { openConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

it('shows the SQL behind a pane with its plan, and the statements that were run', async () => {
  const database = await createTestDatabase();
  await addTraces(database, 3);
  const driver = await openConsole(database.url, { cols: 160, rows: 50 });
  driver.press('5Q');
  await driver.waitFor('SQL of Top patterns');
  await driver.waitFor(/cost=\d/);
  driver.press('/pattern_hash\r');
  await driver.waitFor(/v\."pattern_hash"/);
  driver.press('\x1b');
  await driver.waitFor(/^(?![\s\S]*\/pattern_hash)/);
  driver.press('\x1b');
  await driver.waitFor('┏━ 5 Top patterns');
  driver.press('L');
  await driver.waitFor('Statements that were run, newest first');
  await driver.waitFor(/ \d+ms .*(?:SELECT|WITH)/);
  driver.press('\r');
  await driver.waitFor('A statement of');
});
