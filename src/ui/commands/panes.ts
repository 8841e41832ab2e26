import { showTimesIn } from '../../core/format/time.js';
import { readNumber } from '../../core/values.js';
import type { LiveSource } from '../../live/state.js';
import { namedCommands, type PaneChoice } from '../../panes/contract/pane.js';
import { type AnyPane, findPane, paneIds } from '../../panes/registry.js';
import type { ColonCommand, Command, Context } from '../context.js';
import { isBesideOverview } from '../model/model.js';
import type { PaneView } from '../model/pane-view.js';
import { numberKeys, whyNoPane } from '../views/pane-list.js';
import { asksDatabase, needsLive, whyOffline } from './kinds.js';

export const focusPane: Command = {
  id: 'focus',
  isFixed: true,
  keys: numberKeys,
  title: 'focus the pane of that number',
  bar: 'pane',
  barKeys: '1–9',
  priority: 3,
  run({ focus }, key) {
    const id = paneIds[readNumber(key) - 1];
    if (id) focus.goTo(id);
  },
  unavailable: (_context, key) => whyNoPane(key),
};

/** `:pane errors`, as `--pane errors` of the shell; `:errors` does the same. */
export const colonPane: ColonCommand = {
  name: 'pane',
  title: 'go to the pane',
  noun: 'pane',
  isUnlisted: true,
  values: () => paneIds,
  valueTitle: (_context, value) => findPane(value)?.title,
  run(context, argument) {
    const pane = findPane(argument);
    if (pane) context.focus.goTo(pane.id);
  },
};

/** Steps through the panes of the overview, or from a pane outside of it through those outside. */
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
  noun: 'zone',
  values: () => ['utc', 'local'],
  run(context, argument) {
    const utc = argument === 'utc';
    showTimesIn(utc ? 'utc' : 'local');
    context.update({ utc });
    context.say(utc ? 'Moments are in UTC' : 'Moments are in local time');
  },
};

/** What a pane offers to choose from: groups of its rows, or selections of them. */
type Kind = 'grouping' | 'variant';

const kindOf = ({ groupings }: AnyPane): Kind => (groupings ? 'grouping' : 'variant');

function choicesOf(pane: AnyPane, kind: Kind): readonly PaneChoice[] {
  return (kind === 'grouping' ? pane.groupings : pane.variants) ?? [];
}

function choose(context: Context, kind: Kind, { id, title }: PaneChoice): void {
  const { focus, source } = context;
  const { pane } = focus;
  // Rows of another choice have other keys: cursor and marks would point to nothing.
  focus.change({ [kind]: id, key: null, hidden: undefined, index: 0, top: 0, marks: new Set() });
  if (source) setChoice(source, pane, { [kind]: id });
  context.say(`${pane.title}: ${title}`);
}

/** Asks a source for the chosen rows of a pane; what was never chosen stays as the pane has it. */
export function setChoice(
  source: LiveSource,
  { id }: AnyPane,
  { variant, grouping }: Pick<PaneView, 'variant' | 'grouping'>,
): void {
  if (variant !== undefined) source.setVariant(id, variant);
  if (grouping !== undefined) source.setGrouping(id, grouping);
}

export const group: Command = asksDatabase({
  id: namedCommands.group,
  keys: ['t'],
  title: 'group the rows of this pane otherwise, or select others',
  bar: 'group',
  priority: 4,
  run(context) {
    const { pane } = context.focus;
    const kind = kindOf(pane);
    const choices = choicesOf(pane, kind);
    const here = context.model.live?.panes[pane.id][kind];
    const next = choices[(choices.findIndex(({ id }) => id === here) + 1) % choices.length];
    if (next) choose(context, kind, next);
  },
  unavailable(context) {
    const { pane } = context.focus;
    if (choicesOf(pane, kindOf(pane)).length > 0) return needsLive(context);
    return `${pane.title} has one grouping`;
  },
});

/** `:group project`, `:show tools`: one choice of the focused pane by its name. */
function colonChoice(name: string, kind: Kind, title: string): ColonCommand {
  return {
    name,
    title,
    noun: kind === 'grouping' ? 'group' : 'selection',
    ofPane: true,
    needsDatabase: true,
    choices: (pane) => choicesOf(pane, kind),
    values: ({ focus }) => choicesOf(focus.pane, kind).map(({ id }) => id),
    valueTitle: ({ focus }, value) =>
      choicesOf(focus.pane, kind).find(({ id }) => id === value)?.title,
    run(context, argument) {
      const found = choicesOf(context.focus.pane, kind).find(({ id }) => id === argument);
      const why = context.player ? whyOffline(context) : needsLive(context);
      if (why !== undefined) context.say(why, 'warning');
      else if (found) choose(context, kind, found);
    },
  };
}

export const colonGroup = colonChoice(
  namedCommands.group,
  'grouping',
  'what the rows of this pane are',
);
export const colonShow = colonChoice('show', 'variant', 'which rows this pane shows');
