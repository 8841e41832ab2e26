import { actionLines, dialogWidth, writer } from '../draw/dialog.js';
import { innerWidth } from '../draw/box.js';
import { bodyOf, type Model } from '../model/model.js';
import { coversPanes, type ActionView, type NoticeView } from '../model/views.js';
import type { Theme } from '../theme.js';
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
        <ExportDialog view={dialog} model={model} theme={theme} />
      ) : null}
      {dialog?.kind === 'action' ? (
        <ActionDialog view={dialog} model={model} theme={theme} />
      ) : null}
      {dialog?.kind === 'notice' ? <Notice view={dialog} model={model} theme={theme} /> : null}
      {dialog?.kind === 'quit' ? <QuitDialog model={model} theme={theme} /> : null}
    </>
  );
}

function ActionDialog({ view, model, theme }: { view: ActionView; model: Model; theme: Theme }) {
  const room = bodyOf(model.size);
  const body = actionLines(theme, view, model.nowMs, room);
  const look = view.result?.tone === 'error' ? 'error' : 'focus';
  return <Dialog title={view.title} body={body} look={look} model={model} theme={theme} />;
}

function QuitDialog({ model, theme }: { model: Model; theme: Theme }) {
  const write = writer(theme, innerWidth(dialogWidth(bodyOf(model.size))));
  const body = [
    ...write('An action is running. Quitting cancels it at its next safe point.'),
    ...write(''),
    ...write('y: cancel it and quit    Enter, Esc: stay'),
  ];
  return <Dialog title="Quit?" body={body} look="warning" model={model} theme={theme} />;
}

function Notice({ view, model, theme }: { view: NoticeView; model: Model; theme: Theme }) {
  const write = writer(theme, innerWidth(dialogWidth(bodyOf(model.size))));
  const body = [
    ...view.lines.flatMap((line) => write(line)),
    ...write(''),
    ...write('Enter: back'),
  ];
  return <Dialog title={view.title} body={body} look="warning" model={model} theme={theme} />;
}
