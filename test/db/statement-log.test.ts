import { describe, expect, it } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase } from '../panes/open.js';

describe('the log of statements', () => {
  it('holds what was asked, for whom, what it took and how it ended', async () => {
    const database = await openDatabase((await createTestDatabase()).url);
    await database.read('SELECT generate_series(1, $1::int)', [3], { purpose: 'recent-traces' });
    await expect(database.read('SELECT 1 / 0')).rejects.toThrow('division');
    const [good, bad] = database.statements.entries.slice(-2);
    expect(good).toMatchObject({ purpose: 'recent-traces', values: [3], rows: 3 });
    expect(good?.ms).toBeGreaterThan(0);
    expect(bad).toMatchObject({ purpose: undefined, rows: null });
    expect(bad?.failure).toContain('22012');
  });

  it('tells the last run of each statement of one pane', async () => {
    const database = await openDatabase((await createTestDatabase()).url);
    for (const value of [1, 2]) {
      await database.read('SELECT $1::int AS a', [value], { purpose: 'activity' });
      await database.read('SELECT $1::int AS b', [value], { purpose: 'activity' });
      await database.read('SELECT $1::int AS c', [value], { purpose: 'vitals' });
    }
    expect(
      database.statements.lastFor('activity').map(({ text, values }) => [text, values]),
    ).toEqual([
      ['SELECT $1::int AS a', [2]],
      ['SELECT $1::int AS b', [2]],
    ]);
  });

  it('keeps the newest, however many there were', async () => {
    const database = await openDatabase((await createTestDatabase()).url);
    await database.read('SELECT 0 AS of_a_pane', [], { purpose: 'activity' });
    await database.transaction({}, async (tx) => {
      for (let n = 0; n < 1_200; n += 1) await tx.query('SELECT $1::int', [n]);
    });
    const { entries, ran } = database.statements;
    expect(ran).toBeGreaterThanOrEqual(1_200);
    expect(entries.length).toBeLessThan(1_000);
    expect(entries.at(-1)?.values).toEqual([1_199]);
    // What a pane asked is kept beside them: Q shows it, whatever an action ran since.
    expect(entries.some(({ purpose }) => purpose === 'activity')).toBe(false);
    expect(database.statements.lastFor('activity').map(({ text }) => text)).toEqual([
      'SELECT 0 AS of_a_pane',
    ]);
  });
});
