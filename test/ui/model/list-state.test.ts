import { expect, it } from 'vitest';
import { memoryList } from '../../../src/panes/contract/listing.js';
import type { ListRequest, OpenedList } from '../../../src/panes/contract/opening.js';
import { chosenRow, listState, withReading } from '../../../src/ui/model/list-state.js';
import { durationColumn, textColumn } from '../../../src/panes/contract/column.js';

type Call = { id: string; tookMs: number | null };

const wanted: ListRequest = { filter: '', failedOnly: false, limit: 200 };

const columns = [
  textColumn<Call, string>({
    id: 'id',
    title: 'id',
    value: ({ id }) => id,
    priority: 1,
    minWidth: 3,
  }),
  durationColumn<Call, number | null>({
    id: 'tookMs',
    title: 'took',
    value: ({ tookMs }) => tookMs,
    priority: 1,
  }),
];

function listOf(rows: readonly Call[], request = wanted, hasMore = false): OpenedList {
  const list = memoryList<Call>(
    {
      title: 'Calls',
      columns,
      rows,
      rowKey: ({ id }) => id,
      summary: [],
      empty: 'none',
      asOf: new Date(),
    },
    request,
  );
  return { ...list, paging: { ...list.paging, hasMore } };
}

const a = { id: 'a', tookMs: 5 };
const b = { id: 'b', tookMs: null };
const c = { id: 'c', tookMs: 9 };
const d = { id: 'd', tookMs: 7 };

it('filters and sorts rows that the console has, as others are by the server', () => {
  expect(listOf([a, b, c], { ...wanted, sort: 'took' }).rows).toEqual([c, a, b]);
  expect(listOf([a, b, c], { ...wanted, filter: 'took>6ms' }).rows).toEqual([c]);
});

it('keeps the chosen row, on its line of the screen, when others come before it', () => {
  const chosen = { ...listState(listOf([a, b, c])), index: 1, hasChosen: true };
  const again = withReading(chosen, listOf([d, a, b, c]));
  expect(chosenRow(again)).toEqual(b);
  expect(again.top).toBe(1);
  const untouched = withReading(listState(listOf([a, b, c])), listOf([d, a, b, c]));
  expect(chosenRow(untouched)).toEqual(d);
});

it('puts the next page behind its rows, and keeps it when the first is read again', () => {
  const first = { ...listState(listOf([a, b], wanted, true)), wantsMore: true };
  const after = { ...wanted, after: { at: '', id: 'b' } };
  const both = withReading(first, listOf([c], after));
  expect(both.opened.rows).toEqual([a, b, c]);
  expect(both).toMatchObject({ wantsMore: false, opened: { paging: { hasMore: false } } });
  const later = withReading(both, listOf([d, a, b], wanted, true));
  expect(later.opened.rows).toEqual([d, a, b, c]);
  expect(later.opened.paging.hasMore).toBe(false);
});

it('leaves its rows alone when an answer is to what was asked before', () => {
  const asked = { ...listState(listOf([a, b])), wanted: { ...wanted, filter: 'took>6ms' } };
  expect(withReading(asked, listOf([a, b, c]))).toBe(asked);
  const filtered = withReading(asked, listOf([a, b, c], { ...wanted, filter: 'took>6ms' }));
  expect(filtered.opened.rows).toEqual([c]);
});
