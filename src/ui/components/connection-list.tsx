import { innerWidth } from '../draw/box.js';
import { connectionListLines } from '../draw/connection-list.js';
import { dialogWidth } from '../draw/dialog.js';
import { bodyOf } from '../model/model.js';
import type { ConnectionsView } from '../model/views.js';
import type { ScreenProps } from './console-screen.js';
import { Dialog } from './dialog.js';

/** The databases that the console can go to. */
export function ConnectionList({
  app,
  view,
  model,
  theme,
}: ScreenProps & { view: ConnectionsView }) {
  const { connections } = app;
  if (!connections) return null;
  const { choices, current } = connections;
  const room = bodyOf(model.size);
  const body = connectionListLines(theme, {
    choices,
    current,
    index: view.index,
    width: innerWidth(dialogWidth(room)),
    height: room.height - 2,
  });
  return <Dialog title="Connections" body={body} look="frame" model={model} theme={theme} />;
}
