import { actionLines, dialogWidth, writer } from '../draw/dialog.js';
import { innerWidth } from '../draw/box.js';
import { bodyOf } from '../model/model.js';
import {
  coversPanes,
  type ActionView,
  type NoticeView,
  type QuitView,
  type WayToQuit,
} from '../model/views.js';
import { CommandLine } from './command-line.js';
import { Dialog } from './dialog.js';
import { ExportDialog } from './export-dialog.js';
import { CoveringScreen } from './covering-screen.js';
import { PaneList } from './pane-list.js';
import type { ScreenProps } from './console-screen.js';

/** What lies over the panes: at most one view that covers them, and a dialog in front. */
export function Overlays(props: ScreenProps) {
  const { app, model, theme } = props;
  const covering = model.views.findLast(coversPanes);
  const front = model.views.at(-1);
  const dialog = front && !coversPanes(front) ? front : undefined;
  return (
    <>
      {covering ? (
        <CoveringScreen app={app} view={covering} size={model.size} theme={theme} />
      ) : null}
      {dialog?.kind === 'prompt' && dialog.purpose === 'command' ? (
        <CommandLine view={dialog} app={app} model={model} theme={theme} />
      ) : null}
      {dialog?.kind === 'paneList' ? (
        <PaneList view={dialog} app={app} model={model} theme={theme} />
      ) : null}
      {dialog?.kind === 'export' ? (
        <ExportDialog app={app} view={dialog} model={model} theme={theme} />
      ) : null}
      {dialog?.kind === 'action' ? (
        <ActionDialog app={app} view={dialog} model={model} theme={theme} />
      ) : null}
      {dialog?.kind === 'notice' ? (
        <Notice app={app} view={dialog} model={model} theme={theme} />
      ) : null}
      {dialog?.kind === 'quit' ? (
        <QuitDialog app={app} view={dialog} model={model} theme={theme} />
      ) : null}
    </>
  );
}

function ActionDialog({ app, view, model, theme }: ScreenProps & { view: ActionView }) {
  const room = bodyOf(model.size);
  const body = actionLines(theme, app.keys, view, model.nowMs, room);
  const look = view.result?.tone === 'error' ? 'error' : 'focus';
  return <Dialog title={view.title} body={body} look={look} model={model} theme={theme} />;
}

const chosenTexts: Readonly<Record<WayToQuit, string>> = {
  wait: 'The console ends when the action has ended.',
  cancel: 'It is cancelled, and the console ends when it has tidied up. :quit-cancel at once',
  leave: 'The server goes on alone; the next start shows it.',
};

function QuitDialog({ app, view, model, theme }: ScreenProps & { view: QuitView }) {
  const room = bodyOf(model.size);
  const write = writer(theme, innerWidth(dialogWidth(room)));
  const action = model.views.find((other) => other.kind === 'action');
  const detachable = action?.phase === 'running' && (action.progress?.detachable ?? false);
  const body = view.chosen
    ? [
        ...(action ? actionLines(theme, app.keys, action, model.nowMs, room).slice(0, 4) : []),
        ...write(''),
        ...write(app.keys.inText(chosenTexts[view.chosen])),
        ...write('Enter, Esc: stay'),
      ]
    : [
        ...write('An action is running.'),
        ...write(''),
        ...write(`${app.keys.keyOf('quitWait')}: wait for its end, then quit`),
        ...write(`${app.keys.keyOf('quitCancel')}: cancel it, clean up, and quit`),
        ...(detachable
          ? write(
              `${app.keys.keyOf('quitLeave')}: leave it running on the server; the next start shows it`,
            )
          : write('It cannot be left alone: the console does its part.', 'muted')),
        ...write('Enter, Esc: stay'),
      ];
  return <Dialog title="Quit?" body={body} look="warning" model={model} theme={theme} />;
}

function Notice({ app, view, model, theme }: ScreenProps & { view: NoticeView }) {
  const write = writer(theme, innerWidth(dialogWidth(bodyOf(model.size))));
  const body = [
    ...view.lines.flatMap((line) => write(app.keys.inText(line))),
    ...write(''),
    ...write('Enter: back'),
  ];
  return <Dialog title={view.title} body={body} look="warning" model={model} theme={theme} />;
}
