import { describe, expect, it } from 'vitest';
import { ProgressRate } from '../../src/maintenance/long-statement.js';

describe('the rate of an action', () => {
  it('is measured from how its phase has advanced', () => {
    const rate = new ProgressRate();
    expect(rate.complete({ phase: 'build', done: 100, total: 1_100 }, 0)).not.toHaveProperty(
      'rate',
    );
    expect(rate.complete({ phase: 'build', done: 300, total: 1_100 }, 2_000)).toMatchObject({
      rate: 100,
      secondsLeft: 8,
    });
  });

  it('begins anew with each phase, and leaves what the action knows itself', () => {
    const rate = new ProgressRate();
    rate.complete({ phase: 'build', done: 0, total: 10 }, 0);
    expect(rate.complete({ phase: 'wait', done: 5, total: 10 }, 5_000)).not.toHaveProperty('rate');
    expect(rate.complete({ phase: 'wait', done: 6, rate: 3 }, 9_000)).toMatchObject({ rate: 3 });
  });
});
