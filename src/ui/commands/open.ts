import { rowOpening } from '../../panes/contract/pane.js';
import type { Command, Context } from '../context.js';
import type { Binding } from '../keymap.js';
import { asksDatabase, whyOffline } from './kinds.js';
import { strings } from '../strings.js';
import { cursorAt, rowUnderCursor } from './rows.js';
import { isBesideOverview } from '../model/model.js';
import { showMoment } from './moment.js';
import { quit } from '../views/quit.js';
import { endSearch } from '../views/searching.js';

export const openRow: Command = {
  id: 'open',
  keys: ['enter'],
  title: 'open the chosen row in full',
  bar: 'open',
  priority: 2,
  /** Also makes the cursor follow the row, so that Escape leads back to it although rows may have moved. */
  run(context) {
    const { focus, drilldowns, player } = context;
    const chosen = rowUnderCursor(context);
    if (!chosen) return;
    const { pane } = focus;
    const opening = player ? undefined : rowOpening(pane, chosen.row);
    if (!opening && !player) return;
    focus.change(cursorAt(context, chosen.index));
    if (opening) drilldowns.open(opening);
    // A recording has no more than the pane's rows: shown is the row itself, with the fields that have no column.
    else drilldowns.show({ kind: 'records', title: pane.title, rows: [{ ...chosen.row }] });
  },
  unavailable(context) {
    const { model, database, player, focus } = context;
    const { pane, rows } = focus;
    if (!model.live || !(database ?? player)) return whyOffline(context);
    if (rows.length === 0) return `${pane.title} has no row to open`;
    if (!rowUnderCursor(context)) return 'The chosen row is gone; move the cursor to another';
    return pane.detail || player ? undefined : `${pane.title} has nothing more to show of a row`;
  },
};

/** Opens what the focused view has under its cursor. */
export function openTarget(context: Context): boolean {
  const target = context.front.target?.(context);
  if (target) context.drilldowns.open(target);
  return target !== undefined;
}

export const nothingMore = 'There is nothing more to show of it';

export const openBinding: Binding = {
  id: 'open',
  keys: ['enter'],
  title: 'open the chosen row: the trace, the event in full',
  bar: 'open',
  priority: 2,
};

/** Enter in opened views: opens what is under the cursor there. */
export const openNext: Command = {
  ...openBinding,
  run: (context) => void openTarget(context),
  unavailable: (context) => (context.front.target?.(context) ? undefined : nothingMore),
};

/** Replaces the opened view by that of the next or previous row of the list, pane or trace behind it. */
function openBeside(by: 1 | -1, binding: Binding): Command {
  const found = (context: Context) => context.model.views.at(-2)?.beside?.(context, by);
  return {
    ...binding,
    run(context) {
      const choose = found(context);
      if (!choose) return;
      const opening = choose();
      context.pop();
      context.drilldowns.open(opening);
    },
    unavailable: (context) =>
      found(context)
        ? undefined
        : `Nothing ${by > 0 ? 'more ' : ''}to open stands ${by > 0 ? 'behind' : 'before'} it`,
  };
}

/** Commands of opened views: to the next or previous row, without going back first. */
export const besides: readonly Command[] = [
  openBeside(-1, {
    id: 'open-previous',
    keys: ['['],
    title: 'open the row before this one, of the list, pane or trace that it was opened from',
  }),
  openBeside(1, {
    id: 'open-next',
    keys: [']'],
    title: 'open the row after this one',
  }),
];

export const refreshView: Command = asksDatabase({
  id: 'refresh-view',
  keys: ['ctrl+r'],
  title: 'ask again; lists and traces that run are asked by themselves',
  run(context) {
    context.drilldowns.refresh();
    context.say(strings.refreshing);
  },
});

/** What Escape undoes in the overview, the nearest first; undefined: it does not apply. */
const steps: readonly ((context: Context) => (() => void) | undefined)[] = [
  ({ focus }) => (focus.view.marks.size > 0 ? () => focus.change({ marks: new Set() }) : undefined),
  ({ focus }) => (focus.view.filter === '' ? undefined : () => focus.filter('')),
  ({ focus }) =>
    focus.pane.isTail && !focus.view.follow ? () => focus.change({ follow: true }) : undefined,
  (context) => {
    const { model } = context;
    return isBesideOverview(model) ? () => context.update({ focus: model.home }) : undefined;
  },
  (context) => (context.model.zoomed ? () => context.update({ zoomed: false }) : undefined),
  (context) =>
    context.model.live?.untilMs === undefined ? undefined : () => showMoment(context, undefined),
];

function nearestStep(context: Context): (() => void) | undefined {
  for (const step of steps) {
    const undo = step(context);
    if (undo) return undo;
  }
  return undefined;
}

export const backInOverview: Command = {
  id: 'back',
  keys: ['escape'],
  title: 'one step back: marks, filter, newest rows, overview, out of the zoom, now',
  run: (context) => nearestStep(context)?.(),
  unavailable: (context) =>
    nearestStep(context) ? undefined : `This is the overview; ${context.keys.keyOf(quit.id)} quits`,
};

/** Leaves what Enter has opened; Escape ends a search first. */
export const backFromOpened: Command = {
  id: 'back',
  keys: ['escape', 'q'],
  title: 'one step back, to the same row',
  bar: 'back',
  priority: 1,
  run(context, key) {
    if (key === 'escape' && context.front.searchable?.search) endSearch(context);
    else context.pop();
  },
};
