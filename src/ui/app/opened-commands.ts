import { innerWidth } from '../draw/box.js';
import { layOutRecord } from '../draw/record-layout.js';
import type { OpenedCommandId } from '../keys/opened-keys.js';
import {
  chosenNode,
  folded,
  foldedAll,
  reordered,
  toFailure,
  toParent,
  type TraceView,
} from '../model/trace-view.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';
import { asks } from './offline.js';
import { searchAgain } from './search-commands.js';

function frontTrace({ model }: ConsoleApp): TraceView | undefined {
  const view = model.views.at(-1);
  return view?.kind === 'trace' ? view : undefined;
}

function inTrace(
  change: (view: TraceView) => TraceView | undefined,
  unavailable?: (view: TraceView, app: ConsoleApp) => string | undefined,
): Command {
  return {
    run(app) {
      const view = frontTrace(app);
      const next = view && change(view);
      if (next && next !== view) app.replaceView(view, next);
    },
    unavailable: (app) => {
      const view = frontTrace(app);
      return view && unavailable?.(view, app);
    },
  };
}

function whyNoFold(view: TraceView, { keys }: ConsoleApp): string | undefined {
  if (view.order !== 'slowest') return undefined;
  return `The slowest first are no tree; ${keys.keyOf('slowest')}: back to the tree`;
}

function whyNoFailure({ opened }: TraceView): string | undefined {
  return opened.tree.failures > 0 ? undefined : 'Nothing failed in this trace';
}

/** What the keys do in what Enter has opened. */
export const openedCommands: Readonly<Record<OpenedCommandId, Command>> = {
  unfold: {
    run(app) {
      const view = app.model.views.at(-1);
      if (view?.kind !== 'record') return;
      app.replaceView(view, { ...view, unfolded: !view.unfolded, top: 0 });
      searchAgain(app);
    },
    unavailable({ model }) {
      const view = model.views.at(-1);
      if (view?.kind !== 'record' || view.unfolded) return undefined;
      const { isFolded } = layOutRecord(view, innerWidth(model.size.columns));
      return isFolded ? undefined : 'Every value is shown whole';
    },
  },
  fold: inTrace(
    (view) => folded(view),
    (view, app) =>
      whyNoFold(view, app) ??
      (chosenNode(view)?.children.length === 0 ? 'Nothing is below this event' : undefined),
  ),
  foldOrParent: inTrace((view) => {
    const next = folded(view, 'folded');
    return next === view ? toParent(view) : next;
  }),
  unfoldTree: inTrace((view) => folded(view, 'unfolded'), whyNoFold),
  foldAll: inTrace(foldedAll, whyNoFold),
  slowest: inTrace(reordered),
  nextFailure: inTrace((view) => toFailure(view, 1), whyNoFailure),
  previousFailure: inTrace((view) => toFailure(view, -1), whyNoFailure),
  refreshView: asks({
    run(app) {
      app.openings.refresh();
      app.say('Asking now');
    },
  }),
};
