import { expect, it, onTestFinished } from 'vitest';
import { ConsoleError } from '../../../src/db/errors.js';
import { losesConnection } from '../../../src/db/errors.js';
import { connect, openDatabase, TestFolder } from './folder.js';

it('a statement that does not get its turn in time says so, and takes no connection for lost', async () => {
  const folder = new TestFolder();
  onTestFinished(() => folder.remove());
  const address = await folder.open();
  const database = await openDatabase(folder, address);
  onTestFinished(() => database.close());
  const other = await connect(address);
  const long = other.query('SELECT pg_sleep(7)');
  const limits = { statementTimeoutMs: 500 };
  const error = await database.read('SELECT 1', [], limits).catch((cause: unknown) => cause);
  expect(error).toMatchObject({
    code: 'busy',
    message: 'The embedded engine is busy with another statement.',
  });
  expect(error instanceof ConsoleError && losesConnection(error)).toBe(false);
  await long;
  await other.end();
  expect(await database.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
});
