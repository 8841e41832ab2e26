import { reindexCommand } from '../../maintenance/reindex/rebuild-lock.js';
import { analyzeCommand } from '../../maintenance/statistics/maintain-tables.js';
import type { ColonCommand, Command, Context } from '../context.js';
import { paneRoom, type PaneRoom } from '../draw/pane.js';
import { toLeft, toRight } from '../draw/table.js';
import { layoutOf } from '../model/model.js';
import { findCursor, moveTo, seenBy, sortsOf, type PaneView } from '../model/pane-view.js';
import { scrollTop, type Movement } from '../model/list-state.js';
import type { Binding } from '../keymap.js';
import { strings } from '../strings.js';
import { copy, exportRows } from '../views/export.js';
import { PalettePrompt } from '../views/palette.js';
import { needsLive } from './kinds.js';

/** Which rows of the focused pane are in view; undefined where it is drawn as one line, or nothing was read. */
export function focusedRoom({ model, focus }: Context): PaneRoom | undefined {
  const { live } = model;
  const place = layoutOf(model).places.find(({ id }) => id === model.focus);
  if (!live || place?.kind !== 'full') return undefined;
  const { pane, view } = focus;
  const { width, height } = place;
  return paneRoom({ pane, view, snapshot: live.panes[pane.id], width, height });
}

/** The focused pane's view with the cursor on a position, scrolled as little as that needs. */
export function cursorAt(context: Context, index: number): PaneView {
  const { pane, rows, view } = context.focus;
  const seen = seenBy(context.model.live?.panes[pane.id].extras);
  const next = moveTo(pane, rows, view, index, seen);
  const room = focusedRoom(context);
  if (!room) return next;
  return { ...next, top: scrollTop(room.top, next.index, room.visibleRows, rows.length) };
}

/** The row under the cursor of the focused pane; undefined also when the chosen one is gone. */
export function rowUnderCursor({
  focus: { pane, rows, view },
}: Context): { row: object; index: number } | undefined {
  const { index, gone } = findCursor(pane, rows, view);
  const row = index === undefined || gone ? undefined : rows[index];
  return row && index !== undefined ? { row, index } : undefined;
}

/** The marked rows of the focused pane, as far as they are shown. */
export function markedRows({ focus: { pane, rows, view } }: Context): object[] {
  const { marks } = view;
  return marks.size === 0 ? [] : rows.filter((row) => marks.has(pane.rowKey(row)));
}

/** Why nothing can be done to the marked rows: all of them are filtered out or gone. */
export function whyNoMarked(context: Context): string | undefined {
  const { size } = context.focus.view.marks;
  if (size === 0 || markedRows(context).length > 0) return undefined;
  return size === 1
    ? 'The marked row is filtered out; Esc clears the mark'
    : `The ${size} marked rows are filtered out; Esc clears the marks`;
}

/** What is copied, written or changed: the marked rows, or the one under the cursor where none is marked. */
export function chosenRows(context: Context): object[] {
  if (context.focus.view.marks.size > 0) return markedRows(context);
  const chosen = rowUnderCursor(context);
  return chosen ? [chosen.row] : [];
}

export const mark: Command = {
  id: 'mark',
  keys: ['m'],
  title: `mark/unmark the row; :${copy.id}, :${exportRows.id}, :${analyzeCommand.id} and :${reindexCommand.id} take all marked rows`,
  run(context) {
    const { focus } = context;
    const { pane, view } = focus;
    const chosen = rowUnderCursor(context);
    if (!chosen) return;
    const key = pane.rowKey(chosen.row);
    const marks = new Set(view.marks);
    if (!marks.delete(key)) marks.add(key);
    // To the next row, so that several are marked by holding the key.
    focus.change({ ...cursorAt(context, chosen.index + 1), marks });
  },
  unavailable: (context) =>
    rowUnderCursor(context) ? undefined : 'There is no row under the cursor',
};

export const columnsRight: Command = {
  ...toRight,
  run: ({ focus }) => focus.change({ shift: focus.view.shift + 1 }),
  unavailable(context) {
    const hidden = focusedRoom(context)?.hiddenColumns ?? 0;
    return hidden > 0 ? undefined : `${context.focus.pane.title} has no further columns`;
  },
};

