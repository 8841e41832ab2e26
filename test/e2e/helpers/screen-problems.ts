import { drawKeyBar } from '../../../src/ui/draw/header.js';
import { plainText } from '../../../src/ui/draw/styled-line.js';
import { Keymap } from '../../../src/ui/keymap.js';
import { scopes } from '../../../src/ui/views/registry.js';
import { headingAt, type Screen } from './screens.js';
import type { ScreenDriver } from './terminal.js';

const keys = new Keymap(scopes);

/** Long names begin with the first and end with the second, so that a cut one is seen. */
export const cutMarks = { start: 'long-', end: '-zz' };

type Size = { cols: number; rows: number };

/** What is wrong with a screen as it is shown now; empty: nothing. */
export function problemsOf(driver: ScreenDriver, screen: Screen, { cols, rows }: Size): string[] {
  const lines = driver.screen();
  const problems: string[] = [];
  const check = (isGood: boolean, problem: string) => {
    if (!isGood) problems.push(problem);
  };
  check(/\S/.test(lines[0] ?? ''), 'the header is not there');
  if (screen.scope !== 'prompt') {
    const others = barItems(lines[rows - 1] ?? '').filter((item) => !itemsOf(screen).has(item));
    check(others.length === 0, `the key bar is not of ${screen.scope}: ${others.join(', ')}`);
  }
  const top = lines.findIndex((line) => headingAt(line, screen.heading) >= 0);
  if (top < 0) return [...problems, `no box is headed "${String(screen.heading)}"`];
  const box = boxFrom(driver, top, headingAt(lines[top] ?? '', screen.heading), { cols, rows });
  if ('problem' in box) return [...problems, box.problem];
  check(!/[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffd]/.test(lines.join('\n')), 'control characters'); // eslint-disable-line no-control-regex
  // What lies behind a dialog is cut by its border.
  const shown = screen.scope === 'panes' ? lines : box.lines;
  if (!wraps.has(screen.scope)) problems.push(...shown.flatMap(cutWithoutSign));
  return problems;
}

/** Every key that the bar of a screen may have; those that do nothing there now are not on it. */
function itemsOf({ scope }: Screen): ReadonlySet<string> {
  return new Set(barItems(plainText(drawKeyBar(keys, { id: scope }, 1_000))));
}

function barItems(bar: string): string[] {
  return bar.trim().split(/ {2,}/);
}

/** Where long words are broken over lines instead of cut. */
const wraps = new Set([
  'record',
  'confirm',
  'confirm-word',
  'done',
  'running',
  'quit',
  'help',
  'waiting',
]);

/** The lines in the box from one heavy corner to the other; its sides stand below each other. */
function boxFrom(
  driver: ScreenDriver,
  top: number,
  left: number,
  { cols, rows }: Size,
): { lines: string[] } | { problem: string } {
  const at = (column: number, row: number) => driver.cell(column, row)?.getChars() ?? '';
  const right = Array.from({ length: cols }, (_, column) => at(column, top)).indexOf('┓', left);
  if (right < 0) return { problem: `no whole border in line ${top}` };
  const lines: string[] = [];
  for (let row = top + 1; row < rows; row++) {
    const sides = at(left, row) + at(right, row);
    if (sides === '┗┛') return { lines };
    if (sides !== '┃┃') return { problem: `the box is broken in line ${row}: "${sides}"` };
    lines.push(Array.from({ length: right - left + 1 }, (_, n) => at(left + n, row)).join(''));
  }
  return { problem: 'the box has no end' };
}

/** A name that is broken at the edge goes on in the next line. */
function cutWithoutSign(line: string, at: number, lines: readonly string[]): string[] {
  const { start, end } = cutMarks;
  const goesOn = /^[┃│] \S*(?:so-on|zz)/.test(lines[at + 1] ?? '');
  return [...line.matchAll(new RegExp(`${start}[\\w-]*…?`, 'g'))]
    .map(([name]) => name)
    .filter((name) => !name.endsWith(end) && !name.endsWith('…') && !goesOn)
    .map((name) => `cut without a sign: "${name}"`);
}
