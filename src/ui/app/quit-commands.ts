import type { QuitView, WayToQuit } from '../model/views.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

function quitView({ model }: ConsoleApp): QuitView | undefined {
  const view = model.views.at(-1);
  return view?.kind === 'quit' ? view : undefined;
}

/** Leaves when the action has ended: as it is, cancelled and tidied up, or left to the server. */
function choose(app: ConsoleApp, way: WayToQuit): void {
  const { actions } = app;
  const { toward, chosen } = quitView(app) ?? {};
  // Who asks to cancel a second time does not want to wait for the tidying up; another database must.
  const isHasty = way === 'cancel' && chosen === 'cancel' && toward === undefined;
  app.changeView('quit', (view) => ({ ...view, chosen: way }));
  if (isHasty) app.quitNow();
  else if (!actions?.isRunning) app.actionEnded();
  else if (way === 'cancel') actions.cancel();
  else if (way === 'leave') actions.leave();
}

/** Of the question before quitting while an action runs. */
export const quitCommands = {
  quitCancel: { run: (app) => choose(app, 'cancel') },
  quitWait: { run: (app) => choose(app, 'wait') },
  quitLeave: {
    run: (app) => choose(app, 'leave'),
    unavailable: ({ actions }) =>
      actions?.isDetachable ? undefined : 'It cannot be left alone now: the console does its part',
  },
  quitStay: { run: (app) => app.pop() },
} as const satisfies Record<string, Command>;
