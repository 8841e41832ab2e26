import { paneIds, type PaneId } from '../../panes/pane.js';
import { paneById } from '../../panes/registry.js';
import { isBesideOverview } from '../model/model.js';
import { isOpened } from '../model/views.js';
import { connectToChosen } from './connection-commands.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

/**
 * Gives a pane the keys: in the overview, or on the whole screen when it is not one of it. What Enter has
 * opened is left.
 */
export function goToPane(app: ConsoleApp, focus: PaneId): void {
  const { overview, views } = app.model;
  const home = overview.includes(focus) ? { home: focus } : {};
  app.update({ focus, ...home, views: views.filter((view) => !isOpened(view)) });
}

/** Through the panes of the overview; beside it through the others. */
function stepFocus(by: number): Command {
  return {
    run(app) {
      const { overview, focus } = app.model;
      const circle = isBesideOverview(app.model)
        ? paneIds.filter((id) => !overview.includes(id))
        : overview;
      const next = circle[(circle.indexOf(focus) + by + circle.length) % circle.length];
      if (next) goToPane(app, next);
    },
  };
}

/** The pane whose line in the list is chosen. */
function chosenInList({ model }: ConsoleApp): PaneId | undefined {
  const view = model.views.at(-1);
  return view?.kind === 'paneList' ? paneIds[view.index] : undefined;
}

export function moveInPaneList(
  app: ConsoleApp,
  by: { rows?: number; pages?: number; to?: 'first' | 'last' },
): void {
  const last = paneIds.length - 1;
  app.changeView('paneList', (view) => {
    const wanted =
      by.to === undefined
        ? view.index + (by.rows ?? 0) + last * (by.pages ?? 0)
        : by.to === 'first'
          ? 0
          : last;
    return { ...view, index: Math.min(Math.max(wanted, 0), last) };
  });
}

/** In the order of the list, so that a pane taken out and put in again has its old place. */
function toggleOverview(app: ConsoleApp, id: PaneId): void {
  const { overview, focus, home } = app.model;
  const next = paneIds.filter((pane) => overview.includes(pane) !== (pane === id));
  const [first] = next;
  if (!first) {
    app.say('The overview needs a pane', 'warning');
    return;
  }
  // What is taken out while it has the keys would cover the overview at once.
  const keeps = focus !== id || next.includes(focus);
  const newHome = next.includes(home) ? home : first;
  app.update({ overview: next, home: newHome, focus: keeps ? focus : newHome });
  const { title } = paneById(id);
  app.say(`${title}: ${next.includes(id) ? 'in the overview' : 'no longer in the overview'}`);
}

const noSuchPane = (key: string) =>
  paneIds[Number(key) - 1] ? undefined : `There are panes 1 to ${Math.min(9, paneIds.length)}`;

export const paneCommands = {
  focus: {
    run(app, key) {
      const focus = paneIds[Number(key) - 1];
      if (focus) goToPane(app, focus);
    },
    unavailable: (_app, key) => noSuchPane(key),
  },
  focusNext: stepFocus(1),
  focusPrevious: stepFocus(-1),
  paneList: {
    run: (app) => app.push({ kind: 'paneList', index: paneIds.indexOf(app.model.focus) }),
  },
  choose: {
    run(app, key) {
      if (app.model.views.at(-1)?.kind === 'connections') {
        connectToChosen(app);
        return;
      }
      const id = key === 'enter' ? chosenInList(app) : paneIds[Number(key) - 1];
      app.pop();
      if (id) goToPane(app, id);
    },
    unavailable: (_app, key) => (key === 'enter' ? undefined : noSuchPane(key)),
  },
  toggleOverview: {
    run(app) {
      const id = chosenInList(app);
      if (id) toggleOverview(app, id);
    },
  },
} as const satisfies Record<string, Command>;
