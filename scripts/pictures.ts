/**
 * Draws the pictures of the docs: runs the built console on a database, in a terminal emulator, and
 * writes its screens as SVG. The database should have history and live traffic:
 *
 *     trace-console demo --url URL --yes --backfill 2d --rate 3
 *     npx tsx scripts/pictures.ts URL [docs/pictures [NAME …]]
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderPicture } from '../test/e2e/helpers/picture.js';
import { spawn } from '../test/e2e/helpers/terminal.js';

type Picture = {
  name: string;
  title: string;
  cols: number;
  rows: number;
  /** Keys that lead to the screen, each with what the screen shows after it. */
  steps?: readonly (readonly [keys: string, shows: string | RegExp])[];
};

const pictures: readonly Picture[] = [
  { name: 'overview-200x60', title: 'The overview at 200×60', cols: 200, rows: 60 },
  { name: 'overview-120x35', title: 'The overview at 120×35', cols: 120, rows: 35 },
  { name: 'overview-80x24', title: 'The overview at 80×24', cols: 80, rows: 24 },
  { name: 'overview-80x60', title: 'The overview on a tall, narrow screen', cols: 80, rows: 60 },
  {
    name: 'slow-hooks',
    title: 'Slow hooks on the whole screen',
    cols: 120,
    rows: 35,
    steps: [
      ['2', '2 Slow hooks'],
      ['z', /┏━ 2 Slow hooks ━+┓\n┃ .*in 1h/],
    ],
  },
  {
    name: 'trace',
    title: 'A failed trace on one time axis',
    cols: 120,
    rows: 35,
    steps: [
      ['1j', /┏━ 1 Recent traces/],
      ['\r', 'Newest traces: '],
      ['\r', /┏━ Trace [0-9a-f]{8}-/],
      ['f', 'took'],
    ],
  },
  {
    name: 'pattern',
    title: 'A pattern with its uses and neighbours',
    cols: 120,
    rows: 35,
    steps: [
      ['5', /┏━ 5 Top patterns/],
      ['\r', 'Nearest patterns by embedding'],
    ],
  },
  {
    name: 'record',
    title: 'An event of the activity in full',
    cols: 120,
    rows: 35,
    steps: [
      ['6', /┏━ 6 Activity/],
      ['\r', /┏━ Trace [0-9a-f]{8}-/],
      ['\r', /trace_id +[0-9a-f]{8}-|correlation_id +[0-9a-f]{8}-/],
    ],
  },
  {
    name: 'reindex',
    title: 'The preview before an index is rebuilt',
    cols: 120,
    rows: 35,
    steps: [
      ['3', /┏━ 3 Index usage/],
      ['r', '[ Cancel ]'],
    ],
  },
  {
    name: 'filter',
    title: 'The activity, filtered as it is typed',
    cols: 120,
    rows: 35,
    steps: [
      ['6z', /┏━ 6 Activity/],
      ['/kind:hook took>200ms', /kind:hook took>200ms/],
    ],
  },
  {
    name: 'commands',
    title: 'Every command, pane and setting by name',
    cols: 120,
    rows: 35,
    steps: [[':win', 'window 6h']],
  },
  {
    name: 'errors',
    title: 'Errors on the whole screen',
    cols: 120,
    rows: 35,
    steps: [[':errors\r', /━ 8 Errors[\s\S]*last[\s\S]*\d/]],
  },
  {
    name: 'doctor',
    title: 'What doctor finds',
    cols: 120,
    rows: 35,
    steps: [
      [':doctor\r', /━ Doctor/],
      ['', /good|advice|warning/],
    ],
  },
  { name: 'help', title: 'The help', cols: 120, rows: 35, steps: [['?', 'In the panes']] },
];

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const stateFolder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-pictures-'));

async function draw(picture: Picture, url: string, folder: string): Promise<void> {
  const { name, title, cols, rows, steps = [] } = picture;
  const program = process.env.TRACE_CONSOLE_PROGRAM ?? path.join(root, 'dist/main.js');
  // The layout that somebody has left, and their config, are not those of a newcomer.
  const folders = { XDG_STATE_HOME: stateFolder, XDG_CONFIG_HOME: stateFolder };
  const driver = spawn(process.execPath, [program, '--url', url], { cols, rows, env: folders });
  try {
    await driver.waitFor(isFilled, 30_000);
    for (const [keys, shows] of steps) {
      if (keys !== '') driver.press(keys);
      await driver.waitFor(shows);
    }
    fs.writeFileSync(path.join(folder, `${name}.svg`), renderPicture(driver.emulator, title));
    driver.press('q');
  } finally {
    await driver.dispose();
    // The next picture begins with the layout of a newcomer, too.
    fs.rmSync(path.join(stateFolder, 'trace-console'), { recursive: true, force: true });
  }
}

/** Every pane has answered, and rates are known. */
function isFilled(lines: string[]): boolean {
  const text = lines.join('\n');
  return !text.includes('asking …') && !text.includes('fetching') && /tps \d/.test(text);
}

const [url, folder = path.join(root, 'docs/pictures'), ...names] = process.argv.slice(2);
if (url === undefined) {
  process.stderr.write('Usage: npx tsx scripts/pictures.ts URL [FOLDER [NAME …]]\n');
  process.exit(2);
}
fs.mkdirSync(folder, { recursive: true });
const chosen = pictures.filter(({ name }) => names.length === 0 || names.includes(name));
for (const picture of chosen) {
  await draw(picture, url, folder);
  process.stdout.write(`${picture.name}.svg\n`);
}
