import { expect, test } from 'vitest';
import { drawChart, fitTo } from '../../../src/panes/contract/chart.js';
import type { Chart } from '../../../src/panes/contract/pane.js';

const chart = (...curves: number[][]): Chart => ({
  title: 'test',
  bucketMs: 60_000,
  curves: curves.map((values) => ({ label: 'x', tone: 'accent', values })),
});

test('fills the height it is given and stays within the width', () => {
  const lines = drawChart(chart(Array.from({ length: 200 }, (_, i) => i % 17)), {
    width: 60,
    height: 8,
  });
  expect(lines).toHaveLength(8);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
});

test('draws zeros, single values and no values', () => {
  const size = { width: 40, height: 4 };
  expect(drawChart(chart([0, 0, 0]), size)).toHaveLength(4);
  expect(drawChart(chart([5]), size)).toHaveLength(4);
  expect(drawChart(chart([]), size)).toEqual([]);
});

test('where there are more buckets than columns, neighbours are added up and nothing is lost', () => {
  const values = Array.from({ length: 101 }, (_, i) => i);
  const fitted = fitTo(values, 30);
  expect(fitted.length).toBeLessThanOrEqual(30);
  expect(fitted.reduce((a, b) => a + b, 0)).toBe(values.reduce((a, b) => a + b, 0));
  expect(fitted.at(-1)).toBe(97 + 98 + 99 + 100);
});

test('a scale of small counts says each of them once', () => {
  const lines = drawChart(chart([0, 1, 0]), { width: 40, height: 6 });
  expect(lines.map((line) => line.slice(0, 6).trim())).toEqual(['1', '', '', '', '', '0']);
  const large = drawChart(chart([0, 1_000, 0]), { width: 40, height: 6 });
  expect(large.map((line) => line.slice(0, 6).trim())).toEqual([
    '1,000',
    '800',
    '600',
    '400',
    '200',
    '0',
  ]);
});

test('no label of a scale stands at two lines, whatever the highest count and the height', () => {
  for (let highest = 1; highest <= 30; highest += 1) {
    for (let height = 3; height <= 24; height += 1) {
      for (const format of ['count', 'money'] as const) {
        const lines = drawChart({ ...chart([0, highest]), format }, { width: 40, height });
        const labels = lines.map((line) => line.slice(0, 6).trim()).filter((label) => label !== '');
        expect(new Set(labels).size, `${highest} at ${height}: ${labels.join()}`).toBe(
          labels.length,
        );
        if (format === 'count') expect([labels[0], labels.at(-1)]).toEqual([`${highest}`, '0']);
      }
    }
  }
});

test('the scale of money has round sums, each at its line, within its columns', () => {
  for (const highest of [0.0003, 0.14, 3, 870, 45_000]) {
    const lines = drawChart({ ...chart([0, highest]), format: 'money' }, { width: 40, height: 12 });
    const labels = lines.map((line) => line.slice(0, 6).trim()).filter((label) => label !== '');
    expect(labels.length, String(highest)).toBeGreaterThan(2);
    expect(new Set(labels).size, labels.join()).toBe(labels.length);
    for (const line of lines) expect(line.slice(7, 8), line).toMatch(/[┤┼]/);
  }
});
