import { findCursor } from '../model/pane-view.js';
import type { ConsoleApp } from './console-app.js';

/** As the seed's retention advice has it. */
const archiveAge = '90 days';

/** The index under the cursor, when the index pane has the keys. */
function chosenIndex(app: ConsoleApp): string | undefined {
  const { focusedPane: pane, focusedRows: rows, model } = app;
  if (pane.id !== 'index-usage') return undefined;
  const { index, gone } = findCursor(pane, rows, model.panes[model.focus]);
  const row = index === undefined || gone ? undefined : rows[index];
  return row && 'index' in row && typeof row.index === 'string' ? row.index : undefined;
}

export function whyNoReindex(app: ConsoleApp): string | undefined {
  if (!app.actions) return 'There is no connection yet';
  if (app.focusedPane.id !== 'index-usage') return 'Choose an index first: 3 leads to them';
  return chosenIndex(app) === undefined ? 'There is no index under the cursor' : undefined;
}

export function openReindex(app: ConsoleApp): void {
  const index = chosenIndex(app);
  if (index === undefined) return;
  const refused = app.actions?.open('reindex', `Reindex ${index}`, { index });
  if (refused) refuse(app, refused);
}

export function whyNoArchive(app: ConsoleApp): string | undefined {
  return app.actions ? undefined : 'There is no connection yet';
}

export function openArchive(app: ConsoleApp): void {
  const refused = app.actions?.open('archive', 'Archive old traces', { olderThan: archiveAge });
  if (refused) refuse(app, refused);
}

function refuse(app: ConsoleApp, error: { message: string; hint: string | undefined }): void {
  app.say(error.hint === undefined ? error.message : `${error.message} ${error.hint}`, 'warning');
}
