import { beforeAll, describe, expect, it } from 'vitest';
import { overviewPaneIds, type PaneId } from '../../src/panes/registry.js';
import { panes } from '../../src/panes/registry.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { Keymap, keyText } from '../../src/ui/keymap.js';
import { scopes } from '../../src/ui/views/registry.js';
import { boxOf, openConsole, sizes, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 40);
  await addTraces(database, 5, 'failed');
  await database.query('ANALYZE');
});

const titles = [
  'Recent traces',
  'Slow hooks',
  'Index usage',
  'Table sizes',
  'Top patterns',
  'Activity',
];

const signOf = (id: PaneId) => (new Set<PaneId>(overviewPaneIds).has(id) ? '●' : '○');

describe.each(sizes)('the console at $cols×$rows', (size) => {
  it('opens with every pane, its figures and its keys', async () => {
    const driver = await openConsole(database.url, size);
    const text = driver.text();
    for (const [index, title] of titles.entries()) expect(text).toContain(`${index + 1} ${title}`);
    expect(text).toContain('45 in 1h');
    expect(text).toContain('90 calls in 1h');
    expect(text).toContain('? help');
    expect(driver.screen()[0]).toMatch(/postgres@\S+ .*● connected$/);
    expect(driver.screen()).toHaveLength(size.rows);
  });

  it('gives the keys to a pane by number, Tab and Shift-Tab', async () => {
    const driver = await openConsole(database.url, size);
    for (const [index, title] of titles.entries()) {
      driver.press(String(index + 1));
      await driver.waitFor(`┏━ ${index + 1} ${title}`);
    }
    driver.press('\t');
    await driver.waitFor('┏━ 1 Recent traces');
    driver.press('\x1b[Z');
    await driver.waitFor('┏━ 6 Activity');
  });

  it('lists all panes, goes to one beside the overview, and back to where it was', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('3o');
    await driver.waitFor((lines) => {
      const list = boxOf(lines, 'Panes, ● in the overview').join('\n');
      return panes.every(({ id, title }) => list.includes(`${signOf(id)} ${title}`));
    });
    driver.press('G\r');
    const last = panes.at(-1)?.title ?? '';
    await driver.waitFor(
      (lines) => lines[2]?.includes(last) === true && !lines.join().includes('Index usage'),
    );
    driver.press('\x1b');
    await driver.waitFor('┏━ 3 Index usage');
  });

  it('takes a pane out of the overview, and puts another in', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('o ');
    await driver.waitFor('○ Recent traces');
    driver.press('G ');
    await driver.waitFor(`● ${panes.at(-1)?.title ?? ''}`);
    driver.press('q');
    await driver.waitFor(
      (lines) =>
        !lines.join().includes('Recent traces') && lines.join().includes(panes.at(-1)?.title ?? ''),
    );
    driver.press('\x1b');
    await driver.waitFor('This is the overview');
  });

  it('moves the cursor, opens the row and comes back to it', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('3');
    await driver.waitFor('┏━ 3 Index usage');
    driver.press('jj');
    await driver.waitFor(() => chosen(driver) === 2);
    driver.press('\x1b[A');
    await driver.waitFor(() => chosen(driver) === 1);
    const index = boxOf(driver.screen(), '3 Index usage')[3]?.split(' ')[0] ?? '';
    driver.press('\r');
    await driver.waitFor(`Index ${index.replace('…', '')}`);
    await driver.waitFor(/definition +CREATE/);
    driver.press('\x1b');
    await driver.waitFor(() => chosen(driver) === 1);
    driver.press('G');
    await driver.waitFor(/(\d+) of \1 /);
    driver.press('g');
    await driver.waitFor(() => chosen(driver) === 0);
    driver.press('\x1b[6~');
    await driver.waitFor(() => chosen(driver) !== 0);
    driver.press('\x1b[5~');
    await driver.waitFor(() => chosen(driver) === 0);
  });

  /** Which row of the pane is shown inverse. */
  function chosen(driver: Awaited<ReturnType<typeof openConsole>>): number {
    const lines = driver.screen();
    const top = lines.findIndex((line) => line.includes('┏━ 3 Index usage'));
    const heading = lines.findIndex((line, row) => row > top && line.includes('┃ index '));
    const column = (lines[heading] ?? '').indexOf('┃ index') + 2;
    for (let row = heading + 1; row < lines.length; row++) {
      if (driver.cell(column, row)?.isInverse()) return row - heading - 1;
    }
    return -1;
  }

  it('zooms, sorts, turns the order round, and steps through windows', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('2z');
    await driver.waitFor((lines) => lines[2]?.startsWith('┏━ 2 Slow hooks') === true);
    expect(driver.text()).not.toContain('Index usage');
    driver.press('s');
    await driver.waitFor('↓ most time');
    driver.press('S');
    await driver.waitFor('↑ most time');
    driver.press('w');
    await driver.waitFor('window 6h');
    await driver.waitFor('90 calls in 6h');
    driver.press('W');
    await driver.waitFor('window 1h');
    driver.press('\x1b');
    await driver.waitFor('Index usage');
    driver.press('\x1b');
    await driver.waitFor('This is the overview; q quits');
  });

  it('pauses with an age, asks on demand, and changes its cadence', async () => {
    const driver = await openConsole(database.url, size);
    driver.press(' ');
    await driver.waitFor(' PAUSED ');
    await driver.waitFor(/as of \d+s ago/);
    driver.press('\x12');
    await driver.waitFor('Refreshing now');
    driver.press(' ');
    await driver.waitFor((lines) => !lines.join().includes(' PAUSED '));
    driver.press('+');
    await driver.waitFor('every 1s');
    driver.press('++');
    await driver.waitFor('is the fastest refresh');
    driver.press('-');
    await driver.waitFor('every 1s');
  });

  it('helps with every key of the key map', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('?');
    await driver.waitFor('┏━ Keys');
    // The bottom line is painted last.
    await driver.waitFor((lines) => lines.at(-1)?.includes('Esc back') === true);
    const seen = new Set<string>();
    for (let end = 0; ;) {
      await driver.waitFor((lines) => shownUntil(lines) > end);
      end = shownUntil(driver.screen());
      for (const line of boxOf(driver.screen(), 'Keys')) seen.add(line.replace(/\s+/g, ' ').trim());
      if (/–(\d+) of \1 /.test(driver.text()) || end === Infinity) break;
      driver.press('\x1b[6~');
    }
    for (const { keys } of new Keymap(scopes).in({ id: 'panes' })) {
      const said = keys.length > 8 ? '1–9' : keys.map(keyText).join(' ');
      expect(
        [...seen].some((line) => line.startsWith(`${said} `)),
        said,
      ).toBe(true);
    }
    driver.press('q');
    await driver.waitFor('1 Recent traces');
  });

  it('says so when a key does nothing', async () => {
    const driver = await openConsole(database.url, size);
    driver.press('%');
    await driver.waitFor('% does nothing here; ? shows the keys');
    driver.press('r');
    await driver.waitFor('Select an index first');
    driver.press('6s');
    await driver.waitFor('Activity has one order');
  });
});

