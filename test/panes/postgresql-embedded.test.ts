import { expect, onTestFinished, test } from 'vitest';
import { postgresql } from '../../src/panes/postgresql.js';
import { openDatabase, TestFolder } from '../embedded/daemon/folder.js';
import { readFresh } from './open.js';

test('on the embedded engine it says that others are not seen, not that there are none', async () => {
  const folder = new TestFolder();
  onTestFinished(() => folder.remove());
  const address = await folder.open();
  const database = await openDatabase(folder, address);
  onTestFinished(() => database.close());
  const result = await readFresh(database, postgresql);
  expect(result.rows).toEqual([]);
  expect(result.notes).toEqual([
    'the embedded engine cannot tell its clients apart; embedded status counts them',
  ]);
  const summary = postgresql.summary?.(result, { nowMs: result.asOf.getTime() }) ?? [];
  expect(summary.flat().map(({ text }) => text)).toEqual(['one session, which all clients share']);
});
