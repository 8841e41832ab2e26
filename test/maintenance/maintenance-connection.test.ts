import { expect, it } from 'vitest';
import { connectForMaintenance } from '../../src/maintenance/maintenance-connection.js';
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
