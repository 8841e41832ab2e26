import { describe, expect, it } from 'vitest';
import {
  choose,
  chosenNode,
  folded,
  foldedAll,
  moreEvents,
  notReadOn,
  refreshed,
  reordered,
  toFailure,
  toParent,
  type TraceState,
} from '../../../src/ui/model/trace-state.js';
import { eventMade, treeMade, treeOf } from '../../panes/trace/events.js';
import { traceMade } from '../trace-made.js';

const rows = ({ rows: nodes }: TraceState) => nodes.map(({ event }) => event.name).join(' ');
const chosen = (view: TraceState | undefined) => view && chosenNode(view)?.event.name;

const tree = treeMade([
  eventMade(['root', null, 0, 100]),
  eventMade(['a', 'root', 0, 40]),
  eventMade(['a1', 'a', 10, 30], { outcome: 'failed' }),
  eventMade(['b', 'root', 40, 10]),
  eventMade(['b1', 'b', 41, 2], { outcome: 'failed' }),
]);

describe('a trace over the panes', () => {
  it('opens at the event that the reader came from', () => {
    expect(chosen(traceMade(tree, 'b1'))).toBe('b1');
    expect(chosen(traceMade(tree, 'unknown'))).toBe('root');
  });

  it('asks once more for further events whose reading failed', () => {
    const view = { ...traceMade({ ...tree, isCut: true }), wanted: 5 };
    const asked = { ...view, wanted: moreEvents(view) ?? 0 };
    expect(asked.wanted).toBeGreaterThan(5);
    expect(moreEvents(asked)).toBeUndefined();
    expect(moreEvents(notReadOn(asked))).toBe(asked.wanted);
    const whole = traceMade(tree);
    expect(notReadOn(whole)).toBe(whole);
  });

  it('folds and unfolds what is below an event, which stays chosen', () => {
    const view = folded(traceMade(tree, 'a'));
    expect(rows(view)).toBe('root a b b1');
    expect(chosen(view)).toBe('a');
    expect(rows(folded(view))).toBe('root a a1 b b1');
    expect(folded(traceMade(tree, 'a1'))).toMatchObject({ index: 2 });
  });

  it('folds everything below the first level, and unfolds it again', () => {
    const view = foldedAll(traceMade(tree, 'a1'));
    expect(rows(view)).toBe('root a b');
    expect(chosen(view)).toBe('a');
    expect(rows(foldedAll(view))).toBe('root a a1 b b1');
  });

  it('goes to the next failure and round, also into what is folded', () => {
    const view = foldedAll(traceMade(tree));
    const first = toFailure(view, 1);
    expect(chosen(first)).toBe('a1');
    const second = first && toFailure(first, 1);
    expect(chosen(second)).toBe('b1');
    expect(chosen(second && toFailure(second, 1))).toBe('a1');
    expect(chosen(toFailure(traceMade(tree), -1))).toBe('b1');
    expect(toFailure(traceMade(treeOf(['root', null, 0, 1])), 1)).toBeUndefined();
  });

  it('puts first what the whole waited for longest, and back', () => {
    const view = reordered(traceMade(tree));
    expect(rows(view)).toBe('root a1 a b b1');
    expect(chosen(view)).toBe('root');
    expect(rows(reordered(choose(view, 'a1')))).toBe('root a a1 b b1');
    expect(chosen(reordered(choose(view, 'a1')))).toBe('a1');
  });

  it('goes to what an event belongs to', () => {
    expect(chosen(toParent(traceMade(tree, 'a1')))).toBe('a');
    expect(chosen(toParent(traceMade(tree)))).toBe('root');
  });

  it('keeps what is chosen and folded when it is read again', () => {
    const view = { ...folded(traceMade(tree, 'a')), index: 3 };
    expect(chosen(view)).toBe('b1');
    const later = treeOf(
      ['root', null, 0, 100],
      ['new', 'root', 0, 1],
      ['a', 'root', 0, 40],
      ['a1', 'a', 10, 30],
      ['b', 'root', 40, 10],
      ['b1', 'b', 41, 2],
    );
    const next = refreshed(view, { ...view.opened, tree: later });
    expect(rows(next)).toBe('root new a b b1');
    expect(chosen(next)).toBe('b1');
  });
});
