import { expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.js';
import type { Action } from '../../../src/maintenance/action.js';
import { journaled } from '../../../src/maintenance/journal/journaled.js';
import { showPresence, readRuns } from '../../../src/maintenance/journal/run.js';
import { openDatabase, TestFolder } from '../../embedded/daemon/folder.js';
import { collect } from '../helpers.js';

async function twoConsoles(): Promise<[Database, Database]> {
  const folder = new TestFolder();
  onTestFinished(() => folder.remove());
  const address = await folder.open();
  const consoles: [Database, Database] = [
    await openDatabase(folder, address),
    await openDatabase(folder, address),
  ];
  for (const database of consoles) onTestFinished(() => database.close());
  return consoles;
}

/** As when a statement of the run took longer than its lease: its signs of life wait behind it. */
const letLeasesRunOut = (database: Database) =>
  database.transaction({}, (tx) =>
    tx.query(`UPDATE trace_console.maintenance_runs SET lease_until = clock_timestamp()`),
  );

const states = async (database: Database) =>
  (await database.transaction({ readOnly: true }, (tx) => readRuns(tx, 'public', 9))).map(
    ({ state }) => state,
  );

it('a run whose signs of life wait behind its own statement is no crashed one, until its console ends', async () => {
  const [ours, theirs] = await twoConsoles();
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  let begun = false;
  const action: Action<object, object> = {
    id: 'wait',
    title: 'Wait',
    requires: [],
    exclusive: { name: 'wait', whenTaken: 'refuse' },
    tables: () => [],
    preview: () => Promise.resolve({ title: '', facts: [], sql: [], warnings: [] }),
    async *run() {
      begun = true;
      yield { phase: 'waiting' };
      await finished;
      return { summary: 'Waited.', cancelled: false, result: {} };
    },
  };
  const start = (database: Database) =>
    collect(journaled(action, { database, signal: new AbortController().signal }, {}));

  const running = start(ours);
  await expect.poll(() => begun, { timeout: 30_000 }).toBe(true);
  await letLeasesRunOut(ours);
  expect(await states(theirs)).toEqual(['running']);
  await expect(start(theirs)).rejects.toMatchObject({ code: 'busy' });
  finish();
  expect((await running).outcome).toMatchObject({ run: 1, summary: 'Waited.' });
  expect(await states(theirs)).toEqual(['done']);

  await ours.transaction({}, (tx) =>
    tx.query(`INSERT INTO trace_console.maintenance_runs
      (target_schema, action, title, input, application, console_version, lease_until)
      VALUES ('public', 'wait', 'Wait', '{}', 'test', '0', clock_timestamp())`),
  );
  const leave = await showPresence(ours, 2);
  expect(await states(theirs)).toEqual(['running', 'done']);
  await leave();
  await expect.poll(() => states(theirs), { timeout: 30_000 }).toEqual(['crashed', 'done']);
});
