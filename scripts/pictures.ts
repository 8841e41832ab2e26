/**
 * Draws pictures of the screens: runs the built console on a database, in a terminal emulator, and
 * writes what it shows as SVG. The database should have history and live traffic, and its user may
 * create databases:
 *
 *     trace-console demo --url URL --yes --backfill 2d --rate 3
 *     npx tsx scripts/pictures.ts URL                    those of the docs
 *     npx tsx scripts/pictures.ts URL FOLDER             every screen in every size, to be looked at
 *     npx tsx scripts/pictures.ts URL FOLDER NAME …      these screens in every size
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderPicture } from '../test/e2e/helpers/picture.js';
import { ScreenPlaces } from '../test/e2e/helpers/screen-places.js';
import { problemsOf } from '../test/e2e/helpers/screen-problems.js';
import { walkTo } from '../test/e2e/helpers/screen-walk.js';
import { screens, screenSizes, type Screen } from '../test/e2e/helpers/screens.js';
import type { TerminalDriver } from '../test/e2e/helpers/terminal.js';

type Size = { cols: number; rows: number };
type Picture = { screen: Screen; sizes: readonly Size[]; fileOf: (size: Size) => string };

const usual = { cols: 120, rows: 35 };
const sizeText = ({ cols, rows }: Size) => `${cols}x${rows}`;

/** What the documents show; of the overview every layout. */
const documented: Readonly<Record<string, string>> = {
  'pane-slow-hooks': 'slow-hooks',
  trace: 'trace',
  'opened-top-patterns': 'pattern',
  record: 'record',
  reindex: 'reindex',
  filter: 'filter',
  commands: 'commands',
  'pane-errors': 'errors',
  'pane-doctor': 'doctor',
  help: 'help',
};

/** What the documents say of a picture that the usual way does not lead to: a trace that failed. */
const ways: Readonly<Record<string, Pick<Screen, 'steps'>>> = {
  trace: { steps: [[':traces status:failed took>2s\r', /┏━ Traces.*status:failed/]] },
};

function picturesOfDocs(): Picture[] {
  return screens.flatMap((found): Picture[] => {
    const screen = { ...found, ...ways[found.name] };
    const file = documented[screen.name];
    if (screen.name === 'overview') {
      const fileOf = (size: Size) => `overview-${sizeText(size)}`;
      return [{ screen, sizes: [...screenSizes, { cols: 80, rows: 60 }], fileOf }];
    }
    return file === undefined ? [] : [{ screen, sizes: [usual], fileOf: () => file }];
  });
}

function everyPicture(names: readonly string[]): Picture[] {
  return screens
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .map((screen) => ({
      screen,
      sizes: screenSizes,
      fileOf: (size) => `${screen.name}-${sizeText(size)}`,
    }));
}

/** Draws one screen in its sizes; a screen that cannot be reached or is not whole is told of. */
async function draw(places: ScreenPlaces, { screen, sizes, fileOf }: Picture, folder: string) {
  const driver = await places.open(screen.place ?? 'database', usual);
  try {
    const open = await walkTo(driver, screen, url);
    for (const size of sizes) {
      driver.resize(size.cols, size.rows);
      const problems = await settledProblems(driver, screen, size);
      const file = path.join(folder, `${fileOf(size)}.svg`);
      fs.writeFileSync(file, renderPicture(driver.emulator, screen.title));
      process.stdout.write([file, ...problems].join('\n  ') + '\n');
    }
    driver.resize(usual.cols, usual.rows);
    await open.release();
  } finally {
    await driver.dispose();
  }
}

async function settledProblems(driver: TerminalDriver, screen: Screen, size: Size) {
  const problems = () => problemsOf(driver, screen, size);
  await driver.waitFor(() => problems().length === 0, 5_000).catch(() => undefined);
  return problems();
}

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const [url = '', folder, ...names] = process.argv.slice(2);
if (url === '') {
  process.stderr.write('Usage: npx tsx scripts/pictures.ts URL [FOLDER [NAME …]]\n');
  process.exit(2);
}
const target = folder ?? path.join(root, 'docs/pictures');
fs.mkdirSync(target, { recursive: true });
const program = process.env.TRACE_CONSOLE_PROGRAM ?? path.join(root, 'dist/main.js');
const places = new ScreenPlaces(program, url);
try {
  for (const picture of folder === undefined ? picturesOfDocs() : everyPicture(names)) {
    await draw(places, picture, target).catch((error: unknown) => {
      process.exitCode = 1;
      process.stderr.write(`${picture.screen.name}: ${String(error)}\n`);
    });
  }
} finally {
  await places.dispose();
}
