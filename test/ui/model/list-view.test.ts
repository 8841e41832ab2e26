import { expect, it } from 'vitest';
import { erasedList, type OpenedList } from '../../../src/panes/opening.js';
import {
  chosenRow,
  hasDurations,
  listView,
  refreshedList,
  reorderedList,
} from '../../../src/ui/model/list-view.js';

type Call = { id: string; tookMs: number | null };

function listOf(rows: readonly Call[], format: 'duration' | 'count' = 'duration'): OpenedList {
  return erasedList<Call>({
    kind: 'list',
    title: 'Calls',
    columns: [
      {
        id: 'tookMs',
        title: 'took',
        align: 'right',
        format,
        value: ({ tookMs }) => tookMs,
        priority: 1,
        minWidth: 6,
      },
    ],
    rows,
    rowKey: ({ id }) => id,
    summary: [],
    empty: 'none',
    asOf: new Date(),
  });
}

const by = {
  id: 1,
  opening: { title: 'Calls', read: () => Promise.reject(new Error('not read')) },
};
const a = { id: 'a', tookMs: 5 };
const b = { id: 'b', tookMs: null };
const c = { id: 'c', tookMs: 9 };

it('shows the slowest first from the top, and back as they were read at the same row', () => {
  const view = { ...listView(by, listOf([a, b, c])), index: 1 };
  const slowest = reorderedList(view);
  expect(slowest.opened.rows).toEqual([c, a, b]);
  expect(slowest.index).toBe(0);
  const back = reorderedList(slowest);
  expect(back.opened.rows).toEqual([a, b, c]);
  expect(chosenRow(back)).toEqual(c);
});

it('stays in its order, and at its row, when it is read again', () => {
  const slowest = { ...reorderedList(listView(by, listOf([a, b, c]))), index: 1 };
  const d = { id: 'd', tookMs: 7 };
  const again = refreshedList(slowest, listOf([d, a, b, c]));
  expect(again.opened.rows).toEqual([c, d, a, b]);
  expect(chosenRow(again)).toEqual(a);
  expect(reorderedList(again).opened.rows).toEqual([d, a, b, c]);
});

it('has no order by duration where there is none', () => {
  expect(hasDurations(listView(by, listOf([a])))).toBe(true);
  expect(hasDurations(listView(by, listOf([a], 'count')))).toBe(false);
});
