import type { Command, Context, View } from '../context.js';
import { paneById, type AnyPane } from '../../panes/registry.js';
import type { Binding } from '../keymap.js';
import { layoutOf } from '../model/model.js';
import { strings } from '../strings.js';

/** Why nothing can be asked or changed where there is no database. */
export function whyOffline({ player }: Pick<Context, 'player'>): string {
  return player ? strings.recordingIsFixed : strings.notConnected;
}

/** Why a command that needs live data cannot run yet: a key pressed before the connection is open gets an answer. */
export function needsLive(context: Context): string | undefined {
  return context.model.live ? undefined : whyOffline(context);
}

/** A command that asks the database; a recording has none. */
export function asksDatabase(command: Command): Command {
  return {
    ...command,
    needsDatabase: true,
    unavailable: (context, key) =>
      context.player ? whyOffline(context) : command.unavailable?.(context, key),
  };
}

/** Whether the key bar shows a command: it, or the one that shares its place (`barWith`), can run now. */
export function isOnBar(context: Context, command: Command): boolean {
  if (command.isOnBar && !command.isOnBar(context)) return false;
  const { keys, front } = context;
  const { barWith } = command;
  const partner =
    barWith === undefined ? undefined : keys.in(front.scope).find(({ id }) => id === barWith);
  return [command, partner].some((each) => {
    const [key] = each?.keys ?? [];
    return key !== undefined && each?.unavailable?.(context, key) === undefined;
  });
}

/** Whether a list that goes by the window, or a pane of this kind, is in view. */
export function isShown({ model, front }: Context, isOf: (pane: AnyPane) => boolean): boolean {
  if (front.openedBy) return front.isLive === true && front.whyNoWindow === undefined;
  return layoutOf(model).places.some(({ id }) => isOf(paneById(id)));
}

/** The command that ends the console, in the scope of the view at the bottom of the stack. */
export function quitCommand({ keys, model, front }: Context): Command | undefined {
  const { scope } = model.views[0] ?? front;
  return keys.in(scope).find(({ quits }) => quits);
}

type ViewCommand<Focused extends View> = Binding & {
  run(view: Focused, context: Context, key: string): void;
  unavailable?(view: Focused, context: Context, key: string): string | undefined;
};

/** A command of one view: it gets the view, which is focused whenever its keys work. */
export function inView<Focused extends View>(
  type: abstract new (...args: never[]) => Focused,
  command: ViewCommand<Focused>,
): Command {
  return {
    ...command,
    run(context, key) {
      const { front } = context;
      if (front instanceof type) command.run(front, context, key);
    },
    unavailable(context, key) {
      const { front } = context;
      return front instanceof type ? command.unavailable?.(front, context, key) : undefined;
    },
  };
}

/** The command that leaves a dialog: it pops the view, or runs `close` instead. */
export function closing(
  binding: Omit<Binding, 'id' | 'bar' | 'priority'>,
  close: (context: Context) => void = (context) => context.pop(),
): Command {
  return { id: 'back', bar: 'back', priority: 1, ...binding, run: close };
}

const nothing = () => undefined;

/** The terminal layer takes these before any view sees them; they stand here for help and the palette. */
export const terminalCommands: readonly Command[] = [
  {
    id: 'interrupt',
    keys: ['ctrl+c'],
    isFixed: true,
    title: 'quit; twice: at once',
    run: (context) => context.interrupt(),
  },
  {
    id: 'suspend',
    keys: ['ctrl+z'],
    isFixed: true,
    title: 'to the shell; back with fg',
    run: nothing,
  },
  { id: 'repaint', keys: ['ctrl+l'], isFixed: true, title: 'draw the screen anew', run: nothing },
];
