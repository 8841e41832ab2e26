import type { OpenedCommandId } from '../keys/opened-keys.js';
import { hasDurations, reorderedList, type ListView } from '../model/list-view.js';
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
import { recordCommands } from './record-commands.js';

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

/** The same keys do in a trace what they do elsewhere. */
function traceOr(elsewhere: Command, inTraceView: Command): Command {
  const commandOf = (app: ConsoleApp) => (frontTrace(app) ? inTraceView : elsewhere);
  return {
    run: (app, key) => commandOf(app).run(app, key),
    unavailable: (app, key) => commandOf(app).unavailable?.(app, key),
  };
}

function frontList({ model }: ConsoleApp): ListView | undefined {
  const view = model.views.at(-1);
  return view?.kind === 'list' ? view : undefined;
}

const slowestInList: Command = {
  run(app) {
    const view = frontList(app);
    if (view) app.replaceView(view, reorderedList(view));
  },
  unavailable(app) {
    const view = frontList(app);
    return view && !hasDurations(view) ? 'These rows have no duration' : undefined;
  },
};

function whyNoFold(view: TraceView, { keys }: ConsoleApp): string | undefined {
  if (view.order !== 'slowest') return undefined;
  return `The slowest first are no tree; ${keys.keyOf('slowest')}: back to the tree`;
}

function whyNoFailure({ opened }: TraceView): string | undefined {
  return opened.tree.failures > 0 ? undefined : 'Nothing failed in this trace';
}

/** What the keys do in what Enter has opened. */
export const openedCommands: Readonly<Record<OpenedCommandId, Command>> = {
  fold: traceOr(
    recordCommands.fold,
    inTrace(
      (view) => folded(view),
      (view, app) =>
        whyNoFold(view, app) ??
        (chosenNode(view)?.children.length === 0 ? 'Nothing is below this event' : undefined),
    ),
  ),
  foldOrParent: traceOr(
    recordCommands.foldOrParent,
    inTrace((view) => {
      const next = folded(view, 'folded');
      return next === view ? toParent(view) : next;
    }),
  ),
  unfoldTree: traceOr(
    recordCommands.unfoldTree,
    inTrace((view) => folded(view, 'unfolded'), whyNoFold),
  ),
  foldAll: traceOr(recordCommands.foldAll, inTrace(foldedAll, whyNoFold)),
  slowest: traceOr(slowestInList, inTrace(reordered)),
  nextFailure: inTrace((view) => toFailure(view, 1), whyNoFailure),
  previousFailure: inTrace((view) => toFailure(view, -1), whyNoFailure),
  refreshView: asks({
    run(app) {
      app.openings.refresh();
      app.say('Asking now');
    },
  }),
};
