import type { PaneId } from '../../panes/pane.js';
import { findCursor } from '../model/pane-view.js';
import type { ConsoleApp } from './console-app.js';
import { whyOffline } from './offline.js';

/** As the seed's retention advice has it. */
const archiveAge = '90 days';

/** The row under the cursor, when that pane has the keys. */
function chosenRow(app: ConsoleApp, paneId: PaneId): object | undefined {
  const { focusedPane: pane, focusedRows: rows, model } = app;
  if (pane.id !== paneId) return undefined;
  const { index, gone } = findCursor(pane, rows, model.panes[model.focus]);
  return index === undefined || gone ? undefined : rows[index];
}

function chosenIndex(app: ConsoleApp): string | undefined {
  const row = chosenRow(app, 'index-usage');
  return row && 'index' in row && typeof row.index === 'string' ? row.index : undefined;
}

function isBuilding(app: ConsoleApp): boolean {
  const row = chosenRow(app, 'index-usage');
  return row !== undefined && 'state' in row && row.state === 'building';
}

export function whyNoReindex(app: ConsoleApp): string | undefined {
  if (!app.actions) return whyOffline(app);
  if (app.focusedPane.id !== 'index-usage') return 'Choose an index first: 3 leads to them';
  return chosenIndex(app) === undefined ? 'There is no index under the cursor' : undefined;
}

export function openReindex(app: ConsoleApp): void {
  const index = chosenIndex(app);
  if (index === undefined) return;
  // What is being built can only be followed.
  const refused = isBuilding(app)
    ? app.actions?.open('follow-build', `Follow the rebuild of ${index}`, { index })
    : app.actions?.open('reindex', `Reindex ${index}`, { indexes: [index] });
  if (refused) refuse(app, refused);
}

export function openReindexVectors(app: ConsoleApp): void {
  const refused = app.actions?.open('reindex', 'Reindex the vector indexes', { vectors: true });
  if (refused) refuse(app, refused);
}

export function openCleanUp(app: ConsoleApp): void {
  const refused = app.actions?.open('clean-up', 'Clean up leftovers', {});
  if (refused) refuse(app, refused);
}

export function openPrune(app: ConsoleApp): void {
  const refused = app.actions?.open('prune', 'Prune patterns', {});
  if (refused) refuse(app, refused);
}

/** The table under the cursor of the sizes, or all of ours. */
function openForTables(name: 'analyze' | 'vacuum', title: string) {
  return (app: ConsoleApp): void => {
    const row = chosenRow(app, 'table-sizes');
    const table = row && 'table' in row && typeof row.table === 'string' ? row.table : undefined;
    const input = table === undefined ? {} : { tables: [table] };
    const refused = app.actions?.open(name, `${title} ${table ?? 'all tables'}`, input);
    if (refused) refuse(app, refused);
  };
}

export const openAnalyze = openForTables('analyze', 'Analyze');
export const openVacuum = openForTables('vacuum', 'Vacuum');

export function whyNoAction(app: ConsoleApp): string | undefined {
  return app.actions ? undefined : whyOffline(app);
}

export function openArchive(app: ConsoleApp): void {
  const refused = app.actions?.open('archive', 'Archive old traces', { olderThan: archiveAge });
  if (refused) refuse(app, refused);
}

function refuse(app: ConsoleApp, error: { message: string; hint: string | undefined }): void {
  app.say(error.hint === undefined ? error.message : `${error.message} ${error.hint}`, 'warning');
}