/** The last line of the help in view; Infinity when all of it is. */
function shownUntil(lines: readonly string[]): number {
  return Number(/lines \d+–(\d+) of/.exec(lines.join('\n'))?.[1] ?? Infinity);
}

describe('a terminal that is too small', () => {
  it('gets a message, and the panes once it is enlarged', async () => {
    const driver = await openConsole(database.url, { cols: 80, rows: 24 });
    driver.resize(20, 5);
    await driver.waitFor('20×5 is too small');
    driver.resize(39, 30);
    await driver.waitFor('39×30 is too small');
    driver.resize(40, 10);
    await driver.waitFor('1 Recent traces');
    driver.resize(120, 35);
    await driver.waitFor('6 Activity');
    await driver.waitFor((lines) => lines[34]?.includes('q quit') === true);
  });
});

describe('every end of the console', () => {
  it.each([
    ['q', 0, (driver: ReturnType<typeof startConsole>) => driver.press('q')],
    ['Ctrl-C', 130, (driver: ReturnType<typeof startConsole>) => driver.press('\x03')],
    ['SIGTERM', 143, (driver: ReturnType<typeof startConsole>) => driver.kill('SIGTERM')],
    ['SIGHUP', 129, (driver: ReturnType<typeof startConsole>) => driver.kill('SIGHUP')],
  ])('gives the terminal back after %s with exit code %i', async (_name, exitCode, act) => {
    for (const size of sizes) {
      const driver = await openConsole(database.url, size);
      expect(driver.buffer).toBe('alternate');
      act(driver);
      expect((await driver.waitForExit()).exitCode).toBe(exitCode);
      expect(driver.buffer).toBe('normal');
      expect(driver.isCursorVisible).toBe(true);
      expect(driver.text().trim()).toBe('');
    }
  });

  it('gives the terminal back and says why when there is no connection', async () => {
    const url = 'postgresql://nobody@127.0.0.1:1/none';
    const driver = startConsole(url, { cols: 100, rows: 20 });
    expect((await driver.waitForExit()).exitCode).toBe(3);
    expect(driver.buffer).toBe('normal');
    expect(driver.text()).toContain('error: ');
    expect(driver.text()).toContain('hint: ');
  });
});

describe('without colours and without Unicode', () => {
  it('draws the same with attributes only, and with ASCII only', async () => {
    const driver = await openConsole(database.url, { env: { NO_COLOR: '1' } });
    const cells = Array.from({ length: 120 * 35 }, (_, n) =>
      driver.cell(n % 120, Math.floor(n / 120)),
    );
    expect(cells.every((cell) => cell?.isFgDefault() && cell.isBgDefault())).toBe(true);

    const plain = startConsole(database.url, { env: { LANG: 'C', LC_ALL: 'C' } });
    await plain.waitFor('1 Recent traces');
    await plain.waitFor('* connected');
    expect(plain.text()).toMatch(/^[\x20-\x7e\n]*$/);
  });
});
