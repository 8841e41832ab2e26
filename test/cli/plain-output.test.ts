import { describe, expect, it } from 'vitest';
import { ProgressBar } from '../../src/cli/safe-text.js';
import { plainTable } from '../../src/cli/plain-table.js';
import { displayWidth } from '../../src/terminal/width.js';
import { runCli } from '../helpers/cli.js';

const rows = [
  ['a', 'short', 'x'.repeat(80)],
  ['b', 'y'.repeat(50), '漢字'.repeat(20)],
];

function widest(table: string): number {
  return Math.max(...table.split('\n').map(displayWidth));
}

it('a command draws how far it is in one line of a terminal, with a bar, and takes it away before it says more', () => {
  let written = '';
  const write = (text: string) => (written += text);
  const bar = new ProgressBar({ isTTY: true, columns: 80, write });
  const said = 'reading transcripts: 17 of 34 MB (50 %), 3.1 MB/s, 6 s left';
  bar.draw('reading transcripts', undefined);
  // No room for a bar: the words come first, and a cut has its sign.
  for (const columns of [90, 80, 40])
    new ProgressBar({ isTTY: true, columns, write }).draw(said, 0.5);
  bar.clear();
  bar.clear();
  const lines = written
    .split('\r\x1b[K')
    .map((line) => line.replaceAll(/[█#]/g, '#').replaceAll(/[░.]/g, '.'));
  expect(lines).toEqual([
    '',
    'reading transcripts',
    `##########.......... ${said}`,
    said,
    expect.stringMatching(/^reading transcripts: 17 of 34 MB.*[…~]$/),
    '',
  ]);
});

describe('a plain table', () => {
  it.each([120, 80, 40])('fits into %i columns, and ends what it cuts with a sign', (width) => {
    const table = plainTable(['id', 'first', 'second'], rows, { width });
    expect(widest(table)).toBeLessThanOrEqual(width);
    expect(table).toContain('…');
  });

  it('cuts nothing where there is no terminal', () => {
    const table = plainTable(['id', 'first', 'second'], rows, { width: undefined });
    expect(table).toContain('x'.repeat(80));
    expect(table).not.toContain('…');
  });

  it('keeps names apart before it keeps less important columns', () => {
    const named = ['devops-engineer', 'debugger-of-many'].map((name) => [name, '1'.repeat(40)]);
    const table = plainTable(['agent', 'figures'], named, { width: 60, right: [1] });
    expect(table).toContain('devops-engineer ');
    const narrow = plainTable(['agent', 'figures'], named, { width: 50, right: [1] });
    expect(narrow).toContain('devops-engineer');
    expect(narrow).toContain('no room for: figures');
  });

  it('leaves a column whole whose text is copied', () => {
    const table = plainTable(['id', 'first', 'second'], rows, { width: 60, whole: [2] });
    expect(table).toContain('x'.repeat(80));
  });

  it('grows in time with its rows: all of 20,000 are there', () => {
    const many = Array.from({ length: 20_000 }, (_, index) => [index, `event ${index}`]);
    const lines = plainTable(['n', 'event'], many, { right: [0] }).split('\n');
    expect(lines).toHaveLength(20_002);
    expect(lines.at(-1)).toBe('19999  event 19999');
  });
});

describe('the locale', () => {
  it('C gets ASCII only, but JSON as it is', async () => {
    const env = { LC_ALL: 'C' };
    const plain = await runCli(['keys'], { env });
    expect(plain.exitCode).toBe(0);
    expect(plain.stdout).toMatch(/^[\n -~]*$/);
    const utf8 = await runCli(['keys'], { env: { LC_ALL: 'C.UTF-8' } });
    expect(utf8.stdout).toContain('─');
    const json = await runCli(['keys', '--json'], { env });
    expect(json.stdout).toBe((await runCli(['keys', '--json'])).stdout);
  });
});
