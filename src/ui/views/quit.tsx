import type { Command, ConnectionChoice, Context, Scope, View } from '../context.js';
import { actionLines } from '../draw/action.js';
import { writer } from '../draw/box.js';
import type { StyledLine } from '../draw/styled-line.js';
import { terminalCommands, inView } from '../commands/kinds.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { strings } from '../strings.js';

/** What becomes of the running action: waited for, cancelled, or left to the server. */
type WayToQuit = 'wait' | 'cancel' | 'leave';

/** What happens when the action has ended. */
const chosenTexts: Readonly<Record<WayToQuit, (goes: string) => string>> = {
  wait: (goes) => `The console ${goes} when the action has ended.`,
  cancel: (goes) => `It is cancelled, and the console ${goes} when it has cleaned up.`,
  leave: () => 'The server goes on alone; the next start shows it.',
};

/** Asked before the console ends, or goes to another database, while an action runs. */
export class QuitView implements View {
  readonly scope: Scope = quitScope;
  readonly asksToLeave = true;
  readonly endsWithConnection = true;
  /** Undefined: the console ends. */
  readonly toward: ConnectionChoice | undefined;
  readonly chosen: WayToQuit | undefined;

  constructor(toward?: ConnectionChoice, chosen?: WayToQuit) {
    this.toward = toward;
    this.chosen = chosen;
  }

  draw(context: Context) {
    const { toward } = this;
    const title = toward ? `Connect to ${toward.name}?` : 'Quit?';
    const { size } = context.model;
    return <Dialog title={title} body={this.#lines(context)} look="warning" size={size} />;
  }

  #lines(context: Context): StyledLine[] {
    const { toward, chosen } = this;
    const { keys, model, actions } = context;
    const room = innerDialog(model.size);
    const write = writer(room.width);
    if (chosen) {
      const action = actions?.state;
      const goes = toward ? `connects to ${toward.name}` : 'ends';
      const atOnce = chosen === 'cancel' && !toward ? ` ${keys.keyOf(cancelIt.id)}: at once` : '';
      return [
        ...(action ? actionLines(keys, action, model.nowMs, room).slice(0, 4) : []),
        ...write(''),
        ...write(`${chosenTexts[chosen](goes)}${atOnce}`),
        ...write(strings.stay),
      ];
    }
    const leave = toward ? `connect to ${toward.name}` : 'quit';
    return [
      ...write('An action is running.'),
      ...write(''),
      ...write(`${keys.keyOf(waitForIt.id)}: wait for its end, then ${leave}`),
      ...write(`${keys.keyOf(cancelIt.id)}: cancel it, clean up, and ${leave}`),
      ...(actions?.isDetachable
        ? write(
            `${keys.keyOf(leaveIt.id)}: leave it running on the server; the next start shows it`,
          )
        : write(`${strings.cannotDetach}.`, 'muted')),
      ...write(strings.stay),
    ];
  }

  /** Leaves when the action has ended: as it is, cancelled and cleaned up, or left to the server. */
  choose(context: Context, way: WayToQuit): void {
    const { actions } = context;
    // A second cancel does not wait for the clean-up's end, except when switching databases.
    const isHasty = way === 'cancel' && this.chosen === 'cancel' && this.toward === undefined;
    context.replace(this, new QuitView(this.toward, way));
    if (isHasty) context.end(0);
    else if (!actions?.isRunning) leaveIfAsked(context);
    else if (way === 'cancel') actions.cancel();
    else if (way === 'leave') actions.leave();
  }
}

/** Quits or switches once the awaited action has ended; stays if it failed and we would switch. */
export function leaveIfAsked(context: Context): void {
  const { views } = context.model;
  const leaving = views.find((view) => view instanceof QuitView);
  if (!leaving?.chosen) return;
  const { toward } = leaving;
  if (!toward) context.end(0);
  else if (context.actions?.state?.result?.tone === 'error') {
    context.update({ views: views.filter((view) => view !== leaving) });
  } else void context.connections?.connect(toward);
}

const waitForIt = inView(QuitView, {
  id: 'quit-wait',
  keys: ['w'],
  title: 'wait for its end, then leave',
  bar: 'wait for it',
  priority: 2,
  accepts: true,
  run: (view, context) => view.choose(context, 'wait'),
});

const cancelIt = inView(QuitView, {
  id: 'quit-cancel',
  keys: ['y'],
  title: 'cancel it, clean up, and leave',
  bar: 'cancel it',
  priority: 2,
  accepts: true,
  run: (view, context) => view.choose(context, 'cancel'),
});

const leaveIt = inView(QuitView, {
  id: 'quit-leave',
  keys: ['l'],
  title: 'let the server go on with it alone, and leave',
  bar: 'leave it running',
  priority: 2,
  accepts: true,
  run: (view, context) => view.choose(context, 'leave'),
  unavailable: (_view, { actions }) => (actions?.isDetachable ? undefined : strings.cannotDetach),
});

const stay: Command = {
  id: 'quit-stay',
  keys: ['enter', 'escape', 'n'],
  title: 'stay',
  bar: 'stay',
  barKeys: 2,
  priority: 1,
  run: (context) => context.pop(),
};

export const quitScope: Scope = {
  id: 'quit',
  title: 'Quit dialog',
  isInHelp: true,
  needsDatabase: true,
  commands: [waitForIt, cancelIt, leaveIt, stay, ...terminalCommands],
};

export const quit: Command = {
  id: 'quit',
  keys: ['q'],
  title: 'quit; asks first while an action runs',
  bar: 'quit',
  priority: 1,
  asks: quitScope.id,
  quits: true,
  run(context) {
    if (context.actions?.isRunning) context.push(new QuitView());
    else context.end(0);
  },
};
