import { expect, test } from 'vitest';
import { fingerprint } from '../deploy/helpers.js';
import { createTestDatabase } from '../helpers/database.js';
import { startConsole } from './helpers/console.js';

test.each([
  ['Ctrl-C', '\x03'],
  ['Ctrl-D', '\x04'],
  ['another word', 'no\r'],
])('%s at a question changes nothing, and ends with exit code 4', async (_, keys) => {
  const database = await createTestDatabase({ schema: false });
  await database.query('CREATE TABLE invoices (n int)');
  const before = await fingerprint(database);
  const driver = startConsole(database.url, { args: ['schema', 'apply'], cols: 120, rows: 35 });
  await driver.waitFor(/Type "yes":/);
  driver.press(keys);
  expect(await driver.exited).toMatchObject({ exitCode: 4 });
  expect(driver.text()).toContain('Cancelled; nothing was changed.');
  expect(await fingerprint(database)).toEqual(before);
});