export const columnsLeft: Command = {
  ...toLeft,
  run: ({ focus }) => focus.change({ shift: focus.view.shift - 1 }),
  unavailable: ({ focus }) => (focus.view.shift > 0 ? undefined : strings.firstColumn),
};

function cursorIndex({ focus: { pane, rows, view } }: Context): number | undefined {
  return findCursor(pane, rows, view).index;
}

/** Moves the cursor of the focused view, or scrolls it; `pages` counts pages instead of rows. */
function move(by: Movement, binding: Binding): Command {
  return {
    ...binding,
    run(context) {
      const { front } = context;
      const index = cursorIndex(context);
      front.move?.(context, by);
      if (context.front !== front || cursorIndex(context) !== index) return;
      const isDown = by.to === undefined ? (by.rows ?? by.pages ?? 0) > 0 : by.to === 'last';
      context.say(isDown ? strings.lastRow : strings.firstRow);
    },
    unavailable: (context) => context.front.whyNotMove?.(context),
  };
}

/** The commands of every view with a cursor. */
export const moves: readonly Command[] = [
  move(
    { rows: -1 },
    {
      id: 'up',
      keys: ['up', 'k'],
      title: 'one row up',
      bar: 'move',
      barWith: 'down',
      priority: 4,
    },
  ),
  move({ rows: 1 }, { id: 'down', keys: ['down', 'j'], title: 'one row down' }),
  move({ pages: -1 }, { id: 'page-up', keys: ['pageUp', 'ctrl+b'], title: 'a page up' }),
  move({ pages: 1 }, { id: 'page-down', keys: ['pageDown', 'ctrl+f'], title: 'a page down' }),
  move({ to: 'first' }, { id: 'first', keys: ['g', 'home'], title: 'to the first row' }),
  move(
    { to: 'last' },
    {
      id: 'last',
      keys: ['G', 'end'],
      title: 'to the last row; of a live tail: follow it again',
    },
  ),
];

function orderBy(context: Context, sort: number, reversed: boolean): void {
  const { focus } = context;
  const { pane } = focus;
  focus.change({ sort, reversed });
  const title = sortsOf(pane)[sort]?.title ?? '';
  context.say(strings.sortedBy(pane.title, title, reversed ? 'last' : 'first'));
}

function whyOneOrder({ focus: { pane } }: Context): string | undefined {
  return sortsOf(pane).length > 1
    ? undefined
    : `${pane.title} has one order: ${pane.sorts[0].title}`;
}

export const sort: Command = {
  id: 'sort',
  keys: ['s'],
  title: 'sort by the next column',
  bar: 'sort',
  priority: 5,
  run(context) {
    const { pane, view } = context.focus;
    // From the order of another column to the first of those that the key steps through.
    orderBy(context, view.sort + 1 < pane.sorts.length ? view.sort + 1 : 0, false);
  },
  unavailable: whyOneOrder,
};

/** Opens the palette on the columns: some letters of a name and Enter are enough. */
export const sortBy: Command = {
  id: 'sort-by',
  keys: [','],
  title: 'sort by a column of your choice: some letters of its name',
  run: (context) => context.push(new PalettePrompt(`${colonSort.name} `)),
  unavailable: (context) => needsLive(context) ?? whyOneOrder(context),
};

export const reverse: Command = {
  id: 'reverse',
  keys: ['S'],
  title: 'turn the order round',
  run(context) {
    const { sort: here, reversed } = context.focus.view;
    orderBy(context, here, !reversed);
  },
  unavailable: whyOneOrder,
};

export const colonSort: ColonCommand = {
  name: 'sort',
  title: 'order the rows of this pane by a column',
  noun: 'order',
  ofPane: true,
  choices: (pane) => sortsOf(pane),
  values: ({ focus }) => sortsOf(focus.pane).map(({ id }) => id),
  valueTitle: ({ focus }, value) => {
    const sort = sortsOf(focus.pane).find(({ id }) => id === value);
    return sort && `by ${sort.title}`;
  },
  run(context, argument) {
    const found = sortsOf(context.focus.pane).findIndex(({ id }) => id === argument);
    if (found >= 0) orderBy(context, found, false);
  },
};
