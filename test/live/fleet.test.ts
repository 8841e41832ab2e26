import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { ConsoleError } from '../../src/db/errors.js';
import { Fleet, type FleetMember } from '../../src/live/fleet.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase } from '../panes/open.js';

const alive = ['anna', 'berta', 'clara', 'dora', 'emil', 'fritz', 'gustav'] as const;

function until(fleet: Fleet, isSo: (members: readonly FleetMember[]) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (isSo(fleet.members)) resolve();
    };
    onTestFinished(fleet.subscribe(look));
    look();
  });
}

test('ten lines are there before anybody answered, and seven have their figures while the dead and the slow are still waited for', async () => {
  const { url } = await createTestDatabase();
  let answer: (database: Database) => void = () => undefined;
  const slow = new Promise<Database>((resolve) => (answer = resolve));
  const refused = new ConsoleError('connection_refused', 'Nothing accepts connections.');
  const fleet = new Fleet([
    { name: 'silent', open: () => new Promise<Database>(() => undefined) },
    { name: 'slow', open: () => slow },
    { name: 'refused', open: () => Promise.reject(refused) },
    ...alive.map((name) => ({ name, open: () => openDatabase(url) })),
  ]);
  onTestFinished(() => fleet.stop());
  const member = (name: string) => fleet.members.find((each) => each.name === name);

  fleet.start();
  expect(fleet.members.map(({ name, figures }) => [name, figures])).toEqual(
    ['silent', 'slow', 'refused', ...alive].map((name) => [name, undefined]),
  );
  await until(fleet, () => alive.every((name) => member(name)?.figures !== undefined));
  expect(alive.map((name) => member(name)?.error)).toEqual(alive.map(() => undefined));
  expect(member('refused')?.error).toBe(refused);
  for (const name of ['silent', 'slow']) {
    expect(member(name)).toMatchObject({ figures: undefined, error: undefined });
    expect(member(name)?.waitsSinceMs).toBeDefined();
  }

  answer(await openDatabase(url));
  await until(fleet, () => member('slow')?.figures !== undefined);
  expect(member('silent')?.figures).toBeUndefined();
});
