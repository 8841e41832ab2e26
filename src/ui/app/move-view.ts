import { moved, type Movement } from '../model/cursor.js';
import type { ConsoleApp } from './console-app.js';
import { recordCursor } from './record-commands.js';

/** Moves the cursor of what lies over the panes, or scrolls it where it has none. */
export function moveView(app: ConsoleApp, by: Movement): void {
  const view = app.model.views.at(-1);
  switch (view?.kind) {
    case 'list': {
      const index = moved(view.index, by, view.opened.rows.length, view.place);
      if (index !== view.index) app.replaceView(view, { ...view, index });
      return;
    }
    case 'trace': {
      const index = moved(view.index, by, view.rows.length, view.place);
      if (index !== view.index) app.replaceView(view, { ...view, index });
      return;
    }
    case 'record': {
      // The end is where it is once all of it is laid out.
      const { index: from, layout } = recordCursor(app, view);
      const index = by.to === 'last' ? Infinity : moved(from, by, layout.lines.length, view.place);
      if (index !== view.index) app.replaceView(view, { ...view, index });
      return;
    }
    case 'help': {
      const { height, length } = app.viewExtent;
      const count = Math.max(1, length - height + 1);
      // The end is where it is when it is drawn: that is not known before the first time.
      const top =
        by.to === 'last'
          ? Number.MAX_SAFE_INTEGER
          : moved(Math.min(view.top, count - 1), by, count, { top: 0, height });
      if (top !== view.top) app.replaceView(view, { ...view, top });
    }
  }
}
