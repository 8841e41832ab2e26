import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { embeddedStatus } from '../../src/embedded/running.js';
import { openDatabase, TestFolder } from './daemon/folder.js';

test('a database whose daemon has ended, or was killed, starts it again when it is asked', async () => {
  const folder = new TestFolder();
  const address = await folder.open();
  const database = await openDatabase(folder, address);
  const killed = (await embeddedStatus(folder.dataDir))?.pid ?? 0;
  process.kill(killed, 'SIGKILL');
  while (fs.existsSync(`/proc/${killed}`)) await sleep(10);
  await sleep(50);
  expect(await database.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect((await embeddedStatus(folder.dataDir))?.pid).not.toBe(killed);
  await database.close();
  await folder.remove();
});
