import { quitCommand } from '../commands/kinds.js';
import type { Context } from '../context.js';
import { keyText } from '../keymap.js';
import { isTooSmall } from '../layout/layout.js';
import { help } from '../views/help.js';

/** A key goes to the focused view, then to the command of its scope. */
export function pressKey(context: Context, key: string): void {
  const { front, keys, model } = context;
  if (isTooSmall(model.size)) {
    const isQuit = quitCommand(context)?.keys.includes(key) === true;
    if (isQuit && !context.actions?.isRunning) context.end(0);
    return;
  }
  clearMessage(context);
  if (front.takesKey?.(context, key)) return;
  const command = keys.commandOf(front.scope, key);
  if (command) {
    context.run(command, key);
    return;
  }
  const hint = model.views.length === 1 ? `; ${keys.keyOf(help.id)} shows the keys` : '';
  context.say(`${keyText(key)} does nothing here${hint}`);
}

/** A pasted text: taken by a view that takes texts, and by nothing else. */
export function paste(context: Context, text: string): void {
  const { front } = context;
  if (!front.takesPaste) return;
  clearMessage(context);
  front.takesPaste(context, text);
}

function clearMessage(context: Context): void {
  if (context.model.message) context.update({ message: undefined });
}
