import { describe, expect, it } from 'vitest';
import {
  findCursor,
  initialPaneView,
  moveTo,
  rowsInView,
  withFilter,
} from '../../../src/ui/model/pane-view.js';
import { scrollTop } from '../../../src/ui/model/list-state.js';
import { fruitPane, fruits, tailPane } from '../helpers.js';

describe('the cursor', () => {
  it('stays on its row when rows change their places', () => {
    const view = moveTo(fruitPane, fruits('apple', 'pear', 'plum'), initialPaneView, 1, 0);
    expect(view.key).toBe('pear');
    const moved = fruits('plum', 'fig', 'apple', 'pear');
    expect(findCursor(fruitPane, moved, view)).toEqual({ index: 3, gone: false });
  });

  it('says when its row has disappeared, and finds it when it is back', () => {
    const view = moveTo(fruitPane, fruits('apple', 'pear', 'plum'), initialPaneView, 2, 0);
    expect(findCursor(fruitPane, fruits('apple'), view)).toEqual({ index: 0, gone: true });
    expect(findCursor(fruitPane, fruits('plum', 'apple'), view)).toEqual({ index: 0, gone: false });
    expect(findCursor(fruitPane, [], view)).toEqual({ index: undefined, gone: true });
  });

  it('holds its place at the top as long as nobody moved it', () => {
    expect(findCursor(fruitPane, fruits('apple'), initialPaneView).index).toBe(0);
    expect(findCursor(fruitPane, fruits('fig', 'apple'), initialPaneView).index).toBe(0);
  });

  it('stops at both ends', () => {
    const rows = fruits('apple', 'pear');
    expect(moveTo(fruitPane, rows, initialPaneView, 99, 0).key).toBe('pear');
    expect(moveTo(fruitPane, rows, initialPaneView, -5, 0).key).toBe('apple');
    expect(moveTo(fruitPane, [], initialPaneView, 1, 0)).toBe(initialPaneView);
  });
});

describe('the cursor of the tail', () => {
  it('is on the newest row while it follows, and remembers what was seen when it leaves', () => {
    const rows = fruits('a', 'b', 'c');
    expect(findCursor(tailPane, rows, initialPaneView).index).toBe(2);
    const left = moveTo(tailPane, rows, initialPaneView, 1, 77);
    expect(left).toMatchObject({ key: 'b', follow: false, seen: 77 });
    expect(findCursor(tailPane, fruits('a', 'b', 'c', 'd'), left).index).toBe(1);
    const further = moveTo(tailPane, rows, left, 0, 99);
    expect(further).toMatchObject({ key: 'a', follow: false, seen: 77 });
    expect(moveTo(tailPane, rows, further, 2, 99).follow).toBe(true);
  });
});

describe('the rows in view', () => {
  it('move only as far as the cursor asks', () => {
    expect(scrollTop(0, 5, 10, 50)).toBe(0);
    expect(scrollTop(0, 12, 10, 50)).toBe(3);
    expect(scrollTop(20, 12, 10, 50)).toBe(12);
    expect(scrollTop(48, 49, 10, 50)).toBe(40);
    expect(scrollTop(30, 2, 10, 4)).toBe(0);
    expect(scrollTop(3, undefined, 10, 50)).toBe(3);
  });
});

describe('sorted rows', () => {
  it('arrive in the first order and are sorted once for each other one', () => {
    const rows = fruits('pear', 'apple', 'plum');
    expect(rowsInView(fruitPane, rows, { sort: 0, reversed: false, filter: '' }, 0)).toBe(rows);
    const byName = rowsInView(fruitPane, rows, { sort: 1, reversed: false, filter: '' }, 0);
    expect(byName.map((row) => fruitPane.rowKey(row))).toEqual(['apple', 'pear', 'plum']);
    expect(rowsInView(fruitPane, rows, { sort: 1, reversed: false, filter: '' }, 0)).toBe(byName);
    const backwards = rowsInView(fruitPane, rows, { sort: 1, reversed: true, filter: '' }, 0);
    expect(backwards.map((row) => fruitPane.rowKey(row))).toEqual(['plum', 'pear', 'apple']);
  });
});

describe('a filter', () => {
  const all = fruits('apple', 'pear', 'plum');
  const onPlum = moveTo(fruitPane, all, initialPaneView, 2, 0);

  it('leaves the cursor on its row, else puts it on the first that is there, and leads back', () => {
    const kept = withFilter(fruitPane, fruits('pear', 'plum'), onPlum, 'p');
    expect(findCursor(fruitPane, fruits('pear', 'plum'), kept)).toEqual({ index: 1, gone: false });
    const hidden = withFilter(fruitPane, fruits('apple', 'pear'), onPlum, 'a');
    expect(findCursor(fruitPane, fruits('apple', 'pear'), hidden)).toEqual({
      index: 0,
      gone: false,
    });
    const back = withFilter(fruitPane, all, hidden, '');
    expect(findCursor(fruitPane, all, back)).toEqual({ index: 2, gone: false });
    const moved = moveTo(fruitPane, fruits('apple', 'pear'), hidden, 1, 0);
    expect(withFilter(fruitPane, all, moved, '').key).toBe('pear');
  });
});
