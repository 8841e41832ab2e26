import { ConsoleError } from '../../db/errors.js';
import { findCursor, moveTo, seenBy } from '../model/pane-view.js';
import type { ConsoleApp } from './console-app.js';
import { whyOffline } from './offline.js';
import { readRecord } from './read-record.js';

/** The row under the cursor of the pane that has the keys. */
function chosenRow(app: ConsoleApp): { row: object; index: number } | undefined {
  const { focusedPane: pane, focusedRows: rows, model } = app;
  const { index, gone } = findCursor(pane, rows, model.panes[model.focus]);
  const row = index === undefined || gone ? undefined : rows[index];
  return row && index !== undefined ? { row, index } : undefined;
}

export function whyNoRecord(app: ConsoleApp): string | undefined {
  const { focusedPane: pane, focusedRows: rows, model, database } = app;
  if (!database || !model.live) return whyOffline(app);
  if (rows.length === 0) return `${pane.title} has no row to open`;
  if (!chosenRow(app)) return 'The chosen row is gone; move the cursor to another';
  return pane.detail ? undefined : `${pane.title} has nothing more to show of a row`;
}

/** Opens the chosen row. The cursor holds on to it, so that the way back leads to the same row. */
export function openRecord(app: ConsoleApp): void {
  const { focusedPane: pane, focusedRows: rows, model, database } = app;
  const chosen = chosenRow(app);
  if (!chosen || !database || !model.live) return;
  const { windowMs } = model.live;
  const seen = seenBy(model.live.panes[pane.id].extras);
  app.changePane({ ...moveTo(pane, rows, model.panes[model.focus], chosen.index, seen) });
  app.push({
    kind: 'record',
    title: pane.title,
    rows: undefined,
    failure: undefined,
    unfolded: false,
    top: 0,
  });
  readRecord(database, pane, chosen.row, windowMs).then(
    (record) =>
      app.changeView('record', (view) => ({
        ...view,
        title: record?.title ?? view.title,
        rows: record?.rows ?? [],
      })),
    (error: unknown) =>
      app.changeView('record', (view) => ({
        ...view,
        failure: {
          message: error instanceof Error ? error.message : String(error),
          hint: error instanceof ConsoleError ? error.hint : undefined,
        },
      })),
  );
}
