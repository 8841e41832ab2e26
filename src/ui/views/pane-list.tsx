import { readNumber } from '../../core/values.js';
import { paneIds, type PaneId, paneById, paneKey, panes } from '../../panes/registry.js';
import { displayWidth, fit } from '../../terminal/width.js';
import { closing, inView, terminalCommands } from '../commands/kinds.js';
import { moves } from '../commands/rows.js';
import type { Command, Context, Scope, View } from '../context.js';
import { styled, type StyledLine } from '../draw/styled-line.js';
import { moved, scrollTop, type Movement } from '../model/list-state.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { paletteBehind } from './palette.js';

/** All panes there are, to go to one or to choose those of the overview. */
export class PaneListView implements View {
  readonly scope: Scope = paneListScope;
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }

  draw({ model: { size, overview } }: Context) {
    const room = innerDialog(size);
    const top = scrollTop(0, this.index, room.height, panes.length);
    const titles = Math.max(...panes.map(({ title }) => displayWidth(title))) + 2;
    const body = panes.slice(top, top + room.height).map(({ id, title, question }, row) => {
      const sign = overview.includes(id) ? '●' : '○';
      const line: StyledLine = [
        { text: `${paneKey(id) ?? ' '} ${sign} `, look: 'key' },
        { text: fit(title, titles) },
        { text: fit(question, Math.max(0, room.width - titles - 4)), look: 'muted' },
      ];
      const isChosen = top + row === this.index;
      return isChosen ? styled(line.map(({ text }) => text).join(''), 'selected') : line;
    });
    return <Dialog title="Panes, ● in the overview" body={body} size={size} />;
  }

  move(context: Context, by: Movement): void {
    const index = moved(this.index, by, panes.length, panes.length);
    if (index !== this.index) context.replace(this, new PaneListView(index));
  }

  get chosen(): PaneId | undefined {
    return paneIds[this.index];
  }
}

export const paneList: Command = {
  id: 'pane-list',
  keys: ['o', '0'],
  title: 'list all panes: go to one, or choose those of the overview',
  bar: 'all panes',
  priority: 4,
  run: (context) => context.push(new PaneListView(paneIds.indexOf(context.model.focus))),
};

/** The keys of the first nine panes. */
export const numberKeys: readonly string[] = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];

export function whyNoPane(key: string): string | undefined {
  const last = Math.min(9, paneIds.length);
  return paneIds[readNumber(key) - 1] ? undefined : `There are panes 1 to ${last}`;
}

const choose = inView(PaneListView, {
  id: 'choose',
  isFixed: true,
  keys: ['enter', ...numberKeys],
  title: 'go to the chosen pane, or to that of the number',
  bar: 'go',
  priority: 1,
  run(view, context, key) {
    const id = key === 'enter' ? view.chosen : paneIds[readNumber(key) - 1];
    context.pop();
    if (id) context.focus.goTo(id);
  },
  unavailable: (_view, _context, key) => (key === 'enter' ? undefined : whyNoPane(key)),
});

const toggleOverview = inView(PaneListView, {
  id: 'toggle-overview',
  keys: ['space'],
  title: 'show the pane in the overview, or no longer',
  bar: 'toggle overview',
  priority: 2,
  run({ chosen }, context) {
    if (chosen) toggle(context, chosen);
  },
});

/** In the order of the list, so that a pane taken out and put in again has its old place. */
function toggle(context: Context, id: PaneId): void {
  const { overview, focus, home } = context.model;
  const next = paneIds.filter((pane) => overview.includes(pane) !== (pane === id));
  const [first] = next;
  if (!first) {
    context.say('The overview needs a pane', 'warning');
    return;
  }
  // Focus must not stay on a pane that leaves the overview: it would take the whole screen.
  const keeps = focus !== id || next.includes(focus);
  const newHome = next.includes(home) ? home : first;
  context.update({ overview: next, home: newHome, focus: keeps ? focus : newHome });
  const { title } = paneById(id);
  context.say(`${title}: ${next.includes(id) ? 'in the overview' : 'no longer in the overview'}`);
}

export const paneListScope: Scope = {
  id: 'paneList',
  title: 'In the list of panes',
  isInHelp: true,
  commands: [
    choose,
    toggleOverview,
    closing({ keys: ['escape', 'q'], title: 'back to the panes', closes: paneList.id }),
    ...moves,
    paletteBehind,
    ...terminalCommands,
  ],
};
