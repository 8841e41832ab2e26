import { paneIds } from '../../panes/registry.js';
import type { Command, Context, ColonCommand } from '../context.js';
import { isBesideOverview } from '../model/model.js';
import { numberKeys, PaneListView, whyNoPane } from '../views/pane-list.js';
import { showTimesIn } from '../../core/format/time.js';

export const focusPane: Command = {
  id: 'focus',
  isFixed: true,
  keys: numberKeys,
  title: 'focus the pane of that number',
  bar: 'pane',
  barKeys: '1–9',
  priority: 3,
  run({ focus }, key) {
    const id = paneIds[Number(key) - 1];
    if (id) focus.goTo(id);
  },
  unavailable: (_context, key) => whyNoPane(key),
};

/** Through the panes of the overview; beside it through the others. */
function step({ model, focus }: Context, by: number): void {
  const { overview, focus: here } = model;
  const circle = isBesideOverview(model)
    ? paneIds.filter((id) => !overview.includes(id))
    : overview;
  const next = circle[(circle.indexOf(here) + by + circle.length) % circle.length];
  if (next) focus.goTo(next);
}

export const focusNext: Command = {
  id: 'focus-next',
  keys: ['tab', 'right'],
  title: 'the next pane',
  run: (context) => step(context, 1),
};

export const focusPrevious: Command = {
  id: 'focus-previous',
  keys: ['shift+tab', 'left'],
  title: 'the pane before',
  run: (context) => step(context, -1),
};

export const paneList: Command = {
  id: 'pane-list',
  keys: ['o', '0'],
  title: 'list all panes: go to one, or choose those of the overview',
  bar: 'all panes',
  priority: 4,
  run: (context) => context.push(new PaneListView(paneIds.indexOf(context.model.focus))),
};

export const zoom: Command = {
  id: 'zoom',
  keys: ['z'],
  title: 'the pane on the whole screen, and back',
  bar: 'zoom',
  priority: 5,
  run: (context) => context.update({ zoomed: !context.model.zoomed }),
  unavailable: ({ model, focus }) =>
    isBesideOverview(model)
      ? `${focus.pane.title} has the whole screen; Esc leads back`
      : undefined,
};

export const colonTime: ColonCommand = {
  name: 'time',
  title: 'moments in UTC, or in the time zone of this machine',
  values: () => ['utc', 'local'],
  run(context, argument) {
    const utc = argument === 'utc';
    showTimesIn(utc ? 'utc' : 'local');
    context.update({ utc });
    context.say(utc ? 'Moments are in UTC' : 'Moments are in local time');
  },
};
