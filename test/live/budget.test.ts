import { fc } from '../helpers/seeds.js';
import { expect, test } from 'vitest';
import { fairIntervals } from '../../src/live/schedule.js';

const loads = fc.array(
  fc.record({
    costMs: fc.double({ min: 0, max: 10_000, noNaN: true }),
    minIntervalMs: fc.double({ min: 100, max: 60_000, noNaN: true }),
  }),
  { minLength: 1, maxLength: 12 },
);

test('together the panes never use more than the share, and none is asked before its time', () => {
  fc.assert(
    fc.property(loads, fc.double({ min: 0.001, max: 0.5, noNaN: true }), (given, share) => {
      const intervals = fairIntervals(given, share);
      const used = given.reduce(
        (sum, { costMs }, index) => sum + costMs / (intervals[index] ?? 0),
        0,
      );
      expect(used).toBeLessThanOrEqual(share * (1 + 1e-9));
      for (const [index, { minIntervalMs }] of given.entries()) {
        expect(intervals[index]).toBeGreaterThanOrEqual(minIntervalMs);
      }
    }),
  );
});

test('a costly pane is asked less often and the cheap ones keep their pace', () => {
  const intervals = fairIntervals(
    [
      { costMs: 1, minIntervalMs: 2_000 },
      { costMs: 300, minIntervalMs: 2_000 },
      { costMs: 2, minIntervalMs: 2_000 },
    ],
    0.02,
  );
  expect([intervals[0], intervals[2]]).toEqual([2_000, 2_000]);
  // What the others leave of 2 %: 1.85 %.
  expect(intervals[1]).toBeCloseTo(300 / 0.0185, 6);
});

test('nothing is stretched while all fit', () => {
  expect(fairIntervals([{ costMs: 10, minIntervalMs: 2_000 }], 0.02)).toEqual([2_000]);
});
