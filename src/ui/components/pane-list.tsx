import { innerWidth } from '../draw/box.js';
import { dialogWidth } from '../draw/dialog.js';
import { paneListLines } from '../draw/pane-list.js';
import { bodyOf } from '../model/model.js';
import type { PaneListView } from '../model/views.js';
import type { ScreenProps } from './console-screen.js';
import { Dialog } from './dialog.js';

/** The list of all panes: ● those of the overview. */
export function PaneList({ app, view, model, theme }: ScreenProps & { view: PaneListView }) {
  const room = bodyOf(model.size);
  const body = paneListLines(theme, {
    panes: app.panes,
    overview: model.overview,
    index: view.index,
    width: innerWidth(dialogWidth(room)),
    height: room.height - 2,
  });
  const title = 'Panes, ● in the overview';
  return <Dialog title={title} body={body} look="frame" model={model} theme={theme} />;
}
