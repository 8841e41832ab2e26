import { ConsoleError } from '../../db/errors.js';
import {
  openedExport,
  paneExport,
  type Exportable,
  type ExportFormat,
} from '../../panes/export/exportable.js';
import { idOf } from '../../panes/row-id.js';
import { exportFolder, writeNewFile } from '../../panes/export/write-new-file.js';
import { formatBytes } from '../../shared/format/bytes.js';
import { safeLine } from '../../terminal/sanitise.js';
import type { OutCommandId } from '../keys/out-keys.js';
import { chosenRow } from '../model/list-view.js';
import type { RecordView, View } from '../model/views.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';
import { frontRecord, recordCursor } from './record-commands.js';
import { chosenRows, markedRows, whyNoMarked } from './row-commands.js';

type Copyable = { text: string; what: string };

/** What of the screen `y` copies, and what it is; undefined: nothing. */
function copyable(app: ConsoleApp): Copyable | undefined {
  const view = app.model.views.at(-1);
  switch (view?.kind) {
    case undefined:
      return copyableRows(app);
    case 'list': {
      const row = chosenRow(view);
      if (!row) return undefined;
      const text = view.opened.copy?.(row);
      return text === undefined
        ? { text: JSON.stringify(row, null, 2), what: 'the row as JSON' }
        : { text, what: `the id ${text}` };
    }
    case 'trace': {
      const { correlationId } = view.opened.tree.asked.event;
      return { text: correlationId, what: `the correlation id ${correlationId}` };
    }
    case 'record':
      return copyableValue(app, view);
    default:
      return undefined;
  }
}

/** The ids of the marked rows, one a line, or the whole row under the cursor. */
function copyableRows(app: ConsoleApp): Copyable | undefined {
  const { focusedPane: pane, model } = app;
  const rows = chosenRows(app);
  const [row] = rows;
  if (!row) return undefined;
  if (model.panes[model.focus].marks.size === 0) {
    return { text: JSON.stringify(row, null, 2), what: 'the row as JSON' };
  }
  const ids = rows.map((each) => safeLine(idOf(pane, each)));
  return { text: ids.join('\n'), what: `${ids.length} ${ids.length === 1 ? 'id' : 'ids'}` };
}

/** The value under the cursor of a record: a text as it is, everything else as JSON. */
function copyableValue(app: ConsoleApp, view: RecordView): Copyable | undefined {
  const { name = '', value } = recordCursor(app, view).node ?? {};
  if (value === null || value === undefined) return undefined;
  const json = JSON.stringify(value, null, 2);
  if (name !== '') return { text: plainText(value, json), what: safeLine(name) };
  return typeof value === 'string'
    ? { text: value, what: 'the line' }
    : { text: json, what: 'the row as JSON' };
}

/** A moment is a text in JSON, but its quotes are not its. */
function plainText(value: unknown, json: string): string {
  if (typeof value === 'string') return value;
  return value instanceof Date ? json.replaceAll('"', '') : json;
}

/** Every row of a record as JSON. */
function copyableRecord(app: ConsoleApp): Copyable | undefined {
  const view = frontRecord(app);
  const [row] = view?.rows ?? [];
  const text = JSON.stringify(view?.rows.length === 1 ? row : view?.rows, null, 2);
  return row && { text, what: 'the row as JSON' };
}

function copies(find: (app: ConsoleApp) => Copyable | undefined): Command {
  return {
    run(app) {
      const found = find(app);
      if (!found) return;
      const { copiedBytes, isCut, doubt } = app.copy(found.text);
      const key = app.keys.keyOf('export');
      const size = isCut ? `, cut at ${formatBytes(copiedBytes)}: ${key} writes all of it` : '';
      if (doubt === undefined) app.say(`Copied: ${found.what}${size}`, 'success');
      else
        app.say(
          `Sent to the clipboard: ${found.what}${size}. ${doubt}; ${key} writes a file`,
          'warning',
        );
    },
    unavailable: (app) =>
      find(app) ? undefined : (whyNoMarkedHere(app) ?? 'There is nothing here to copy'),
  };
}

/** The marked rows, or all that are shown. */
function exportableRows(app: ConsoleApp): Exportable | undefined {
  const { focusedPane: pane, focusedRows, model } = app;
  const isMarked = model.panes[model.focus].marks.size > 0;
  const rows = isMarked ? markedRows(app) : focusedRows;
  return rows.length > 0 ? paneExport(pane, rows, isMarked ? 'marked' : 'shown') : undefined;
}

/** In what is opened there are no marks. */
function whyNoMarkedHere(app: ConsoleApp): string | undefined {
  return app.model.views.length === 0 ? whyNoMarked(app) : undefined;
}

function exportable(app: ConsoleApp): Exportable | undefined {
  const view: View | undefined = app.model.views.at(-1);
  switch (view?.kind) {
    case undefined:
      return exportableRows(app);
    case 'list':
    case 'trace':
      return openedExport(view.opened);
    case 'record':
      return openedExport({ kind: 'records', title: view.title, rows: view.rows });
    default:
      return undefined;
  }
}

function writeAs(format: ExportFormat): Command {
  return {
    run(app) {
      const view = app.model.views.at(-1);
      if (view?.kind !== 'export') return;
      app.pop();
      void write(app, view.exportable, format);
    },
    unavailable({ model }) {
      const view = model.views.at(-1);
      if (view?.kind !== 'export' || view.exportable.formats[format]) return undefined;
      return 'Only a whole trace can be written as OTLP';
    },
  };
}

async function write(app: ConsoleApp, { name, formats }: Exportable, format: ExportFormat) {
  try {
    const text = formats[format]?.() ?? '';
    const extension = format === 'otlp' ? 'otlp.json' : format;
    const file = await writeNewFile(exportFolder(process.env), name, extension, text);
    app.say(`Written: ${file} (${formatBytes(Buffer.byteLength(text))})`, 'success');
  } catch (error) {
    const hint = error instanceof ConsoleError && error.hint !== undefined ? ` ${error.hint}` : '';
    app.say(`${error instanceof Error ? error.message : String(error)}${hint}`, 'error');
  }
}

/** What leaves the console: the clipboard, and files. */
export const outCommands: Readonly<Record<OutCommandId, Command>> = {
  copy: copies(copyable),
  copyAll: copies(copyableRecord),
  export: {
    run(app) {
      const found = exportable(app);
      if (found) app.push({ kind: 'export', exportable: found });
    },
    unavailable: (app) =>
      exportable(app) ? undefined : (whyNoMarkedHere(app) ?? 'There are no rows to write'),
  },
  exportCsv: writeAs('csv'),
  exportJson: writeAs('json'),
  exportOtlp: writeAs('otlp'),
};
