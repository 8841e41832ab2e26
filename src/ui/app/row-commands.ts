import { findCursor, moveTo, seenBy } from '../model/pane-view.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

/** The row under the cursor of the pane that has the keys; undefined also when the chosen one is gone. */
export function rowUnderCursor({
  focusedPane: pane,
  focusedRows: rows,
  model,
}: ConsoleApp): { row: object; index: number } | undefined {
  const { index, gone } = findCursor(pane, rows, model.panes[model.focus]);
  const row = index === undefined || gone ? undefined : rows[index];
  return row && index !== undefined ? { row, index } : undefined;
}

/** The marked rows of the pane that has the keys, as far as they are shown. */
export function markedRows({ focusedPane: pane, focusedRows: rows, model }: ConsoleApp): object[] {
  const { marks } = model.panes[model.focus];
  return marks.size === 0 ? [] : rows.filter((row) => marks.has(pane.rowKey(row)));
}

/** Marks whose rows a filter hides, or that are gone, are acted on by nothing. */
export function whyNoMarked(app: ConsoleApp): string | undefined {
  const { size } = app.model.panes[app.model.focus].marks;
  if (size === 0 || markedRows(app).length > 0) return undefined;
  return `Of ${size} marked rows none is shown; Esc takes the marks away`;
}

/** What is copied, written or changed: the marked rows, or the one under the cursor where none is marked. */
export function chosenRows(app: ConsoleApp): object[] {
  if (app.model.panes[app.model.focus].marks.size > 0) return markedRows(app);
  const chosen = rowUnderCursor(app);
  return chosen ? [chosen.row] : [];
}

function shiftColumns(by: number): Command {
  return {
    run(app) {
      const { shift } = app.model.panes[app.model.focus];
      app.changePane({ shift: shift + by });
    },
    unavailable(app) {
      const { focusedPane: pane, model, drawers } = app;
      const { shift } = model.panes[model.focus];
      if (by < 0) return shift > 0 ? undefined : 'This is the first column';
      const hidden = drawers.get(pane.id)?.hiddenColumns ?? 0;
      return hidden > 0 ? undefined : `${pane.title} has no further columns`;
    },
  };
}

export const rowCommands = {
  mark: {
    run(app) {
      const { focusedPane: pane, focusedRows: rows, model } = app;
      const view = model.panes[model.focus];
      const chosen = rowUnderCursor(app);
      if (!chosen) return;
      const key = pane.rowKey(chosen.row);
      const marks = new Set(view.marks);
      if (!marks.delete(key)) marks.add(key);
      const seen = seenBy(model.live?.panes[pane.id].extras);
      // To the next row, so that several are marked by holding the key.
      app.changePane({ ...moveTo(pane, rows, view, chosen.index + 1, seen), marks });
    },
    unavailable: (app) => (rowUnderCursor(app) ? undefined : 'There is no row under the cursor'),
  },
  columnsRight: shiftColumns(1),
  columnsLeft: shiftColumns(-1),
} as const satisfies Record<string, Command>;
