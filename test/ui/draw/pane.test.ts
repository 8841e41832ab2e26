import { describe, expect, it } from 'vitest';
import { ConsoleError } from '../../../src/db/errors.js';
import { displayWidth } from '../../../src/terminal/width.js';
import { drawPane, paneRoom, type PaneInput } from '../../../src/ui/draw/pane.js';
import { Keymap } from '../../../src/ui/keymap.js';
import { initialPaneView } from '../../../src/ui/model/pane-view.js';
import type { AnyPane } from '../../../src/panes/registry.js';
import { fruitPane, fruits, snapshotOf, tailPane, textOf } from '../helpers.js';

const input: PaneInput = {
  pane: fruitPane,
  snapshot: snapshotOf(fruits('apple', 'pear', 'plum')),
  view: initialPaneView,
  keys: new Keymap([]),
  number: '4',
  width: 40,
  height: 10,
  focused: true,
  age: undefined,
  utc: false,
  cadenceMs: 2_000,
};

function draw(changes: Partial<PaneInput> = {}): string[] {
  return drawPane({ ...input, ...changes }).map(textOf);
}

describe('a pane', () => {
  it('stands in its border with number, title, summary, heading and rows', () => {
    expect(draw()).toEqual([
      '┏━ 4 Fruit ━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓',
      '┃ 3 in all                             ┃',
      '┃ fruit                         weight ┃',
      '┃ apple                         3.0 kB ┃',
      '┃ pear                          2.0 kB ┃',
      '┃ plum                          1.0 kB ┃',
      ...Array.from({ length: 3 }, () => `┃${' '.repeat(38)}┃`),
      '┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┛',
    ]);
  });

  it('is as large as its place at every size', () => {
    const snapshot = snapshotOf(fruits(...Array.from({ length: 40 }, (_, n) => `fruit ${n}`)), {
      notes: ['a note 漢字 that is rather long for such a pane'],
    });
    for (const [width, height] of [
      [40, 3],
      [20, 6],
      [12, 4],
      [97, 30],
    ] as const) {
      const lines = draw({ width, height, snapshot, age: '12s ago' });
      expect(lines).toHaveLength(height);
      expect(lines.map((line) => displayWidth(line))).toEqual(lines.map(() => width));
    }
  });

  it('says that the history is being written while nothing of it is there, and counts nothing', () => {
    const text = draw({ snapshot: snapshotOf([]), filling: 0.42 }).join('\n');
    expect(text.replace(/[┃\s]+/g, ' ')).toContain(
      'The history of the demo is being written: ████░░░░░░ 42%',
    );
    expect(text).not.toMatch(/No fruit|0 in all/);
    expect(draw({ filling: 0.42 })).toEqual(draw());
  });

  it('says that rows are those of another choice, until the first of the chosen one come', () => {
    const rows = fruits('apple', 'pear');
    const titled = (share: number) =>
      draw({ width: 70, snapshot: snapshotOf(rows, { loading: { share } }) })[0];
    expect(titled(0)).toContain('old rows · fetching 0%');
    expect(titled(0.4)).toContain(' fetching 40%');
    expect(titled(0.4)).not.toContain('old rows');
    expect(draw({ snapshot: snapshotOf([], { loading: { share: 0 } }) })[0]).not.toContain('old');
  });

  it('shows the column by which it is sorted, found by its name or its values', () => {
    const [byWeight, byName] = fruitPane.sorts;
    const second = { ...initialPaneView, sort: 1 };
    for (const id of ['weight', 'heaviest']) {
      const [name, weight] = fruitPane.columns;
      const columns = [
        name,
        { ...name, id: 'other', title: 'other' },
        weight,
      ] as AnyPane['columns'];
      const sorts = [byName ?? byWeight, { ...byWeight, id }] as const;
      const pane: AnyPane = { ...fruitPane, columns, sorts };
      expect(draw({ width: 20, pane })[2]).not.toContain('weight');
      expect(draw({ width: 20, pane, view: second })[2]).toContain('weight');
    }
  });

  it('says how to get data when there are no rows', () => {
    expect(draw({ snapshot: snapshotOf([]) }).join('\n')).toContain('No fruit. Buy some.');
  });

  it('says by a sign that a message has no room', () => {
    const error = new ConsoleError('internal', 'one two three four five six', { hint: 'seven' });
    const snapshot = snapshotOf([], { error, asOf: null, extras: undefined });
    expect(draw({ snapshot, width: 20, height: 3 })[1]).toBe('┃ one two three f… ┃');
    expect(draw({ snapshot, width: 20, height: 4 }).slice(1, 3)).toEqual([
      '┃ one two three    ┃',
      '┃ four five six s… ┃',
    ]);
  });

  it('shows a failure with its hint when it never had rows', () => {
    const error = new ConsoleError('schema_missing', 'fruit does not exist.', { hint: 'Grow it.' });
    const text = draw({
      snapshot: snapshotOf([], { error, asOf: null, extras: undefined }),
    }).join();
    expect(text).toContain('fruit does not exist.');
    expect(text).toContain('Grow it.');
  });

  it('keeps the last good rows below a failure, with their age', () => {
    const error = new ConsoleError('lock_timeout', 'fruit is locked by pid 7.');
    const snapshot = snapshotOf(fruits('apple'), { error, stale: true });
    const lines = draw({ snapshot, age: '12s ago' });
    expect(lines[0]).toContain('as of 12s ago');
    expect(lines[1]).toContain('fruit is locked by pid 7.');
    expect(lines.join()).toContain('apple');
  });

  it('says how much of the rows is in view, and scrolls to the chosen one', () => {
    const names = Array.from({ length: 30 }, (_, n) => `fruit ${n}`);
    const view = { ...initialPaneView, key: 'fruit 20', index: 20 };
    const lines = draw({ snapshot: snapshotOf(fruits(...names)), view });
    expect(lines.join()).toContain('fruit 20');
    expect(lines.at(-1)).toContain('16–21 of 30');
  });

  it('says that the chosen row is gone, and marks no other for it', () => {
    const view = { ...initialPaneView, key: 'melon', index: 1 };
    const lines = drawPane({ ...input, view });
    expect(textOf(lines.at(-1))).toContain('the chosen row is gone');
    expect(lines.map(textOf).join()).not.toContain('\x1b[7m');
  });

  it('says how often it is asked when that is seldom, to spare the server', () => {
    expect(draw({ snapshot: snapshotOf([], { intervalMs: 4_000 }) })[0]).not.toContain('every');
    expect(draw({ snapshot: snapshotOf([], { intervalMs: 14_000 }) })[0]).toContain('every 14.0s');
  });

  it('names the order that was chosen, and which way it runs', () => {
    const byName = { ...initialPaneView, sort: 1, reversed: true };
    const lines = draw({ view: byName });
    expect(lines[0]).toContain('↓ name');
    expect(lines.slice(3, 6).map((line) => line.split(/ +/)[1])).toEqual(['plum', 'pear', 'apple']);
  });
});

