import { expect, it } from 'vitest';
import { drawChartLines } from '../../../src/ui/draw/chart.js';
import { textOf } from '../helpers.js';

function draw(values: number[], width: number): string[] {
  const curves = [{ label: 'started', tone: 'accent' as const, values }];
  return drawChartLines({ title: 'traces', bucketMs: 60_000, curves }, { width, height: 6 }).map(
    textOf,
  );
}

it.each([30, 51, 100])('fills %i columns with whole buckets; the open one is no fall', (width) => {
  const lines = draw([3, ...Array.from({ length: 59 }, () => 10), 1], width);
  expect(lines.map((line) => line.length)).toEqual(Array.from({ length: 6 }, () => width));
  expect(lines[0]).toMatch(/^ +\d+ ┼─+ ?$/);
  expect(lines.join('')).not.toMatch(/[╮╯]/);
  expect(lines[5]).toMatch(width < 40 ? /the last/ : /the last 1h/);
});

it('shows the open bucket where there is nothing else', () => {
  expect(draw([0, 0, 0, 0, 7], 40).join('\n')).toMatch(/^ +7 .*─/m);
});
