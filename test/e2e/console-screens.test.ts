import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { panes } from '../../src/panes/registry.js';
import { scopes } from '../../src/ui/views/registry.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { fillAt } from './helpers/fixed-rows.js';
import { ScreenPlaces } from './helpers/screen-places.js';
import { problemsOf } from './helpers/screen-problems.js';
import { walkTo } from './helpers/screen-walk.js';
import { screens, screenSizes, type Screen, type ScreenPlace } from './helpers/screens.js';
import type { TerminalDriver } from './helpers/terminal.js';

let database: TestDatabase;
let places: ScreenPlaces;

beforeAll(async () => {
  database = await createTestDatabase();
  await fillAt(database, new Date());
  places = new ScreenPlaces(path.join(inject('programs'), 'main.js'), database.url);
});

afterAll(() => places.dispose());

it('every pane and every place of the key map is among the screens', () => {
  const shown = screens.flatMap(({ pane }) => pane ?? []);
  expect(shown).toEqual(panes.map(({ id }) => id));
  const opened = screens.filter(({ name }) => name.startsWith('opened-'));
  expect(opened.map(({ name }) => name)).toEqual(
    panes.filter((pane) => 'detail' in pane).map(({ id }) => `opened-${id}`),
  );
  // These need a config file with connections: console-connections.test.ts, console-fleet.test.ts.
  const elsewhere = ['connecting', 'connections', 'fleet'];
  expect([...new Set([...elsewhere, ...screens.map(({ scope }) => scope)])].sort()).toEqual(
    scopes.map(({ id }) => id).sort(),
  );
  expect(new Set(screens.map(({ name }) => name)).size).toBe(screens.length);
});

const usual = { cols: 120, rows: 35 };

/** The screen is whole in every size, however it is resized. */
async function expectWhole(driver: TerminalDriver, screen: Screen): Promise<void> {
  for (const size of [...screenSizes, usual]) {
    driver.resize(size.cols, size.rows);
    const problems = () => problemsOf(driver, screen, size);
    await driver.waitFor(() => problems().length === 0).catch(() => undefined);
    expect(problems(), `${size.cols}×${size.rows}\n${driver.text()}`).toEqual([]);
  }
}

/** One of each kind of view, and what is of a place or waits; test/ui/screens compares all others, without a terminal. */
const kinds = ['overview', 'trace', 'record', 'sql', 'log', 'commands', 'reindex'];
/** Enough to see that another release of Node starts, draws and reads keys. */
const smoke = ['overview', 'trace', 'commands', 'first-run'];
const inTerminal = process.env.TRACE_CONSOLE_TEST_SMOKE
  ? screens.filter(({ name }) => smoke.includes(name))
  : screens.filter(
      ({ place, name, lock }) => place !== undefined || lock !== undefined || kinds.includes(name),
    );

// One console walks to all screens of a place; where it got lost, the next screen has a new one.
let walker: { place: ScreenPlace; driver: TerminalDriver } | undefined;

it.each(inTerminal)(
  '$name is whole in every size, and Escape leads back to the same row',
  async (screen) => {
    const { place = 'database' } = screen;
    const before = walker;
    walker = undefined;
    const driver = before?.place === place ? before.driver : await places.open(place, usual);
    const open = await walkTo(driver, screen, database.url);
    await expectWhole(driver, screen);
    expect(driver.titles).toEqual([]);
    if (screen.opens || screen.steps) {
      const row = await open.leave();
      if (!screen.movesRows) expect(row).toBe(open.rowBefore);
    }
    walker = { place, driver };
  },
);