describe('the tail', () => {
  it('shows the newest rows while it follows, and counts new ones while it does not', () => {
    const names = Array.from({ length: 20 }, (_, n) => `event ${n}`);
    const snapshot = snapshotOf(fruits(...names));
    expect(draw({ pane: tailPane, snapshot }).join()).toContain('event 19');
    const held = { ...initialPaneView, key: 'event 3', index: 3, follow: false, seen: 12 };
    const lines = draw({ pane: tailPane, snapshot, view: held });
    expect(lines[0]).toContain('8 new');
    expect(lines.join()).toContain('event 3');
    expect(lines.join()).not.toContain('event 19');
  });
});

describe('what of a pane is in view', () => {
  const names = Array.from({ length: 30 }, (_, n) => `fruit ${n}`);
  const snapshot = snapshotOf(fruits(...names));

  it('is known without drawing it: rows, where they are scrolled to, columns without room', () => {
    const view = { ...initialPaneView, key: 'fruit 20', index: 20 };
    expect(paneRoom({ ...input, snapshot, view })).toEqual({
      top: 15,
      visibleRows: 6,
      hiddenColumns: 0,
    });
    expect(paneRoom({ ...input, snapshot, width: 16 }).hiddenColumns).toBe(1);
  });

  it('moves as little as the cursor needs', () => {
    const view = { ...initialPaneView, key: 'fruit 20', index: 20, top: 18 };
    expect(paneRoom({ ...input, snapshot, view }).top).toBe(18);
    expect(draw({ snapshot, view }).at(-1)).toContain('19–24 of 30');
  });
});
