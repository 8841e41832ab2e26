import { innerWidth } from '../draw/box.js';
import { actionLines, dialogWidth, writer } from '../draw/dialog.js';
import { bodyOf } from '../model/model.js';
import type { QuitView, WayToQuit } from '../model/views.js';
import type { ScreenProps } from './console-screen.js';
import { Dialog } from './dialog.js';

/** What happens when the action has ended. */
const chosenTexts: Readonly<Record<WayToQuit, (goes: string) => string>> = {
  wait: (goes) => `The console ${goes} when the action has ended.`,
  cancel: (goes) => `It is cancelled, and the console ${goes} when it has tidied up.`,
  leave: () => 'The server goes on alone; the next start shows it.',
};

/** Asked before quitting, or going to another database, while an action runs. */
export function QuitDialog({ app, view, model, theme }: ScreenProps & { view: QuitView }) {
  const { toward, chosen } = view;
  const { keys } = app;
  const room = bodyOf(model.size);
  const write = writer(theme, innerWidth(dialogWidth(room)));
  const action = model.views.find((other) => other.kind === 'action');
  const detachable = action?.phase === 'running' && (action.progress?.detachable ?? false);
  const leave = toward ? `connect to ${toward.name}` : 'quit';
  const goes = toward ? `connects to ${toward.name}` : 'ends';
  const atOnce = chosen === 'cancel' && !toward ? ` ${keys.keyOf('quitCancel')}: at once` : '';
  const body = chosen
    ? [
        ...(action ? actionLines(theme, keys, action, model.nowMs, room).slice(0, 4) : []),
        ...write(''),
        ...write(`${chosenTexts[chosen](goes)}${atOnce}`),
        ...write('Enter, Esc: stay'),
      ]
    : [
        ...write('An action is running.'),
        ...write(''),
        ...write(`${keys.keyOf('quitWait')}: wait for its end, then ${leave}`),
        ...write(`${keys.keyOf('quitCancel')}: cancel it, clean up, and ${leave}`),
        ...(detachable
          ? write(
              `${keys.keyOf('quitLeave')}: leave it running on the server; the next start shows it`,
            )
          : write('It cannot be left alone: the console does its part.', 'muted')),
        ...write('Enter, Esc: stay'),
      ];
  const title = toward ? `Connect to ${toward.name}?` : 'Quit?';
  return <Dialog title={title} body={body} look="warning" model={model} theme={theme} />;
}
