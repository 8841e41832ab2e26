import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { connectForMaintenance } from '../../src/maintenance/long-statement.js';
import { openConsole } from '../deploy/helpers.js';
import { createTestDatabase } from '../helpers/database.js';

it('gives up at once with a lock time-out of zero, rather than never', async () => {
  const test = await createTestDatabase();
  const database = await openConsole(test.url);
  const connection = await connectForMaintenance(database, 0);
  const { rows } = await connection.query<{ lock: string; statement: string }>(
    `SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement`,
  );
  expect(rows).toEqual([{ lock: '1ms', statement: '0' }]);
  await connection.close();
  await database.close();
});

it('is ended by no time-out that a role or a database sets', async () => {
  const test = await createTestDatabase();
  // Opened before: on a busy machine its first transaction may take as long.
  const database = await openConsole(test.url);
  for (const name of [
    'statement_timeout',
    'idle_session_timeout',
    'idle_in_transaction_session_timeout',
  ]) {
    await test.query(`ALTER DATABASE ${test.name} SET ${name} = '200ms'`);
  }
  const { rows: known } = await test.query(
    `SELECT FROM pg_settings WHERE name = 'transaction_timeout'`,
  );
  if (known.length > 0) {
    await test.query(`ALTER DATABASE ${test.name} SET transaction_timeout = '200ms'`);
  }
  const connection = await connectForMaintenance(database);
  await connection.query('SELECT pg_sleep(0.5)');
  await sleep(500);
  await connection.query('SELECT 1');
  await connection.close();
  await database.close();
});
