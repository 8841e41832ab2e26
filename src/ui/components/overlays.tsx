import { actionLines, dialogWidth, writer } from '../draw/dialog.js';
import { innerWidth } from '../draw/box.js';
import { bodyOf } from '../model/model.js';
import { coversPanes, type ActionView, type NoticeView } from '../model/views.js';
import { CommandLine } from './command-line.js';
import { ConnectionList } from './connection-list.js';
import { Dialog } from './dialog.js';
import { ExportDialog } from './export-dialog.js';
import { CoveringScreen } from './covering-screen.js';
import { QuitDialog } from './quit-dialog.js';
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
      {dialog?.kind === 'connections' ? (
        <ConnectionList view={dialog} app={app} model={model} theme={theme} />
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
  const look = view.result?.tone === 'error' ? 'error' : 'frame';
  return <Dialog title={view.title} body={body} look={look} model={model} theme={theme} />;
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
