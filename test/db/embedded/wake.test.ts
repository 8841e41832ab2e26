import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Database } from '../../../src/db/database.js';
import { embeddedStatus } from '../../../src/db/embedded/index.js';
import { TestFolder } from './daemon/folder.js';

test('a database whose daemon has ended, or was killed, starts it again when it is asked', async () => {
  const folder = new TestFolder();
  const address = await folder.open();
  const { host, port, user, database: name } = address;
  const database = await Database.open(
    {
      kind: 'server',
      origin: 'embedded',
      ...{ host, port, user, database: name, password: '', parameters: {} },
      connectTimeoutMs: 10_000,
    },
    { wake: () => folder.open() },
  );
  const killed = (await embeddedStatus(folder.dataDir))?.pid ?? 0;
  process.kill(killed, 'SIGKILL');
  while (fs.existsSync(`/proc/${killed}`)) await sleep(10);
  await sleep(50);
  expect(await database.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect((await embeddedStatus(folder.dataDir))?.pid).not.toBe(killed);
  await database.close();
  await folder.remove();
});
