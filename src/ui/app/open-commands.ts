import type { Opening } from '../../panes/opening.js';
import { rowOpening } from '../../panes/row-opening.js';
import { chosenRow } from '../model/list-view.js';
import { moveTo, seenBy } from '../model/pane-view.js';
import { chosenNode } from '../model/trace-view.js';
import type { View } from '../model/views.js';
import type { ConsoleApp } from './console-app.js';
import { whyOffline } from './offline.js';
import { recordCommands, recordCursor } from './record-commands.js';
import { rowUnderCursor } from './row-commands.js';

export function whyNotOpen(app: ConsoleApp): string | undefined {
  const { focusedPane: pane, focusedRows: rows, model, database, player } = app;
  const view = model.views.at(-1);
  if (view) return whyNotOpenIn(app, view);
  if (!model.live || !(database ?? player)) return whyOffline(app);
  if (rows.length === 0) return `${pane.title} has no row to open`;
  if (!rowUnderCursor(app)) return 'The chosen row is gone; move the cursor to another';
  return pane.detail || player ? undefined : `${pane.title} has nothing more to show of a row`;
}

/** Opens the chosen row. The cursor holds on to it, so that the way back leads to the same row. */
export function openChosen(app: ConsoleApp): void {
  const { focusedPane: pane, focusedRows: rows, model } = app;
  const view = model.views.at(-1);
  if (view) {
    const opening = openingIn(app, view);
    if (opening) app.openings.open(opening);
    else if (view.kind === 'record') recordCommands.fold.run(app, 'enter');
    return;
  }
  const chosen = rowUnderCursor(app);
  if (!chosen || !model.live) return;
  const opening = app.player ? undefined : rowOpening(pane, chosen.row);
  if (!opening && !app.player) return;
  const seen = seenBy(model.live.panes[pane.id].extras);
  app.changePane({ ...moveTo(pane, rows, model.panes[model.focus], chosen.index, seen) });
  if (opening) app.openings.open(opening);
  // A recording has nothing behind a row: the row itself, with what the pane has no column for.
  else app.openings.show({ kind: 'records', title: pane.title, rows: [{ ...chosen.row }] });
}

function whyNotOpenIn(app: ConsoleApp, view: View): string | undefined {
  if (openingIn(app, view)) return undefined;
  const isFoldable =
    view.kind === 'record' && recordCommands.fold.unavailable?.(app, 'enter') === undefined;
  return isFoldable ? undefined : 'There is nothing more to show of it';
}

/** What Enter opens of the chosen row of a view. */
function openingIn(app: ConsoleApp, view: View): Opening | undefined {
  if (view.kind === 'record') {
    const content = recordCursor(app, view).node?.content;
    return content?.kind === 'made' ? content.opening : undefined;
  }
  if (view.kind === 'list') {
    const row = chosenRow(view);
    return row && view.opened.open?.(row);
  }
  if (view.kind !== 'trace') return undefined;
  const node = chosenNode(view);
  return node && view.opened.open(node.event.key);
}
