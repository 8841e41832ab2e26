import { expect, it } from 'vitest';
import { drawChartLines } from '../../../src/ui/draw/chart.js';
import { plainWidth } from '../../../src/terminal/ink/widest-line.js';
import { createTheme } from '../../../src/ui/theme.js';

const theme = createTheme({ colours: 'none', unicode: true });

function draw(values: number[], width: number): string[] {
  const curves = [{ label: 'started', tone: 'accent' as const, values }];
  return drawChartLines(theme, { title: 'traces', bucketMs: 60_000, curves }, { width, height: 6 });
}

it.each([30, 51, 100])('fills %i columns with whole buckets; the open one is no fall', (width) => {
  const lines = draw([3, ...Array.from({ length: 59 }, () => 10), 1], width);
  expect(lines.map(plainWidth)).toEqual(Array.from({ length: 6 }, () => width));
  expect(lines[0]).toMatch(/^ +\d+ ┼─+ ?$/);
  expect(lines.join('')).not.toMatch(/[╮╯]/);
  expect(lines[5]).toMatch(width < 40 ? /the last/ : /the last 1h/);
});

it('shows the open bucket where there is nothing else', () => {
  expect(draw([0, 0, 0, 0, 7], 40).join('\n')).toMatch(/^ +7 .*─/m);
});
