import { ConsoleError } from '../../db/errors.js';
import { readRun } from '../../maintenance/journal/run.js';
import { storedAction } from '../../maintenance/registry.js';
import type { PaneId } from '../../panes/pane.js';
import type { ConsoleApp } from './console-app.js';
import { markedRows, rowUnderCursor } from './row-commands.js';
import { whyOffline } from './offline.js';

/** As the seed's retention advice has it. */
const archiveAge = '90 days';

/** The row under the cursor, when that pane has the keys. */
function chosenRow(app: ConsoleApp, paneId: PaneId): object | undefined {
  return app.focusedPane.id === paneId ? rowUnderCursor(app)?.row : undefined;
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
  if (markedIndexes(app).length > 0) return undefined;
  return chosenIndex(app) === undefined ? 'There is no index under the cursor' : undefined;
}

function markedIndexes(app: ConsoleApp): string[] {
  return markedRows(app).flatMap((row) =>
    'index' in row && typeof row.index === 'string' ? row.index : [],
  );
}

export function openReindex(app: ConsoleApp): void {
  const indexes = markedIndexes(app);
  if (indexes.length > 0) {
    const refusal = app.actions?.open('reindex', `Reindex ${indexes.length} indexes`, { indexes });
    if (refusal) refuse(app, refusal);
    return;
  }
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

/** The tree under the cursor of the archive, by the trace that it is told by. */
function chosenTree(app: ConsoleApp): string | undefined {
  const row = chosenRow(app, 'archive');
  return row && 'id' in row && typeof row.id === 'string' ? row.id : undefined;
}

function chosenRun(app: ConsoleApp): number | undefined {
  const row = chosenRow(app, 'maintenance-runs');
  return row && 'id' in row && typeof row.id === 'number' ? row.id : undefined;
}

export function whyNoRestore(app: ConsoleApp): string | undefined {
  if (!app.actions) return whyOffline(app);
  if (chosenTree(app) !== undefined || chosenRun(app) !== undefined) return undefined;
  return `Choose an archived trace or a crashed run first: ${app.keys.keyOf('paneList')} leads to those panes`;
}

/** Brings back what is under the cursor: an archived tree, or a run whose console died. */
export function openRestore(app: ConsoleApp): void {
  const tree = chosenTree(app);
  if (tree !== undefined) {
    const refused = app.actions?.open('restore', 'Restore a trace', { traces: [tree] });
    if (refused) refuse(app, refused);
    return;
  }
  const id = chosenRun(app);
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
  if (chosenTree(app) !== undefined) return undefined;
  return `Choose an archived trace first: ${app.keys.keyOf('paneList')} leads to the archive`;
}

export function openPurge(app: ConsoleApp): void {
  const tree = chosenTree(app);
  if (tree === undefined) return;
  const refused = app.actions?.open('purge', 'Purge a trace', { traces: [tree] });
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
