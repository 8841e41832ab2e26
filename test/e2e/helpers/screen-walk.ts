import pg from 'pg';
import type { Screen, Step } from './screens.js';
import type { ScreenDriver } from './terminal.js';

/** A screen that is open, and the way back from it. */
export type OpenScreen = {
  /** The chosen row of the box that has the keys, before the screen was opened. */
  rowBefore: string;
  /** Lets other sessions go on. */
  release(): Promise<void>;
  /** Back to the overview; the row that is chosen where the screen was opened from. */
  leave(): Promise<string>;
};

/** Walks from the overview to a screen. */
export async function walkTo(
  driver: ScreenDriver,
  screen: Screen,
  url: string,
): Promise<OpenScreen> {
  for (const step of screen.steps ?? []) await take(driver, step);
  if (screen.fromSecondRow) await chooseSecondRow(driver);
  const before = place(driver);
  const lock = screen.lock === undefined ? undefined : await hold(url, screen.lock);
  for (const step of screen.opens ?? []) await take(driver, step);
  const { keyBar } = place(driver);
  return {
    rowBefore: before.row,
    release: async () => lock?.release(),
    async leave() {
      await lock?.release();
      // The result of an action lies over it.
      if (screen.ends) {
        await take(driver, screen.ends);
        driver.press('\x1b');
        await driver.waitFor((lines) => !lines.join('\n').includes('Enter: back'));
      }
      let back = before;
      if (screen.opens) {
        await escapeUntil(driver, () => {
          const { heading, keyBar: here } = place(driver);
          return heading === before.heading && here !== keyBar;
        });
        back = place(driver);
      }
      await escapeUntil(driver, (lines) => lines.join('\n').includes('This is the overview'));
      return back.row;
    },
  };
}

async function take(driver: ScreenDriver, [keys, shows]: Step): Promise<void> {
  if (keys !== '') driver.press(keys);
  await driver.waitFor(shows);
}

async function chooseSecondRow(driver: ScreenDriver): Promise<void> {
  const { line } = place(driver);
  driver.press('\x1b[B');
  await driver.waitFor(() => place(driver).line !== line);
}

/** One step back at a time, until it is there. */
async function escapeUntil(
  driver: ScreenDriver,
  isThere: (lines: string[]) => boolean,
): Promise<void> {
  for (let step = 0; step < 20; step++) {
    if (isThere(driver.screen())) return;
    const before = driver.screen().slice(2).join('\n');
    driver.press('\x1b');
    await driver.waitFor((lines) => isThere(lines) || lines.slice(2).join('\n') !== before);
    // Two at once are another key.
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no way back:\n${driver.text()}`);
}

type Place = {
  /** The beginning of the border of the box that has the keys. */
  heading: string;
  keyBar: string;
  /** The line of the chosen row in it, and the row's beginning. */
  line: number;
  row: string;
};

function place(driver: ScreenDriver): Place {
  const lines = driver.screen();
  const top = lines.findIndex((line) => line.includes('┏'));
  const left = lines[top]?.indexOf('┏') ?? 0;
  const line = lines.findIndex((_, at) => at > top && driver.cell(left + 2, at)?.isInverse());
  return {
    heading: (lines[top] ?? '').slice(left, left + 14),
    keyBar: lines.at(-1) ?? '',
    line,
    row: (lines[line] ?? '')
      .slice(left + 2)
      .trim()
      .replace(/ +/g, ' ')
      .slice(0, 10),
  };
}

/** Another session that holds a lock. */
async function hold(url: string, lock: string): Promise<{ release(): Promise<void> }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`BEGIN; ${lock}`);
  return { release: () => client.end() };
}
