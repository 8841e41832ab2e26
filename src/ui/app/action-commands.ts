import { ConsoleError } from '../../db/errors.js';
import { readRun } from '../../maintenance/journal/run.js';
import { storedAction } from '../../maintenance/registry.js';
import type { PaneId } from '../../panes/pane.js';
import type { ConsoleApp } from './console-app.js';
import { chosenRows, whyNoMarked } from './row-commands.js';
import { whyOffline } from './offline.js';

/** As the seed's retention advice has it. */
const archiveAge = '90 days';

/** What an action is about in a pane that has the keys: the marked rows, or the one under the cursor. */
function rowsOf(app: ConsoleApp, paneId: PaneId): object[] {
  return app.focusedPane.id === paneId ? chosenRows(app) : [];
}

/** A column of those rows. */
function namesOf(app: ConsoleApp, paneId: PaneId, column: string): string[] {
  return rowsOf(app, paneId).flatMap((row) => {
    const value: unknown = Reflect.get(row, column);
    return typeof value === 'string' ? value : [];
  });
}

/** `idx_a`, `3 indexes` */
function named(names: readonly string[], several: string): string {
  return names.length === 1 ? (names[0] ?? '') : `${names.length} ${several}`;
}

export function whyNoReindex(app: ConsoleApp): string | undefined {
  if (!app.actions) return whyOffline(app);
  if (app.focusedPane.id !== 'index-usage') return 'Choose an index first: 3 leads to them';
  if (namesOf(app, 'index-usage', 'index').length > 0) return undefined;
  return whyNoMarked(app) ?? 'There is no index under the cursor';
}

export function openReindex(app: ConsoleApp): void {
  const indexes = namesOf(app, 'index-usage', 'index');
  const [index] = indexes;
  if (index === undefined) return;
  const states = namesOf(app, 'index-usage', 'state');
  // What is being built can only be followed.
  const refused =
    indexes.length === 1 && states[0] === 'building'
      ? app.actions?.open('follow-build', `Follow the rebuild of ${index}`, { index })
      : app.actions?.open('reindex', `Reindex ${named(indexes, 'indexes')}`, { indexes });
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

/** The chosen tables of the sizes, or all of ours. */
function openForTables(name: 'analyze' | 'vacuum', title: string) {
  return (app: ConsoleApp): void => {
    const tables = namesOf(app, 'table-sizes', 'table');
    const what = tables.length > 0 ? named(tables, 'tables') : 'all tables';
    const input = tables.length > 0 ? { tables } : {};
    const refused = app.actions?.open(name, `${title} ${what}`, input);
    if (refused) refuse(app, refused);
  };
}

export function whyNoTables(app: ConsoleApp): string | undefined {
  if (!app.actions) return whyOffline(app);
  return app.focusedPane.id === 'table-sizes' ? whyNoMarked(app) : undefined;
}

export const openAnalyze = openForTables('analyze', 'Analyze');
export const openVacuum = openForTables('vacuum', 'Vacuum');

export function whyNoAction(app: ConsoleApp): string | undefined {
  return app.actions ? undefined : whyOffline(app);
}

/** The chosen trees of the archive, each by the trace that it is told by. */
function chosenTrees(app: ConsoleApp): string[] {
  return namesOf(app, 'archive', 'id');
}

function chosenRuns(app: ConsoleApp): number[] {
  return rowsOf(app, 'maintenance-runs').flatMap((row) =>
    'id' in row && typeof row.id === 'number' ? row.id : [],
  );
}

export function whyNoRestore(app: ConsoleApp): string | undefined {
  if (!app.actions) return whyOffline(app);
  const runs = chosenRuns(app).length;
  if (runs > 1) return 'Runs are done again one at a time';
  if (runs === 1 || chosenTrees(app).length > 0) return undefined;
  const leads = `${app.keys.keyOf('paneList')} leads to those panes`;
  return whyNoMarked(app) ?? `Choose an archived trace or a crashed run first: ${leads}`;
}

/** Brings back what is chosen: archived trees, or a run whose console died. */
export function openRestore(app: ConsoleApp): void {
  const traces = chosenTrees(app);
  if (traces.length > 0) {
    const what = traces.length === 1 ? 'a trace' : `${traces.length} traces`;
    const refused = app.actions?.open('restore', `Restore ${what}`, { traces });
    if (refused) refuse(app, refused);
    return;
  }
  const [id] = chosenRuns(app);
  if (id === undefined || !app.database) return;
  const { database } = app;
  const { schema } = database.capabilities;
  database
    .transaction({ readOnly: true }, (tx) => readRun(tx, schema, id))
    .then((run) => {
      if (!run) throw new ConsoleError('usage', `Run ${id} is in the journal no more.`);
      const { name, input } = storedAction(run);
      const refused = app.actions?.open(name, `Resume run ${id}`, input);
      if (refused) throw refused;
    })
    .catch((error: unknown) => {
      const known = error instanceof ConsoleError ? error : undefined;
      refuse(app, { message: known?.message ?? String(error), hint: known?.hint });
    });
}

export function whyNoPurge(app: ConsoleApp): string | undefined {
  if (!app.actions) return whyOffline(app);
  if (chosenTrees(app).length > 0) return undefined;
  const leads = `${app.keys.keyOf('paneList')} leads to the archive`;
  return whyNoMarked(app) ?? `Choose an archived trace first: ${leads}`;
}

export function openPurge(app: ConsoleApp): void {
  const traces = chosenTrees(app);
  if (traces.length === 0) return;
  const what = traces.length === 1 ? 'a trace' : `${traces.length} traces`;
  const refused = app.actions?.open('purge', `Purge ${what}`, { traces });
  if (refused) refuse(app, refused);
}

export function openArchive(app: ConsoleApp): void {
  const refused = app.actions?.open('archive', 'Archive old traces', { olderThan: archiveAge });
  if (refused) refuse(app, refused);
}

function refuse(app: ConsoleApp, error: { message: string; hint: string | undefined }): void {
  const hint = error.hint === undefined ? '' : ` ${app.keys.inText(error.hint)}`;
  app.say(`${error.message}${hint}`, 'warning');
}
