import { moved, type Movement } from '../model/cursor.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';
import { whyOffline } from './offline.js';

/** Why it cannot go to another database now. */
export function whyNoConnections(app: ConsoleApp): string | undefined {
  return app.connections && app.model.live ? undefined : whyOffline(app);
}

export function openConnections(app: ConsoleApp): void {
  const { choices, current } = app.connections ?? {};
  if (choices && current) app.push({ kind: 'connections', index: choices.indexOf(current) });
}

/** Goes to the database whose line in the list is chosen. */
export function connectToChosen(app: ConsoleApp): void {
  const view = app.model.views.at(-1);
  if (view?.kind !== 'connections') return;
  const choice = app.connections?.choices[view.index];
  app.pop();
  if (choice) app.connections?.goTo(choice.name);
}

export function moveInConnections(app: ConsoleApp, by: Movement): void {
  const count = app.connections?.choices.length ?? 0;
  app.changeView('connections', (view) => ({
    ...view,
    index: moved(view.index, by, count, { top: 0, height: count }),
  }));
}

export const connectionCommands = {
  connections: { run: openConnections, unavailable: whyNoConnections },
  retry: {
    run(app) {
      const view = app.model.views.at(-1);
      if (view?.kind === 'connecting') app.connections?.retry(view);
    },
    unavailable({ model }) {
      const view = model.views.at(-1);
      const failed = view?.kind === 'connecting' && view.failure !== undefined;
      return failed ? undefined : 'It is connecting';
    },
  },
} as const satisfies Record<string, Command>;
