import { closing, terminalCommands } from '../commands/kinds.js';
import type { Command, Context, Scope, View } from '../context.js';
import { actionLines, type ActionState } from '../draw/action.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { writer } from '../draw/box.js';
import { strings } from '../strings.js';
import { connections } from './connections.js';
import { quit } from './quit.js';

/** The dialog of an action. */
export class ActionView implements View {
  readonly state: ActionState;
  readonly endsWithConnection = true;

  constructor(state: ActionState) {
    this.state = state;
  }

  get scope(): Scope {
    const { phase, preview } = this.state;
    if (phase === 'running' || phase === 'cancelling') return runningScope;
    if (phase !== 'confirm' || preview?.nothing !== undefined) return doneScope;
    return preview?.typed === undefined ? confirmScope : wordScope;
  }

  get showsTime(): boolean {
    return this.state.phase !== 'confirm';
  }

  draw(context: Context) {
    const { title, result, progress, phase } = this.state;
    const { model, keys } = context;
    const { size, nowMs } = model;
    const room = innerDialog(size);
    const confirmKey = keys.keyOf(confirm.id);
    const body = actionLines(keys, this.state, nowMs, { ...room, confirmKey });
    if (progress && this.scope === runningScope) {
      const way = phase === 'running' ? `${keys.keysIn(runningScope, cancel.id)}: cancel` : '';
      body.push(...writer(room.width)(way, 'muted'));
    }
    const look = result?.tone === 'error' ? 'error' : 'frame';
    return <Dialog title={title} body={body} look={look} size={size} />;
  }

  /** While a confirmation word is typed, letters are text and no commands. */
  takesKey(context: Context, key: string): boolean {
    if (this.scope !== wordScope) return false;
    // All others are keys as ever: Ctrl-C must end a console also here.
    const isTyped = key === 'space' || key === 'backspace' || key.length === 1;
    if (isTyped) context.actions?.type(key === 'space' ? ' ' : key);
    return isTyped;
  }
}

/** Does it when the word that was asked for is typed. */
function confirmWord(context: Context): void {
  if (!(context.front instanceof ActionView)) return;
  const { preview, typed } = context.front.state;
  if (typed === preview?.typed) context.actions?.confirm();
  else context.say(`Not yet: the word is "${preview?.typed ?? ''}"`, 'warning');
}

/** Puts the dialog in front of everything but what asks about leaving; without a state it is closed. */
export function showAction(context: Context, state: ActionState | undefined): void {
  const others = context.model.views.filter((view) => !(view instanceof ActionView));
  const behind = others.filter(({ asksToLeave }) => !asksToLeave);
  const leaving = others.filter(({ asksToLeave }) => asksToLeave);
  context.update({ views: state ? [...behind, new ActionView(state), ...leaving] : others });
}

const confirm: Command = {
  id: 'confirm',
  keys: ['y'],
  title: 'yes, do it',
  bar: 'do it',
  priority: 1,
  accepts: true,
  run: (context) => context.actions?.confirm(),
};

const decline: Command = {
  id: 'cancel',
  keys: ['enter', 'escape', 'n', 'q'],
  title: 'no, change nothing',
  bar: 'cancel',
  barKeys: 2,
  priority: 1,
  run: (context) => context.actions?.cancel(),
};

const cancel: Command = {
  id: 'cancel',
  keys: ['escape', 'c'],
  title: 'stop it at the next safe point',
  bar: 'cancel',
  barKeys: 2,
  priority: 1,
  run: (context) => context.actions?.cancel(),
};

export const confirmScope: Scope = {
  id: 'confirm',
  title: 'Before an action',
  isInHelp: true,
  needsDatabase: true,
  commands: [confirm, decline, ...terminalCommands],
};

/** Where a word is to be typed: letters and `Enter` are not those of the other question. */
export const wordScope: Scope = {
  id: 'confirm-word',
  title: 'Before an action that asks for a word',
  needsDatabase: true,
  commands: [
    {
      id: 'confirm-typed',
      keys: ['enter'],
      title: 'do it, when the word is typed',
      bar: 'do it',
      priority: 1,
      accepts: true,
      run: confirmWord,
    },
    { ...decline, keys: ['escape'], barKeys: 1 },
    ...terminalCommands,
  ],
};

export const runningScope: Scope = {
  id: 'running',
  title: 'While an action runs',
  isInHelp: true,
  needsDatabase: true,
  commands: [connections, cancel, quit, ...terminalCommands],
};

/** Also the keys of notices, which are closed after reading. */
export const doneScope: Scope = {
  id: 'done',
  title: 'After an action, and at notices',
  commands: [
    closing({ keys: ['enter', 'escape', 'q', 'space'], title: 'back to the panes' }, (context) => {
      if (context.front instanceof ActionView) context.actions?.close();
      else context.pop();
    }),
    ...terminalCommands,
  ],
};

/** Something to be read before going on. */
export class NoticeView implements View {
  readonly scope: Scope = doneScope;
  readonly title: string;
  readonly lines: readonly string[];

  constructor(title: string, lines: readonly string[]) {
    this.title = title;
    this.lines = lines;
  }

  draw({ model: { size }, keys }: Context) {
    const write = writer(innerDialog(size).width);
    const body = [
      ...this.lines.flatMap((line) => write(keys.inText(line))),
      ...write(''),
      ...write(strings.back),
    ];
    return <Dialog title={this.title} body={body} look="warning" size={size} />;
  }
}
